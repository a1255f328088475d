import type { Clock, Timer } from "../../rpc/clock.ts";
import type { Instance, Watcher, WatchHandler } from "../registry.ts";
import type { LeaseDirectory } from "./lease-directory.ts";
import { fileRole } from "./lease-file.ts";
import { HEARTBEAT_MS, LeaseSet, type ScanResult } from "./lease-set.ts";
import type { LocalHost } from "./local.ts";

/** Events come in swarms, as when a fleet starts, and a look costs as much as there are files: they bring about one in this time. */
const EVENT_PERIOD_MS = 10;

/**
 * Watches one service: looks each 500 ms, and at once when the file system tells of a change.
 *
 * The look is the truth. Events only make it come sooner: file systems lose them, and some have none.
 */
export class LocalWatcher implements Watcher {
  readonly #service: string;
  readonly #directory: LeaseDirectory;
  readonly #host: LocalHost;
  readonly #clock: Clock;
  readonly #handler: WatchHandler;
  readonly #onClose: () => void;
  readonly #leases: LeaseSet;
  readonly #poll: Timer;
  #skipped = 0;
  /** Armed while a look is due that would come too soon after the last one. */
  #soon: Timer | null = null;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #events: { close(): void } | null = null;
  /** The directory that `#events` belongs to; its successor needs new ones. */
  #eventsOf = "";
  #isLooking = false;
  /** Something happened while looking. */
  #isStale = false;
  #isClosed = false;
  #instances: readonly Instance[] = [];
  #freshness: "live" | "stale" | "none" = "none";
  #revision = 0;
  #lastFailure = "";

  constructor(
    service: string,
    directory: LeaseDirectory,
    host: LocalHost,
    clock: Clock,
    handler: WatchHandler,
    onClose: () => void,
  ) {
    this.#service = service;
    this.#directory = directory;
    this.#host = host;
    this.#clock = clock;
    this.#handler = handler;
    this.#onClose = onClose;
    this.#leases = new LeaseSet(service, host.processes);
    this.#poll = clock.setInterval(() => void this.#lookAround(), HEARTBEAT_MS);
    void this.#lookAround();
  }

  /** Files of the last look that are no leases. */
  get skipped(): number {
    return this.#skipped;
  }

  refresh(): void {
    if (this.#isClosed || this.#soon !== null) return;
    const waitMs = this.#lookedAt + EVENT_PERIOD_MS - this.#clock.fresh();
    if (waitMs <= 0) return this.#lookNow();
    this.#soon = this.#clock.setTimeout(() => {
      this.#soon = null;
      this.#lookNow();
    }, waitMs);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#poll.cancel();
    this.#soon?.cancel();
    this.#events?.close();
    this.#onClose();
  }

  #lookNow(): void {
    this.#isStale = true;
    void this.#lookAround();
  }

  /** One look at a time; what happens meanwhile is for another look right behind it. */
  async #lookAround(): Promise<void> {
    if (this.#isLooking || this.#isClosed) return;
    this.#isLooking = true;
    try {
      do {
        this.#isStale = false;
        await this.#look();
      } while (this.#isStale && !this.#isClosed);
    } finally {
      this.#isLooking = false;
    }
  }

  async #look(): Promise<void> {
    this.#lookedAt = this.#clock.fresh();
    const skipped: Error[] = [];
    const result = await this.#scan(skipped).catch((error: Error) => error);
    if (this.#isClosed) return;
    if (result instanceof Error) this.#failed(result);
    else this.#found(result);
    for (const error of skipped) if (!this.#isClosed) this.#handler.failed(error);
  }

  async #scan(skipped: Error[]): Promise<ScanResult> {
    const identity = await this.#directory.prepare(this.#service);
    // Before the names are read: a change after that is told, one before it is seen.
    if (!this.#isClosed && identity !== this.#eventsOf) this.#listen(identity);
    return this.#directory.scan(this.#leases, identity, this.#clock.fresh(), (error) => skipped.push(error));
  }

  #listen(identity: string): void {
    this.#events?.close();
    this.#events = this.#host.files.watch(this.#directory.pathOf(this.#service), (name) => {
      // A lease is written under another name first: its own name is the event that counts.
      if (name === null || fileRole(name) !== "temporary") this.refresh();
    });
    this.#eventsOf = identity;
  }

  #found(result: ScanResult): void {
    this.#lastFailure = "";
    this.#skipped = result.skipped;
    const freshness = result.isComplete ? "live" : "stale";
    const isSame = isSameList(result.instances, this.#instances);
    this.#instances = result.instances;
    if (!isSame || freshness !== this.#freshness) this.#deliver(freshness);
  }

  /** The last known set stays: the processes behind it are not dead because a directory can't be read. */
  #failed(error: Error): void {
    const isNews = error.message !== this.#lastFailure;
    this.#lastFailure = error.message;
    if (this.#freshness === "live") this.#deliver("stale");
    if (isNews && !this.#isClosed) this.#handler.failed(error);
  }

  #deliver(freshness: "live" | "stale"): void {
    this.#freshness = freshness;
    this.#revision++;
    this.#handler.snapshot({ instances: this.#instances, revision: this.#revision, freshness });
  }
}

/** Objects of leases that have not changed are kept, so identity is enough. */
function isSameList(a: readonly Instance[], b: readonly Instance[]): boolean {
  return a.length === b.length && a.every((instance, index) => instance === b[index]);
}
