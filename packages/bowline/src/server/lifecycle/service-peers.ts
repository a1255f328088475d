import type { Instance, Registry, Snapshot, Watcher } from "../../registry/registry.ts";

/** The other instances of a server's own service, as its registry tells them. */
export class ServicePeers {
  readonly #ownId: string;
  readonly #watcher: Watcher | null;
  #snapshot: Snapshot | null = null;
  #told: () => void;

  /** `told` is called with each thing that the registry tells. A registry that can't be watched tells nothing. */
  constructor(registry: Registry, service: string, ownId: string, told: () => void) {
    this.#ownId = ownId;
    this.#told = told;
    this.#watcher = this.#watch(registry, service);
  }

  /** Those that take calls; null while the registry has told nothing, or can't be reached. */
  get ready(): readonly Instance[] | null {
    if (this.#snapshot?.freshness !== "live") return null;
    const takesCalls = ({ id, state, weight }: Instance): boolean =>
      id !== this.#ownId && state === "ready" && weight > 0;
    return this.#snapshot.instances.filter(takesCalls);
  }

  close(): void {
    this.#told = () => {};
    this.#watcher?.close();
  }

  #watch(registry: Registry, service: string): Watcher | null {
    const snapshot = (each: Snapshot): void => {
      this.#snapshot = each;
      this.#told();
    };
    try {
      return registry.watch(service, { snapshot, failed: () => this.#told() });
    } catch {
      return null;
    }
  }
}
