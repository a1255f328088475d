import type { Registration, Registry, Watcher, WatchHandler } from "../registry.ts";
import type { RegistryContext } from "../registry-config.ts";
import { printRemoteTarget, type RemoteTarget } from "../remote-target.ts";
import { type AdaptedTarget, loadAdapter } from "./adapters.ts";

/** The registry that a target names: its adapter is loaded at the first watch. What is wrong with it, or the watch, is told to the watcher. */
export class LazyRegistry implements Registry {
  readonly name: string;
  readonly #target: RemoteTarget;
  readonly #context: RegistryContext;
  #opening: Promise<Opened> | null = null;
  #isClosed = false;

  constructor(target: RemoteTarget, context: RegistryContext) {
    this.name = target.scheme;
    this.#target = target;
    this.#context = context;
  }

  /** A target names what to look up, not where to write. */
  async register(): Promise<Registration> {
    const text = printRemoteTarget(this.#target);
    throw new TypeError(`nothing can be registered in the target ${text}: give the registry itself, ${this.name}(…)`);
  }

  watch(_service: string, handler: WatchHandler): Watcher {
    const watcher = new LazyWatcher();
    this.#opening ??= this.#open();
    this.#opening
      .then(({ registry, service }) => watcher.open(() => registry.watch(service, handler)))
      .catch((error: unknown) => watcher.open(() => failedWatch(handler, error)));
    return watcher;
  }

  async services(): Promise<readonly string[]> {
    this.#opening ??= this.#open();
    const { registry } = await this.#opening;
    if (registry.services !== undefined) return registry.services();
    throw new TypeError(`${this.name} has no list of its services`);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const opened = await this.#opening?.catch(() => undefined);
    await opened?.registry.close();
  }

  async #open(): Promise<Opened> {
    const { fromTarget } = await loadAdapter(this.#target.scheme);
    const { config, service }: AdaptedTarget = fromTarget(this.#target);
    if (this.#isClosed) throw new Error(`the registry of ${printRemoteTarget(this.#target)} is closed`);
    return { registry: config.create(this.#context), service };
  }
}

interface Opened {
  readonly registry: Registry;
  readonly service: string;
}

/** Stands for a watcher that is on its way. */
class LazyWatcher implements Watcher {
  #watcher: Watcher | null = null;
  #isClosed = false;

  open(watch: () => Watcher): void {
    if (!this.#isClosed) this.#watcher = watch();
  }

  get skipped(): number {
    return this.#watcher?.skipped ?? 0;
  }

  refresh(): void {
    this.#watcher?.refresh();
  }

  close(): void {
    this.#isClosed = true;
    this.#watcher?.close();
  }
}

function failedWatch(handler: WatchHandler, error: unknown): Watcher {
  // Nobody tries again: what can't be read now can't be read later.
  handler.failed(error instanceof Error ? error : new Error(String(error)), true);
  return { refresh: () => undefined, close: () => undefined };
}
