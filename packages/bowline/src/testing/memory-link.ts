import type { Link, LinkHandler, LinkPeer } from "../http2/link.ts";
import type { Clock, Timer } from "../rpc/clock.ts";
import { checkOptions, type OptionSpecs } from "../rpc/options.ts";
import type { Random } from "../rpc/random.ts";
import { inNextTurn } from "../rpc/turn.ts";
import { checkAtLeast, LINE_FAULTS, type LineControl, type LineFaults, LinkLine } from "./link-line.ts";

/** What lent bytes are overwritten with. */
const POISON = 0xdb;

/** How two ends in memory behave; the faults are those of both ways at first. */
export interface MemoryLinkOptions extends LineFaults {
  /** Bytes that one end may have on their way before its `write` returns false. Default 65,536. */
  readonly highWaterBytes?: number;
  /** The clock of times: `delayMs`, `jitterMs`, `bytesPerSecond`, `lingerMs`. */
  readonly clock?: Clock;
  /** The chance of `jitterMs`. Default: the process's. */
  readonly random?: Random;
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
  /**
   * An end that has ended waits this long, in ms, for its bytes to arrive and the other to end; then it is destroyed, as a
   * socket's link is. Needs `clock`. Default: forever.
   */
  readonly lingerMs?: number;
  /** Who the first and the second end say is at the other end. Default: loopback addresses. */
  readonly peers?: readonly [LinkPeer, LinkPeer];
}

const SPECS: OptionSpecs = {
  ...LINE_FAULTS,
  highWaterBytes: { kind: "any" },
  clock: { kind: "any" },
  random: { kind: "any" },
  schedule: { kind: "any" },
  isSlowToTake: { kind: "any" },
  poison: { kind: "any" },
  lingerMs: { kind: "any" },
  peers: { kind: "any" },
};

/**
 * Two ends joined in memory: what one writes the other is told, in order, in a later turn.
 *
 * Written bytes are copied at once. Throws a RangeError for an option out of range, a TypeError for an unknown one and for times without
 * `clock`.
 */
export function memoryLinkPair(options: MemoryLinkOptions = {}): [MemoryLink, MemoryLink] {
  checkOptions("memoryLinkPair options", options, SPECS);
  checkAtLeast("highWaterBytes", options.highWaterBytes ?? 0, 0);
  const [firstPeer, secondPeer] = options.peers ?? [
    { remoteAddress: "127.0.0.1:50002", localAddress: "127.0.0.1:50001" },
    { remoteAddress: "127.0.0.1:50001", localAddress: "127.0.0.1:50002" },
  ];
  const first = new MemoryLink(firstPeer, options);
  const second = new MemoryLink(secondPeer, options);
  MemoryLink.join(first, second);
  return [first, second];
}

/**
 * One end. Beside what a link does it can be frozen, reset and lost.
 *
 * `end` closes this side only: the other end hears `linkEnd` and may go on writing; both are closed when both have
 * ended.
 */
export class MemoryLink implements Link {
  readonly peer: LinkPeer;
  /** Settles when this end is closed: with the error of `linkClosed`. */
  readonly closed: Promise<Error | undefined>;
  /** What this end sends travels on it. */
  readonly #line: LinkLine;
  readonly #options: MemoryLinkOptions;
  readonly #schedule: (task: () => void) => void;
  #other: MemoryLink = this;
  #handler: LinkHandler | null = null;
  /** Written chunks that may not change yet, each with its copy. */
  #untaken: { readonly chunk: Uint8Array; readonly copy: Buffer }[] = [];
  /** `write` returned false and no drain was told since. */
  #isRefused = false;
  #isPaused = false;
  /** A delivery from the line is scheduled, by this timer while time must pass before. */
  #isDelivering = false;
  #deliveryTimer: Timer | null = null;
  #lingerTimer: Timer | null = null;
  #hasEnded = false;
  #isEndDelivered = false;
  #isClosed = false;
  #isClosedTold = false;
  #error: Error | undefined;
  #resolveClosed: (error: Error | undefined) => void = () => {};

  /** Use {@link memoryLinkPair}. */
  constructor(peer: LinkPeer, options: MemoryLinkOptions) {
    this.peer = peer;
    this.#options = options;
    this.#schedule = options.schedule ?? inNextTurn;
    const { delayMs, jitterMs, bytesPerSecond, chunkBytes, resetAfterBytes } = options;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.#line = new LinkLine(() => this.#deliverSoon(), options.clock, options.random);
    this.#line.set({ delayMs, jitterMs, bytesPerSecond, chunkBytes, resetAfterBytes });
  }

  /** Makes two new links the ends of one. */
  static join(first: MemoryLink, second: MemoryLink): void {
    first.#other = second;
    second.#other = first;
  }

  get isIdle(): boolean {
    return this.#isClosed || this.#line.queuedBytes <= (this.#options.isSlowToTake ? 0 : this.#highWaterBytes);
  }

  /** Bytes that this end has written and the other was not given yet. */
  get undeliveredBytes(): number {
    return this.#line.queuedBytes;
  }

  /** The way of what this end sends. */
  get line(): LineControl {
    return this.#line;
  }

  /** True once this end was ended or destroyed here. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** True once this end was closed, whoever did it. */
  get isClosed(): boolean {
    return this.#isClosed;
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
    if (this.#other.#isClosed && this.#isHeard) {
      this.#close(connectionReset());
      return false;
    }
    for (const chunk of chunks) {
      if (chunk.length === 0) continue;
      const copy = Buffer.from(chunk);
      this.#line.push(copy);
      if (this.#isPoisoning) this.#untaken.push({ chunk, copy });
    }
    if (this.isIdle) this.#untaken = [];
    this.#deliverSoon();
    const isContent = this.#line.queuedBytes <= this.#highWaterBytes;
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
    this.#line.end();
    if (this.#other.#isClosed && this.#isHeard) this.#close(undefined);
    else this.#linger();
    this.#deliverSoon();
    this.#other.#deliverSoon();
  }

  /** Bytes on their way to the other end are lost; it hears `linkEnd`, and is reset when it writes. */
  destroy(error?: Error): void {
    if (this.#isClosed) return;
    this.#hasEnded = true;
    this.#line.end();
    this.#close(error);
    this.#deliverSoon();
  }

  /** Holds up all that this end sends, its `end` too, as a network that loses everything without a word. */
  freeze(): void {
    this.#line.freeze();
  }

  /** Ends {@link freeze}: what was held up goes on. */
  thaw(): void {
    this.#line.thaw();
  }

  /** As {@link freeze}, for those who must not undo what others hold up: until each has called {@link release}. */
  hold(by: object): void {
    this.#line.hold(by);
  }

  /** Ends {@link hold} by the same. */
  release(by: object): void {
    this.#line.release(by);
  }

  /** Breaks the link: both ends hear `linkClosed` with `error` (default ECONNRESET), bytes on their way are lost. */
  reset(error: Error = connectionReset()): void {
    this.#close(error);
    this.#other.#close(error);
  }

  /**
   * Leaves without a word, as a machine without power does: this end hears `linkClosed` with `error` (default ETIMEDOUT),
   * the other hears nothing ever again, and what it writes is lost.
   */
  vanish(error: Error = timedOut()): void {
    this.#line.cut();
    this.#other.#line.cut();
    this.#close(error);
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
    return !this.#line.isStopped && !other.#isClosed && (!other.#isPaused || other.#hasEnded);
  }

  /** What happens at the other end can be known here. */
  get #isHeard(): boolean {
    return !this.#line.isStopped && !this.#other.#line.isStopped;
  }

  /** Arranges for the next piece on the line, or the end behind it, to be delivered. */
  #deliverSoon(): void {
    const other = this.#other;
    if (this.#isDelivering || !this.#canDeliver || other.#handler === null) return;
    const { waitMs } = this.#line;
    if (waitMs === Number.POSITIVE_INFINITY || (this.#line.isAtEnd && this.#isEndDelivered)) return;
    this.#isDelivering = true;
    const task = (): void => {
      this.#isDelivering = false;
      this.#deliver();
      this.#deliverSoon();
    };
    const { clock } = this.#options;
    if (clock === undefined || waitMs <= 0) return this.#schedule(task);
    this.#deliveryTimer = clock.setTimeout(() => {
      this.#deliveryTimer = null;
      this.#schedule(task);
    }, waitMs);
  }

  #deliver(): void {
    const other = this.#other;
    if (!this.#canDeliver) return;
    if (this.#line.isSpent) return this.reset();
    if (this.#line.isAtEnd) {
      this.#isEndDelivered = true;
      other.#handler?.linkEnd();
      this.#closeIfBothEnded();
      return;
    }
    const piece = this.#taken();
    if (piece === null) return;
    if (!other.#isPaused) other.#handler?.linkData(piece);
    if (this.#isPoisoning) piece.fill(POISON);
    if (this.#line.isSpent) this.reset();
    else this.#settle();
  }

  /** Null when that broke the link. */
  #taken(): Buffer | null {
    try {
      return this.#line.take();
    } catch (error) {
      this.reset(error instanceof Error ? error : new Error(String(error), { cause: error }));
      return null;
    }
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
    this.#line.clear();
    this.#untaken = [];
    this.#lingerTimer?.cancel();
    this.#resolveClosed(error);
    for (const end of [this, this.#other]) end.#stopWaiting();
    this.#schedule(() => this.#tellClosed());
  }

  /** A delivery that time must pass for is not waited for: the piece is lost, and an end is arranged for anew. */
  #stopWaiting(): void {
    if (this.#deliveryTimer === null) return;
    this.#deliveryTimer.cancel();
    this.#deliveryTimer = null;
    this.#isDelivering = false;
    this.#deliverSoon();
  }

  #linger(): void {
    const { clock, lingerMs = Number.POSITIVE_INFINITY } = this.#options;
    if (clock === undefined || lingerMs === Number.POSITIVE_INFINITY) return;
    this.#lingerTimer = clock.setTimeout(() => {
      const rest = this.#line.queuedBytes;
      const why = `${this.peer.remoteAddress} did not take the last ${rest} bytes within ${lingerMs} ms`;
      this.destroy(rest === 0 ? undefined : new Error(why));
    }, lingerMs);
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

function timedOut(): Error {
  return Object.assign(new Error("read ETIMEDOUT"), { code: "ETIMEDOUT" });
}
