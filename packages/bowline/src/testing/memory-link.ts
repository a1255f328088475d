import type { Link, LinkHandler, LinkPeer } from "../http2/link.ts";
import type { Clock } from "../rpc/clock.ts";
import { inNextTurn } from "../rpc/turn.ts";

/** What lent bytes are overwritten with. */
const POISON = 0xdb;

/** How two ends in memory behave. */
export interface MemoryLinkOptions {
  /** Bytes that one end may have on their way before its `write` returns false. Default 65,536. */
  readonly highWaterBytes?: number;
  /** Most bytes of one delivery, at least 1; a function gives the size of each anew. Default 65,536. */
  readonly chunkBytes?: number | (() => number);
  /** Time in ms that bytes and ends travel; needs `clock`. Default 0: the next turn of the event loop. */
  readonly delayMs?: number;
  /** The clock of `delayMs`. */
  readonly clock?: Clock;
  /** Runs a task later, never at once. Default `setImmediate`. */
  readonly schedule?: (task: () => void) => void;
  /**
   * True: a chunk counts as taken only when all bytes have arrived, as on a TLS socket, so `isIdle` is false after each
   * write. Default false: what fits below `highWaterBytes` is taken at once.
   */
  readonly isSlowToTake?: boolean;
  /**
   * Default true: a delivered chunk is overwritten when `linkData` returns, and the link breaks with an error when a
   * written chunk was changed before it was taken. Both show who keeps or reuses bytes that belong to another.
   */
  readonly poison?: boolean;
  /** Who the first and the second end say is at the other end. Default: loopback addresses. */
  readonly peers?: readonly [LinkPeer, LinkPeer];
}

/**
 * Two ends joined in memory: what one writes the other is told, in order, in a later turn.
 *
 * Written bytes are copied at once. Throws a RangeError for an option out of range, a TypeError for `delayMs` without
 * `clock`.
 */
export function memoryLinkPair(options: MemoryLinkOptions = {}): [MemoryLink, MemoryLink] {
  const { highWaterBytes = 65_536, chunkBytes = 65_536, delayMs = 0 } = options;
  if (!(highWaterBytes >= 0)) throw new RangeError(`highWaterBytes must be 0 or more, not ${highWaterBytes}`);
  if (typeof chunkBytes === "number" && !(chunkBytes >= 1)) {
    throw new RangeError(`chunkBytes must be 1 or more, not ${chunkBytes}`);
  }
  if (!(delayMs >= 0)) throw new RangeError(`delayMs must be 0 or more, not ${delayMs}`);
  if (delayMs > 0 && options.clock === undefined)
    throw new TypeError("delayMs needs a clock: give the test's VirtualClock");
  const [firstPeer, secondPeer] = options.peers ?? [
    { remoteAddress: "127.0.0.1:50002", localAddress: "127.0.0.1:50001" },
    { remoteAddress: "127.0.0.1:50001", localAddress: "127.0.0.1:50002" },
  ];
  const first = new MemoryLink(firstPeer, options);
  const second = new MemoryLink(secondPeer, options);
  MemoryLink.join(first, second);
  return [first, second];
}

/** Bytes that were written and not yet delivered. */
interface Parcel {
  bytes: Buffer;
  readonly dueAt: number;
}

/**
 * One end. Beside what a link does it can be frozen and reset.
 *
 * `end` closes this side only: the other end hears `linkEnd` and may go on writing; both are closed when both have
 * ended.
 */
export class MemoryLink implements Link {
  readonly peer: LinkPeer;
  readonly #options: MemoryLinkOptions;
  readonly #schedule: (task: () => void) => void;
  #other: MemoryLink = this;
  #handler: LinkHandler | null = null;
  /** What this end has sent and the other was not told yet. */
  readonly #outbox: Parcel[] = [];
  #outboxBytes = 0;
  /** Written chunks that may not change yet, each with its copy. */
  #untaken: { readonly chunk: Uint8Array; readonly copy: Buffer }[] = [];
  /** `write` returned false and no drain was told since. */
  #isRefused = false;
  #isPaused = false;
  #isFrozen = false;
  /** A delivery from the outbox is scheduled. */
  #isDelivering = false;
  #endDueAt = 0;
  #hasEnded = false;
  #isEndDelivered = false;
  #isClosed = false;
  #isClosedTold = false;
  #error: Error | undefined;

  /** Use {@link memoryLinkPair}. */
  constructor(peer: LinkPeer, options: MemoryLinkOptions) {
    this.peer = peer;
    this.#options = options;
    this.#schedule = options.schedule ?? inNextTurn;
  }

  /** Makes two new links the ends of one. */
  static join(first: MemoryLink, second: MemoryLink): void {
    first.#other = second;
    second.#other = first;
  }

  get isIdle(): boolean {
    return this.#isClosed || this.#outboxBytes <= (this.#options.isSlowToTake ? 0 : this.#highWaterBytes);
  }

  /** Bytes that this end has written and the other was not given yet. */
  get undeliveredBytes(): number {
    return this.#outboxBytes;
  }

  start(handler: LinkHandler): void {
    if (this.#handler !== null) throw new TypeError("start: this link has a handler already; a link is started once");
    this.#handler = handler;
    this.#schedule(() => {
      this.#tellDrain();
      this.#tellClosed();
    });
    this.#other.#deliverSoon();
  }

  write(chunk: Uint8Array): boolean {
    return this.writeAll([chunk]);
  }

  writeAll(chunks: readonly Uint8Array[]): boolean {
    if (this.#isClosed || this.#hasEnded) return false;
    if (this.#other.#isClosed) {
      this.#close(connectionReset());
      return false;
    }
    for (const chunk of chunks) {
      if (chunk.length === 0) continue;
      const copy = Buffer.from(chunk);
      this.#outbox.push({ bytes: copy, dueAt: this.#dueAt() });
      this.#outboxBytes += copy.length;
      if (this.#isPoisoning) this.#untaken.push({ chunk, copy });
    }
    if (this.isIdle) this.#untaken = [];
    this.#deliverSoon();
    const isContent = this.#outboxBytes <= this.#highWaterBytes;
    if (!isContent) this.#isRefused = true;
    return isContent;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#other.#deliverSoon();
  }

  end(): void {
    if (this.#isClosed || this.#hasEnded) return;
    this.#hasEnded = true;
    this.#endDueAt = this.#dueAt();
    if (this.#other.#isClosed) this.#close(undefined);
    this.#deliverSoon();
    this.#other.#deliverSoon();
  }

  /** Bytes on their way to the other end are lost; it hears `linkEnd`, and is reset when it writes. */
  destroy(error?: Error): void {
    if (this.#isClosed) return;
    this.#hasEnded = true;
    this.#endDueAt = this.#dueAt();
    this.#close(error);
    this.#deliverSoon();
  }

  /** Holds up all that this end sends, its `end` too, as a network that loses everything without a word. */
  freeze(): void {
    this.#isFrozen = true;
  }

  /** Ends {@link freeze}: what was held up goes on. */
  thaw(): void {
    this.#isFrozen = false;
    this.#deliverSoon();
  }

  /** Breaks the link: both ends hear `linkClosed` with `error` (default ECONNRESET), bytes on their way are lost. */
  reset(error: Error = connectionReset()): void {
    this.#close(error);
    this.#other.#close(error);
  }

  get #highWaterBytes(): number {
    return this.#options.highWaterBytes ?? 65_536;
  }

  get #isPoisoning(): boolean {
    return this.#options.poison !== false;
  }

  /**
   * An end that has ended is read even while it is paused, else it would never hear the other's end; the bytes are
   * dropped.
   */
  get #canDeliver(): boolean {
    const other = this.#other;
    return !this.#isFrozen && !other.#isClosed && (!other.#isPaused || other.#hasEnded);
  }

  #dueAt(): number {
    return (this.#options.clock?.now() ?? 0) + (this.#options.delayMs ?? 0);
  }

  /** Arranges for the next piece of the outbox, or the end behind it, to be delivered. */
  #deliverSoon(): void {
    const other = this.#other;
    if (this.#isDelivering || !this.#canDeliver || other.#handler === null) return;
    const isEnd = this.#outbox.length === 0;
    if (isEnd && (!this.#hasEnded || this.#isEndDelivered)) return;
    this.#isDelivering = true;
    const task = (): void => {
      this.#isDelivering = false;
      this.#deliver();
      this.#deliverSoon();
    };
    const { clock, delayMs = 0 } = this.#options;
    const waitMs = clock === undefined ? 0 : (isEnd ? this.#endDueAt : this.#outbox[0].dueAt) - clock.now();
    if (clock !== undefined && delayMs > 0 && waitMs > 0) clock.setTimeout(() => this.#schedule(task), waitMs);
    else this.#schedule(task);
  }

  #deliver(): void {
    const other = this.#other;
    if (!this.#canDeliver) return;
    if (this.#outbox.length === 0) {
      this.#isEndDelivered = true;
      other.#handler?.linkEnd();
      this.#closeIfBothEnded();
      return;
    }
    const piece = this.#takePiece();
    if (!other.#isPaused) other.#handler?.linkData(piece);
    if (this.#isPoisoning) piece.fill(POISON);
    this.#settle();
  }

  /** As many bytes as have arrived and one delivery may hold, in a buffer of their own. */
  #takePiece(): Buffer {
    const { chunkBytes = 65_536, clock } = this.#options;
    const most = Math.max(1, typeof chunkBytes === "number" ? chunkBytes : chunkBytes());
    const parts: Buffer[] = [];
    let length = 0;
    while (length < most && this.#outbox.length > 0) {
      const parcel = this.#outbox[0];
      if (parts.length > 0 && clock !== undefined && parcel.dueAt > clock.now()) break;
      const part = parcel.bytes.subarray(0, most - length);
      parts.push(part);
      length += part.length;
      parcel.bytes = parcel.bytes.subarray(part.length);
      if (parcel.bytes.length === 0) this.#outbox.shift();
    }
    this.#outboxBytes -= length;
    return Buffer.concat(parts);
  }

  /** After a delivery: chunks that are taken now are given back, and whoever was refused may write again. */
  #settle(): void {
    if (!this.isIdle || this.#isClosed) return;
    const isChanged = this.#untaken.some(({ chunk, copy }) => !copy.equals(chunk));
    this.#untaken = [];
    if (isChanged) {
      this.reset(
        new Error("a chunk was changed after write and before the link had taken it: wait for isIdle or linkDrain"),
      );
      return;
    }
    this.#tellDrain();
  }

  #tellDrain(): void {
    if (!this.#isRefused || !this.isIdle || this.#isClosed || this.#handler === null) return;
    this.#isRefused = false;
    this.#handler.linkDrain();
  }

  #closeIfBothEnded(): void {
    const other = this.#other;
    // One that was destroyed listens no more: the other's end need not arrive.
    if (!other.#isEndDelivered && !(this.#isClosed && other.#hasEnded)) return;
    this.#close(undefined);
    other.#close(undefined);
  }

  #close(error: Error | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#error = error;
    this.#outbox.length = 0;
    this.#outboxBytes = 0;
    this.#untaken = [];
    this.#schedule(() => this.#tellClosed());
  }

  #tellClosed(): void {
    if (!this.#isClosed || this.#isClosedTold || this.#handler === null) return;
    this.#isClosedTold = true;
    this.#handler.linkClosed(this.#error);
  }
}

function connectionReset(): Error {
  return Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" });
}
