import type {
  Instance,
  Registry,
  Snapshot,
  Watcher,
  WatchHandler,
} from "../../packages/bowline/src/registry/registry.ts";

/**
 * A watch that remembers all it was told, and judges it: what no watcher may ever do goes to `violations`, whatever the test is about.
 */
export class Recording implements WatchHandler {
  readonly service: string;
  readonly snapshots: Snapshot[] = [];
  readonly failures: Error[] = [];
  readonly violations: string[] = [];
  readonly watcher: Watcher;
  /** See `RegistryCapabilities`. */
  mayChangeWhileStale: boolean = false;
  /** Called with each snapshot, inside of the handler. */
  onSnapshot: (snapshot: Snapshot) => void = () => {};
  readonly #keyOf: (instance: Instance) => string;
  #isWatching = false;
  #isClosed = false;

  constructor(registry: Registry, service: string, keyOf: (instance: Instance) => string) {
    this.service = service;
    this.#keyOf = keyOf;
    this.watcher = registry.watch(service, this);
    this.#isWatching = true;
  }

  snapshot(snapshot: Snapshot): void {
    const before = this.last;
    this.#judge(snapshot, before);
    this.snapshots.push(snapshot);
    this.onSnapshot(snapshot);
  }

  failed(error: Error): void {
    if (!this.#isWatching) this.violations.push(`failed inside of watch(): ${error.message}`);
    if (this.#isClosed) this.violations.push(`failed after close(): ${error.message}`);
    if (!(error instanceof Error) || error.message === "")
      this.violations.push("failed with no error that says anything");
    this.failures.push(error);
  }

  get last(): Snapshot | undefined {
    return this.snapshots.at(-1);
  }

  /** Keys of the instances of the last snapshot, sorted. */
  get keys(): string[] {
    return this.last?.instances.map(this.#keyOf).sort() ?? [];
  }

  get messages(): string[] {
    return this.failures.map(({ message }) => message);
  }

  close(): void {
    this.#isClosed = true;
    this.watcher.close();
  }

  /** For the message of a wait that was in vain. */
  describe(): string {
    const { last } = this;
    const shown = last === undefined ? "no snapshot" : `${last.freshness} revision ${last.revision}`;
    const some = this.keys.slice(0, 10).join(" ");
    return `${JSON.stringify(this.service)}: ${shown}, ${this.keys.length} instances ${some}; failures: ${this.messages.slice(-3).join(" | ")}`;
  }

  #judge(snapshot: Snapshot, before: Snapshot | undefined): void {
    const { instances, revision, freshness } = snapshot;
    const fault = (text: string): void => {
      this.violations.push(`snapshot ${this.snapshots.length + 1} (revision ${revision}, ${freshness}): ${text}`);
    };
    if (!this.#isWatching) fault("came inside of watch()");
    if (this.#isClosed) fault("came after close()");
    if (new Set(instances.map(this.#keyOf)).size < instances.length) fault("has an instance twice");
    if (before === undefined) return;
    if (revision < before.revision) fault(`goes back behind revision ${before.revision}`);
    const isSame = isEqual(instances, before.instances);
    if (isSame && freshness === before.freshness) fault("tells nothing new");
    if (!isSame && revision === before.revision) fault("differs from the one before under the same revision");
    if (!isSame && freshness === "stale" && !this.mayChangeWhileStale) fault("is stale, but no longer what was known");
  }
}

/** By content; instances that did not change are mostly the same objects. */
function isEqual(a: readonly Instance[], b: readonly Instance[]): boolean {
  return (
    a.length === b.length && a.every((each, at) => each === b[at] || JSON.stringify(each) === JSON.stringify(b[at]))
  );
}
