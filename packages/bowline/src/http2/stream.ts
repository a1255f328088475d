import { TimerNode } from "../rpc/timer-wheel.ts";

/** Bits of {@link Http2Stream.closedSides}. */
export const LOCAL = 1;
/** The other side has ended. */
export const REMOTE = 2;

/** A piece of data that waits for a window. */
export interface QueuedData {
  readonly chunk: Uint8Array;
  /** What of it was sent already. */
  offset: number;
  /** END_STREAM goes with its last octet. */
  readonly end: boolean;
}

/**
 * A stream as HTTP/2 sees it. The layer above extends it, so that one object is stream, call and timer.
 *
 * ```text
 *   idle (id 0) ── open ──► open ──► half closed (LOCAL or REMOTE) ──► closed (id 0)
 *                              └──────────── reset ────────────────►┘
 * ```
 *
 * A closed object may be opened again on another connection: that is what a retry does.
 */
export class Http2Stream extends TimerNode {
  /** 0 while idle or closed. */
  id = 0;
  /** Which sides have sent END_STREAM: LOCAL, REMOTE or both. */
  closedSides = 0;
  /** Octets that the peer lets us send; negative after it shrank its initial window. */
  sendWindow = 0;
  /** Octets that the peer may still send. */
  receiveWindow = 0;
  /** Octets received which the layer above holds back until its user has read them: no window is given for them. */
  heldBytes = 0;
  /** Data that waits for a window, or null. */
  queue: QueuedData[] | null = null;
  /** Octets in `queue`. */
  queuedBytes = 0;
  /** Monotonic ms since when `queue` made no real progress. */
  stalledSince = 0;
  /** Octets of `queue` that have left since then. */
  progressBytes = 0;

  /** True between opening and the end of both sides. */
  get isOpen(): boolean {
    return this.id !== 0;
  }

  /** True when the peer has a reason to reset the stream that does not count as abuse; asked for on streams that it has opened. */
  get mayBeReset(): boolean {
    return false;
  }

  /**
   * True when all that this side will ever say is in `queue`: from then on the peer has to take it within `stallTimeoutMs`. Before,
   * a reader that takes its time only holds the writer up.
   */
  get isWritten(): boolean {
    return this.queue?.[this.queue.length - 1].end ?? false;
  }
}

/** Slots of a new table: an idle connection holds little. */
const INITIAL_SLOTS = 4;
/** The ring doubles up to this; streams that still collide go to the map. */
const MAX_SLOTS = 4096;

/**
 * The open streams of a connection, by id.
 *
 * Ids grow by two, so a ring of slots at `(id >>> 1) & mask` finds a stream by one comparison; a long-lived stream that
 * sits in a newer one's slot sends that one to a Map. Measured: a Map alone costs 20 % of the throughput.
 */
export class StreamTable<S extends Http2Stream> {
  #ring: (S | null)[] = new Array(INITIAL_SLOTS).fill(null);
  #mask = INITIAL_SLOTS - 1;
  /** Made with the first collision: most connections see none, and an empty Map takes 180 bytes. */
  #overflow: Map<number, S> | null = null;
  #size = 0;

  /** Number of open streams. */
  get size(): number {
    return this.#size;
  }

  find(id: number): S | null {
    const stream = this.#ring[(id >>> 1) & this.#mask];
    if (stream !== null && stream.id === id) return stream;
    const overflow = this.#overflow;
    return overflow === null || overflow.size === 0 ? null : (overflow.get(id) ?? null);
  }

  /** Adds a stream under `stream.id`. */
  add(stream: S): void {
    const slot = (stream.id >>> 1) & this.#mask;
    if (this.#ring[slot] === null) {
      this.#ring[slot] = stream;
    } else if (this.#mask < MAX_SLOTS - 1 && this.#size > this.#mask >> 1) {
      this.#grow();
      this.add(stream);
      return;
    } else {
      this.#overflow ??= new Map();
      this.#overflow.set(stream.id, stream);
    }
    this.#size++;
  }

  /** Takes a stream out; its id must still be set. */
  remove(stream: S): void {
    const slot = (stream.id >>> 1) & this.#mask;
    if (this.#ring[slot] === stream) this.#ring[slot] = null;
    else this.#overflow?.delete(stream.id);
    this.#size--;
  }

  /** A copy of all open streams, for rare events that touch each. */
  all(): S[] {
    const streams: S[] = [];
    for (const stream of this.#ring) if (stream !== null) streams.push(stream);
    if (this.#overflow !== null) streams.push(...this.#overflow.values());
    return streams;
  }

  #grow(): void {
    const streams = this.all();
    this.#mask = this.#mask * 2 + 1;
    this.#ring = new Array(this.#mask + 1).fill(null);
    this.#overflow = null;
    this.#size = 0;
    for (const stream of streams) this.add(stream);
  }
}
