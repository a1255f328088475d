import type { Registry, Snapshot, Watcher, WatchHandler } from "../src/registry/registry.ts";

/** A watch that remembers all it was told, and lets a test wait for what it wants to hear. */
export class WatchRecorder implements WatchHandler {
  readonly snapshots: Snapshot[] = [];
  readonly failures: Error[] = [];
  readonly watcher: Watcher;
  readonly #waiting = new Set<() => void>();

  constructor(registry: Registry, service: string) {
    this.watcher = registry.watch(service, this);
  }

  snapshot(snapshot: Snapshot): void {
    this.snapshots.push(snapshot);
    for (const check of this.#waiting) check();
  }

  failed(error: Error): void {
    this.failures.push(error);
    for (const check of this.#waiting) check();
  }

  get last(): Snapshot | undefined {
    return this.snapshots.at(-1);
  }

  /** Ids of the last snapshot. */
  get ids(): string[] {
    return this.last?.instances.map(({ id }) => id) ?? [];
  }

  /** Messages of all failures. */
  get messages(): string[] {
    return this.failures.map(({ message }) => message);
  }

  /** The first snapshot from now on, the last one included, that fits. */
  async until(fits: (snapshot: Snapshot) => boolean): Promise<Snapshot> {
    await this.#when(() => this.last !== undefined && fits(this.last));
    return this.last as Snapshot;
  }

  /** Waits until the last snapshot has these ids, in any order. */
  untilIds(...ids: readonly string[]): Promise<Snapshot> {
    const wanted = [...ids].sort().join("\n");
    return this.until(() => [...this.ids].sort().join("\n") === wanted);
  }

  /** Waits for a failure whose message fits. */
  async untilFailure(pattern: RegExp): Promise<Error> {
    await this.#when(() => this.failures.some(({ message }) => pattern.test(message)));
    return this.failures.find(({ message }) => pattern.test(message)) as Error;
  }

  close(): void {
    this.watcher.close();
  }

  #when(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((resolve) => {
      const check = (): void => {
        if (!condition()) return;
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
    });
  }
}
