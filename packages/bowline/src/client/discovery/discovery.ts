import type { Instance, Snapshot, Watcher, WatchHandler } from "../../registry/registry.ts";
import type { Clock, Timer } from "../../rpc/clock.ts";
import type { SnapshotStore, StoredSnapshot } from "./snapshot-store.ts";

/** What a channel knows of its target, and how sure that is. */
export interface DiscoveryState {
  /** `live`: the registry says so now; `stale`: it can't be reached, this is the last known; `disk`: read from a file after a start; `none`: nothing is known. */
  readonly freshness: Snapshot["freshness"] | "none";
  /** Of the registry's last snapshot; 0 before the first. */
  readonly revision: number;
  /** Time since the registry last said so, in ms: 0 while it is live, null while nothing is known. */
  readonly ageMs: number | null;
  /** What the registry complained of since it was live last. */
  readonly error: Error | null;
  /** Most of the instances have vanished at once, which is not believed yet. */
  readonly frozen: boolean;
  /** Endpoints that the registry no longer lists and that are used nevertheless; each says why. */
  readonly suspects: number;
  /** Instances that are listed and have no address that can be reached from here. */
  readonly skipped: number;
  /** Entries of the registry that can't be used and are left out: no address, a port out of range, no JSON where some is due. */
  readonly unreadable: number;
  /** As it is configured the target can't be looked up, for which see `error`: calls fail at once while nothing is known. */
  readonly unusable: boolean;
}

/** What a discovery is made with. */
export interface DiscoveryOptions {
  readonly clock: Clock;
  /** Null: nothing is kept. */
  readonly disk: SnapshotStore | null;
  watch(handler: WatchHandler): Watcher;
}

/** Whom a discovery tells. */
export interface DiscoveryOwner {
  /** True when endpoints are known already: what a file holds is older then. */
  readonly hasEndpoints: boolean;
  /** A list to take over. True if it was believed as it stands. */
  listed(instances: readonly Instance[], isLive: boolean, isFirst: boolean): boolean;
  /** The registry failed. Told once of each new text until it is live again. */
  troubled(error: Error): void;
}

/** A registry that has not answered in this time, in ms, does not hold up a client that knows something from before. */
const START_WAIT_MS = 500;

/**
 * Watches a target for a channel: what the registry tells goes on to the channel, and to disk if it was believed. A registry that does not
 * answer, or fails, at the start is stood in for by the last snapshot on disk.
 */
export class Discovery implements WatchHandler {
  freshness: DiscoveryState["freshness"] = "none";
  revision = 0;
  error: Error | null = null;
  readonly #options: DiscoveryOptions;
  readonly #owner: DiscoveryOwner;
  #watcher: Watcher | null = null;
  /** Changes with each watch, so that what was begun for an earlier one is recognised. */
  #watchNumber = 0;
  #isWatching = false;
  #hasBeenLive = false;
  #isFinal = false;
  #stored: Promise<StoredSnapshot | null> | null = null;
  #startTimer: Timer | null = null;
  /** By the clock, when what is known was true for certain. */
  #trueAt = 0;

  constructor(options: DiscoveryOptions, owner: DiscoveryOwner) {
    this.#options = options;
    this.#owner = owner;
  }

  /** Something is known since the start. */
  get isKnown(): boolean {
    return this.freshness !== "none";
  }

  /** As it is configured the target can't be looked up, and the disk has nothing that could stand in. */
  get isUnusable(): boolean {
    return this.#isFinal && this.#stored === null && !this.isKnown;
  }

  /** Time since the registry last said so, in ms; null while nothing is known. */
  get ageMs(): number | null {
    if (this.freshness === "none") return null;
    return this.freshness === "live" ? 0 : this.#options.clock.now() - this.#trueAt;
  }

  /** Entries that the registry's last read had to leave out. */
  get unreadable(): number {
    return this.#watcher?.skipped ?? 0;
  }

  /** Begins to watch. */
  start(): void {
    if (this.#isWatching) return;
    const number = ++this.#watchNumber;
    this.#isWatching = true;
    const { disk, clock } = this.#options;
    if (disk !== null && !this.#owner.hasEndpoints) {
      this.#stored = disk.load();
      this.#startTimer = clock.setTimeout(() => void this.#useDisk(number), START_WAIT_MS);
    }
    try {
      const watcher = this.#options.watch(this);
      if (this.#isWatching && this.#watchNumber === number) this.#watcher = watcher;
      else watcher.close();
    } catch (error) {
      // No watcher, so nobody who would try again.
      this.failed(error instanceof Error ? error : new Error(String(error)), true);
    }
  }

  /** Stops to watch; what was known counts for nothing until the next start. */
  stop(): void {
    this.#isWatching = false;
    this.#startTimer?.cancel();
    this.#stored = null;
    this.#watcher?.close();
    this.#watcher = null;
    this.#hasBeenLive = false;
    this.#isFinal = false;
    this.freshness = "none";
    this.error = null;
    this.#options.disk?.pause();
  }

  /** Stops for good, and waits until the disk holds what was to be kept. */
  async close(): Promise<void> {
    this.stop();
    await this.#options.disk?.close();
  }

  /** Asks the registry for a fresh look. */
  refresh(): void {
    try {
      this.#watcher?.refresh();
    } catch (error) {
      // A registry of the user's own; what asks is in the midst of something else.
      this.failed(error instanceof Error ? error : new Error(String(error)));
    }
  }

  // --- WatchHandler ---

  snapshot({ instances, revision, freshness }: Snapshot): void {
    if (!this.#isWatching) return;
    this.#forgetDisk();
    this.#isFinal = false;
    const isLive = freshness === "live";
    if (!isLive && this.freshness !== "stale") this.#trueAt = this.#options.clock.now();
    const isFirst = isLive && !this.#hasBeenLive;
    this.freshness = freshness;
    this.revision = revision;
    if (isLive) {
      this.#hasBeenLive = true;
      this.error = null;
    }
    const isBelieved = this.#owner.listed(instances, isLive, isFirst);
    if (!isLive) this.#options.disk?.pause();
    else if (isBelieved) this.#options.disk?.keep(instances);
  }

  failed(error: Error, isFinal: boolean = false): void {
    if (!this.#isWatching) return;
    const isNews = this.error?.message !== error.message || this.#isFinal !== isFinal;
    const number = this.#watchNumber;
    this.error = error;
    this.#isFinal = isFinal;
    const tell = (): void => {
      if (isNews && this.#watchNumber === number) this.#owner.troubled(error);
    };
    if (this.#stored === null) return tell();
    const read = this.#useDisk(number);
    // That waiting is no use is true only if the disk has nothing either.
    if (isFinal) void read.then(tell);
    else tell();
  }

  // --- in detail ---

  async #useDisk(number: number): Promise<void> {
    const stored = await this.#stored;
    if (this.#watchNumber !== number || this.#stored === null) return;
    this.#forgetDisk();
    if (stored === null || this.isKnown) return;
    this.freshness = "disk";
    this.#trueAt = this.#options.clock.now() - stored.ageMs;
    this.#owner.listed(stored.instances, false, false);
  }

  #forgetDisk(): void {
    this.#startTimer?.cancel();
    this.#startTimer = null;
    this.#stored = null;
  }
}
