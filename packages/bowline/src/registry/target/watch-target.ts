import { systemClock } from "../../rpc/clock.ts";
import { environment } from "../../rpc/platform.ts";
import { systemRandom } from "../../rpc/random.ts";
import type { Registry, WatchHandler } from "../registry.ts";
import { checkRegistry, type RegistryConfig, type RegistryContext } from "../registry-config.ts";
import { parseTarget } from "./target.ts";
import { registryOf } from "./target-registry.ts";

/** Where a bare name is looked up. */
export interface WatchTargetOptions {
  /** Answers bare names, as that of a client does. */
  readonly registry?: RegistryConfig | Registry;
}

/** A target that is watched. */
export interface TargetWatch {
  /** Entries that the last read had to leave out because they can't be used; `failed` has told why. 0 where there can be none. */
  readonly skipped: number;
  /** Asks for a fresh look now. */
  refresh(): void;
  /** Ends it, with what was opened for it. */
  close(): Promise<void>;
}

/**
 * Tells what a registry knows of a target, now and after each change, as a client's channel is told before it decides what to believe.
 *
 * @throws TypeError for a malformed target, or a bare name without a registry
 */
export function watchTarget(target: string, handler: WatchHandler, options: WatchTargetOptions = {}): TargetWatch {
  checkRegistry("watchTarget options.registry", options.registry);
  const context = processContext((error) => handler.failed(error));
  const parsed = parseTarget(target);
  const { registry: given } = options;
  const configured = given !== undefined && "create" in given ? given.create(context) : given;
  const close = async (): Promise<void> => {
    if (configured !== given) await configured?.close();
  };
  try {
    const { registry, service, isOwned } = registryOf(parsed, context, configured);
    const watcher = registry.watch(service, handler);
    return {
      get skipped() {
        return watcher.skipped ?? 0;
      },
      refresh: () => watcher.refresh(),
      close: async () => {
        watcher.close();
        if (isOwned) await registry.close();
        await close();
      },
    };
  } catch (error) {
    void close();
    throw error;
  }
}

/** What a registry takes from this process, without a client or server around it. */
export function processContext(report?: (error: Error) => void): RegistryContext {
  const context = { clock: systemClock, random: systemRandom, environment: environment() };
  return report === undefined ? context : { ...context, report };
}
