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
  const context: RegistryContext = {
    clock: systemClock,
    random: systemRandom,
    environment: environment(),
    report: (error) => handler.failed(error),
  };
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
