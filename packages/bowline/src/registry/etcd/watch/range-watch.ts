import type { Event, KeyValue, RangeResponse } from "../../../gen/etcd/etcdserverpb_pb.ts";
import { Event_EventType } from "../../../gen/etcd/etcdserverpb_pb.ts";
import { inNextTurn } from "../../../rpc/turn.ts";
import type { EtcdClient, EtcdOperation } from "../client.ts";
import { EtcdError } from "../etcd-error.ts";
import type { WatchHub } from "./watch-hub.ts";

/** Keys that are watched: `[key, end)`, or one key if there is no end. */
export interface KeyRange {
  readonly key: Uint8Array;
  readonly end: Uint8Array | null;
  /** For messages: `user.rpc/`. */
  readonly label: string;
}

/** Who is told what stands in the ranges. Ranges are given by their index. */
export interface RangeHandler {
  /** A full read begins: what is not told between this and `listed` is not there. */
  listing(): void;
  entry(range: number, entry: KeyValue): void;
  /** The full read is complete. */
  listed(): void;
  put(range: number, entry: KeyValue): void;
  /** `entry` holds the key and the revision at which it went. */
  removed(range: number, entry: KeyValue): void;
  /** All changes of one message of etcd were told. */
  changed(): void;
  /** What is known may be old, until the next full read; it goes on trying. */
  failed(error: EtcdError): void;
}

/** A range, and how far it is known. */
export interface WatchedRange {
  readonly range: KeyRange;
  readonly index: number;
  /** Everything up to this revision was told. What comes from before is told by a member that lags behind. */
  revision: bigint;
  /** No change lies between `revision` and this one. A watch goes on behind it. */
  progress: bigint;
}

/** Entries of one answer; fewer while answers are too large. 500 are decoded in about 1 ms. */
const PAGE = 500;
/** Entries that are told before others have their turn: each may be parsed, in about 10 µs. */
const SLICE = 250;

/**
 * Keeps up with some ranges of keys: reads all once, then follows the changes, and reads all again when changes may have been missed.
 *
 * `waiting` — a full read is to be made. `reading` — it is under way. `following` — the hub has watches for it, or makes them.
 * `closed`.
 */
export class RangeWatch {
  readonly ranges: readonly WatchedRange[];
  readonly #hub: WatchHub;
  readonly #handler: RangeHandler;
  #state: "waiting" | "reading" | "following" | "closed" = "waiting";
  /** Counts reads: one that was overtaken is dropped. */
  #reads = 0;
  #pageSize = PAGE;

  constructor(hub: WatchHub, ranges: readonly KeyRange[], handler: RangeHandler) {
    this.#hub = hub;
    this.#handler = handler;
    this.ranges = ranges.map((range, index) => ({ range, index, revision: 0n, progress: 0n }));
  }

  /** For messages. */
  get label(): string {
    return `the keys of ${this.ranges.map(({ range }) => JSON.stringify(range.label)).join(" and ")}`;
  }

  /** Begins with a full read. */
  start(): void {
    this.readAgain();
  }

  /** Begins behind a revision at which the handler knows what stands there. */
  startAt(revision: bigint): void {
    this.#known(revision);
    this.#state = "following";
    this.#hub.follow(this, true);
  }

  /** Reads everything anew; asked for again while it waits for that, it is one read. */
  readAgain(): void {
    if (this.#state === "closed" || (this.#state === "waiting" && this.#reads > 0)) return;
    this.rest();
    this.#hub.queueRead(this);
  }

  close(): void {
    if (this.#state === "following") this.#hub.unfollow(this);
    this.#state = "closed";
    this.#hub.dropRead(this);
  }

  // --- called by the hub ---

  /** Follows no longer, until the hub lets it read. */
  rest(): void {
    this.#reads++;
    if (this.#state === "following") this.#hub.unfollow(this);
    this.#state = "waiting";
  }

  /** One full read, all ranges at one revision. Rejects with EtcdError. */
  async read(client: EtcdClient): Promise<void> {
    if (this.#state === "closed") return;
    this.#state = "reading";
    const read = this.#reads;
    const isCurrent = (): boolean => this.#state === "reading" && read === this.#reads;
    try {
      const pages = await this.#readPages(client);
      if (!isCurrent()) return;
      await this.#tell(pages, isCurrent);
    } catch (error) {
      if (isCurrent()) this.#state = "waiting";
      throw error;
    }
  }

  /** Changes of one range, in the order of their revisions; `isComplete` is false when more of the last revision is to come. */
  changes(watched: WatchedRange, events: readonly Event[], isComplete: boolean): void {
    if (this.#state !== "following") return;
    let last = watched.revision;
    for (const { type, kv } of events) {
      if (kv === undefined || kv.modRevision <= watched.revision) continue;
      last = kv.modRevision;
      if (type === Event_EventType.DELETE) this.#handler.removed(watched.index, kv);
      else this.#handler.put(watched.index, kv);
      if (this.#state !== "following") return;
    }
    if (!isComplete) return;
    watched.revision = last;
    if (last > watched.progress) watched.progress = last;
    if (events.length > 0) this.#handler.changed();
  }

  /** What stands in the ranges can't be known now, or not be followed. */
  failed(error: EtcdError): void {
    if (this.#state !== "closed") this.#handler.failed(error);
  }

  // --- in detail ---

  #known(revision: bigint): void {
    for (const watched of this.ranges) {
      watched.revision = revision;
      watched.progress = revision;
    }
  }

  async #readPages(client: EtcdClient): Promise<{ revision: bigint; entries: KeyValue[][] }> {
    for (;;) {
      try {
        return await this.#readOnce(client);
      } catch (error) {
        if (!(error instanceof EtcdError) || error.fault !== "too-large" || this.#pageSize === 1) throw error;
        this.#pageSize = Math.max(1, this.#pageSize >> 3);
      }
    }
  }

  async #readOnce(client: EtcdClient): Promise<{ revision: bigint; entries: KeyValue[][] }> {
    const what = `reading ${this.label}`;
    const limit = BigInt(this.#pageSize);
    const first = await client.transact(
      this.ranges.map(({ range }) => rangeOperation(range, limit)),
      what,
    );
    const revision = first.header?.revision ?? 0n;
    const entries: KeyValue[][] = [];
    for (const { range, index } of this.ranges) {
      const response = first.responses[index]?.response;
      if (response?.case !== "responseRange") throw new EtcdError("unreachable", `${what}: the answer lacks a range`);
      const list = [...response.value.kvs];
      let page: RangeResponse = response.value;
      while (page.more && range.end !== null && page.kvs.length > 0) {
        // Between two pages others have their turn.
        await new Promise<void>(inNextTurn);
        const key = after(page.kvs[page.kvs.length - 1].key);
        page = await client.range({ key, rangeEnd: range.end, limit, revision }, what);
        for (const entry of page.kvs) list.push(entry);
      }
      entries.push(list);
    }
    return { revision, entries };
  }

  async #tell(
    { revision, entries }: { revision: bigint; entries: KeyValue[][] },
    isCurrent: () => boolean,
  ): Promise<void> {
    this.#handler.listing();
    for (const [index, list] of entries.entries()) {
      for (let at = 0; at < list.length; at++) {
        if (at > 0 && at % SLICE === 0) {
          await new Promise<void>(inNextTurn);
          if (!isCurrent()) return;
        }
        this.#handler.entry(index, list[at]);
      }
    }
    this.#known(revision);
    this.#state = "following";
    // Before the handler is told: it may close this.
    this.#hub.follow(this, true);
    this.#handler.listed();
  }
}

function rangeOperation(range: KeyRange, limit: bigint): EtcdOperation {
  const value = { key: range.key, rangeEnd: range.end ?? new Uint8Array(), limit };
  return { request: { case: "requestRange", value } };
}

/** The first key that can follow. */
function after(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}
