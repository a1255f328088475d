import { type Codec, decode, SHOWS_BYTES } from "../codec/codec.ts";
import type { Compression } from "../codec/compression.ts";
import { DEFAULT_MAX_FRAME_BYTES } from "../http2/frames.ts";
import type { Http2Stream } from "../http2/stream.ts";
import { Code } from "../rpc/code.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import { inNextTurn } from "../rpc/turn.ts";
import { protocolError, tooLarge, undecodable, unnamedEncoding } from "./wire/framing-errors.ts";
import { maxCompressedBytes, PREFIX_BYTES } from "./wire/message-framing.ts";

const FIRST_BACKLOG_BYTES = 1024;
/** An empty backlog of more than this is let go. */
const LARGE_BACKLOG_BYTES = 65_536;
const NOTHING: Buffer = Buffer.alloc(0);
/**
 * Messages that are read in a row when all of them are there already. A reader that waits for nothing else would else keep the event loop
 * to itself until the window is read: 0.4 s with empty messages.
 */
const MAX_BURST = 512;
/** An inflated message counts as so many, and as one more for each 4 KiB that it became: a burst of them takes 2 ms at most. */
const INFLATION_COST = 8;
const COST_SHIFT = 12;

/** What a reader needs of its stream. */
export interface ReaderStream extends Http2Stream {
  /** `heldBytes` has changed: window may be given. */
  credit(): void;
  /** The user stopped reading before the end. */
  abandoned(): void;
  /** What arrived can't be read: the call ends with this error. */
  unreadable(error: RpcError): void;
  /** Why what has come is not to be read any more, although the peer has ended its side in order; null to read on. */
  withdrawn?(): RpcError | null;
}

interface Waiting<T> {
  resolve(result: IteratorResult<T>): void;
  reject(error: unknown): void;
}

/**
 * The messages of one direction of a stream, for `for await`.
 *
 * A message is decoded when somebody asks for it, never before: what nobody reads stays as octets, no window is given for it,
 * and the sender has to wait. (Decoded tiny messages would weigh many times their octets: attack row 15.)
 */
export class MessageReader<T> implements AsyncIterableIterator<T> {
  readonly #stream: ReaderStream;
  readonly #codec: Codec<T>;
  readonly #maxMessageBytes: number;
  /** Set when the peer named an encoding; messages with the flag go through it. */
  #compression: Compression | null;
  #wasCompressed = false;
  #backlog: Buffer = NOTHING;
  /** The user sees parts of the backlog: what comes goes into another one. */
  #isShown = false;
  #readAt = 0;
  #writeAt = 0;
  #waiting: Waiting<T> | null = null;
  /** Reads behind `#waiting`, of a user who did not wait for the one before; null = none yet. */
  #line: Waiting<T>[] | null = null;
  /** The waiting reader's message is being inflated; it must not get another one. */
  #inflation: Promise<Buffer> | null = null;
  /** What of a burst is left; at 0 or below, the next message that is there already comes in the next turn. */
  #left = MAX_BURST;
  /** That turn is asked for. */
  #isResting = false;
  #isEnded = false;
  #error: RpcError | null = null;

  constructor(stream: ReaderStream, codec: Codec<T>, maxMessageBytes: number, compression: Compression | null) {
    this.#stream = stream;
    this.#codec = codec;
    this.#maxMessageBytes = maxMessageBytes;
    this.#compression = compression;
  }

  /** True when the message that was read last came compressed. */
  get wasCompressed(): boolean {
    return this.#wasCompressed;
  }

  /** The peer's encoding is known only now. */
  use(compression: Compression): void {
    this.#compression = compression;
  }

  /** Octets from the stream; copied unless a waiting reader takes them at once. */
  push(chunk: Buffer, start: number, end: number): void {
    if (this.#error !== null || this.#isEnded) return;
    let at = start;
    const isWanted = this.#waiting !== null && this.#inflation === null;
    if (isWanted && this.#readAt === this.#writeAt && end - start >= PREFIX_BYTES && chunk[start] === 0) {
      const length = chunk.readUInt32BE(start + 1);
      const to = start + PREFIX_BYTES + length;
      if (to <= end && length <= this.#maxMessageBytes) {
        at = to;
        this.#deliver(chunk, start + PREFIX_BYTES, to, false);
      }
    }
    while (at < end && this.#error === null) {
      const to = Math.min(end, at + this.#missing());
      this.#append(chunk, at, to);
      this.#serve();
      at = to;
    }
    this.#hold();
  }

  /** The peer has ended its side; with an error what was received is still read first. */
  end(error: RpcError | null): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#error ??= error;
    this.#serve();
  }

  /** The call is over: nothing more is read. */
  fail(error: RpcError): void {
    this.#isEnded = true;
    this.#error = error;
    this.#backlog = NOTHING;
    this.#readAt = 0;
    this.#writeAt = 0;
    this.#inflation = null;
    while (this.#waiting !== null) this.#taken().reject(error);
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#isEnded && this.#readAt < this.#writeAt && this.#waiting === null) this.#heedWithdrawal();
    return this.#nextPlain() ?? new Promise((resolve, reject) => this.#wait({ resolve, reject }));
  }

  /** A message that is here as it was sent is given at once, without what waiting for one takes; null when there is none. */
  #nextPlain(): Promise<IteratorResult<T>> | null {
    const bytes = this.#backlog;
    const at = this.#readAt;
    if (this.#waiting !== null || this.#writeAt - at < PREFIX_BYTES || bytes[at] !== 0 || this.#left <= 0) return null;
    const length = bytes.readUInt32BE(at + 1);
    const start = at + PREFIX_BYTES;
    if (start + length > this.#writeAt || length > this.#maxMessageBytes) return null;
    let value: T;
    try {
      value = this.#codec.read(bytes, start, start + length);
    } catch {
      // Read again, and judged, by those who wait.
      return null;
    }
    this.#readAt = start + length;
    this.#wasCompressed = false;
    this.#left--;
    this.#hold();
    return Promise.resolve({ value, done: false });
  }

  #wait(waiting: Waiting<T>): void {
    if (this.#waiting !== null) {
      this.#line ??= [];
      this.#line.push(waiting);
      return;
    }
    this.#waiting = waiting;
    this.#serve();
    this.#hold();
  }

  /** The user left the loop: the call is cancelled unless it has ended. */
  return(): Promise<IteratorResult<T>> {
    if (!this.#isEnded) this.#stream.abandoned();
    this.fail(new RpcError(Code.CANCELLED, "the stream was left before its end", { reason: "cancelled" }));
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #heedWithdrawal(): void {
    const error = this.#stream.withdrawn?.() ?? null;
    if (error !== null) this.fail(error);
  }

  /** The reader whose turn it is; the next one in line takes its place. */
  #taken(): Waiting<T> {
    const waiting = this.#waiting as Waiting<T>;
    this.#waiting = this.#line?.shift() ?? null;
    return waiting;
  }

  /** Gives waiting readers the messages at the front of the backlog, or the end. */
  #serve(): void {
    while (this.#waiting !== null && this.#inflation === null) {
      const available = this.#writeAt - this.#readAt;
      if (available >= PREFIX_BYTES) {
        const flag = this.#backlog[this.#readAt];
        const length = this.#backlog.readUInt32BE(this.#readAt + 1);
        if (flag > 1) return this.#unreadable(badFlag(flag));
        if (this.#isTooLarge(flag, length)) return this.#unreadable(tooLarge(length, this.#maxMessageBytes));
        if (available >= PREFIX_BYTES + length) {
          if (this.#left <= 0) return this.#rest();
          this.#left--;
          const start = this.#readAt + PREFIX_BYTES;
          this.#readAt = start + length;
          if (flag === 0) this.#deliver(this.#backlog, start, start + length, false);
          else this.#inflate(start, start + length);
          continue;
        }
      }
      if (!this.#isEnded) {
        // What is waited for comes in another turn.
        this.#left = MAX_BURST;
        return;
      }
      if (this.#error !== null) this.#taken().reject(this.#error);
      else if (available > 0) this.#unreadable(protocolError("the stream ended inside a message"));
      else this.#taken().resolve({ value: undefined, done: true });
    }
  }

  /** Others have their turn before the next message is read. */
  #rest(): void {
    if (this.#isResting) return;
    this.#isResting = true;
    inNextTurn(() => {
      this.#isResting = false;
      this.#left = MAX_BURST;
      if (this.#isEnded && this.#waiting !== null) this.#heedWithdrawal();
      // Whoever waited may have left meanwhile.
      if (this.#waiting === null) return;
      this.#serve();
      this.#hold();
    });
  }

  #deliver(bytes: Buffer, start: number, end: number, wasCompressed: boolean): void {
    let value: T;
    try {
      const isOwned = start === PREFIX_BYTES && end === bytes.length && bytes === this.#backlog;
      value = decode(this.#codec, bytes, start, end, isOwned);
      if (isOwned) this.#backlog = NOTHING;
      else if (bytes === this.#backlog && SHOWS_BYTES in this.#codec) this.#isShown = true;
    } catch (error) {
      this.#unreadable(undecodable(error));
      return;
    }
    this.#wasCompressed = wasCompressed;
    this.#taken().resolve({ value, done: false });
  }

  #inflate(start: number, end: number): void {
    const compression = this.#compression;
    if (compression === null) return this.#unreadable(unnamedEncoding());
    // A copy: the backlog moves while the inflation runs.
    const bytes = Buffer.from(this.#backlog.subarray(start, end));
    const inflation = (async () => compression.decompress(bytes, this.#maxMessageBytes, true))();
    this.#inflation = inflation;
    inflation.then(
      (inflated) => {
        if (this.#inflation !== inflation) return;
        this.#inflation = null;
        this.#left -= INFLATION_COST + (inflated.length >>> COST_SHIFT);
        this.#deliver(inflated, 0, inflated.length, true);
        this.#serve();
        this.#hold();
      },
      (error) => {
        if (this.#inflation === inflation) this.#unreadable(undecodable(error));
      },
    );
  }

  #isTooLarge(flag: number, length: number): boolean {
    const max = this.#maxMessageBytes;
    return length > max && (flag !== 1 || length > maxCompressedBytes(max));
  }

  #unreadable(error: RpcError): void {
    this.fail(error);
    this.#stream.unreadable(error);
  }

  /** Octets of whole messages that wait to be read are held back; those of a message still coming must not be. */
  #hold(): void {
    // Who has left reads no more, and what has ended needs no window.
    if (this.#isEnded) return;
    const available = this.#writeAt - this.#readAt;
    let held = 0;
    if (available >= PREFIX_BYTES) {
      const length = this.#backlog.readUInt32BE(this.#readAt + 1);
      const flag = this.#backlog[this.#readAt];
      if (available >= PREFIX_BYTES + length) held = available;
      else if (this.#isTooLarge(flag, length)) {
        // Judged when the message before it has been inflated and given.
        if (this.#inflation !== null) held = available;
        else return this.#unreadable(flag > 1 ? badFlag(flag) : tooLarge(length, this.#maxMessageBytes));
      }
    }
    if (held === this.#stream.heldBytes) return;
    this.#stream.heldBytes = held;
    this.#stream.credit();
  }

  /** Octets that the message at the front still lacks; Infinity when its length is not known. */
  #missing(): number {
    const kept = this.#writeAt - this.#readAt;
    if (kept < PREFIX_BYTES || this.#waiting === null) return Number.POSITIVE_INFINITY;
    const lacks = PREFIX_BYTES + this.#backlog.readUInt32BE(this.#readAt + 1) - kept;
    return lacks > 0 ? lacks : Number.POSITIVE_INFINITY;
  }

  #append(chunk: Buffer, start: number, end: number): void {
    const bytes = end - start;
    const kept = this.#writeAt - this.#readAt;
    if (kept === 0) {
      this.#readAt = 0;
      this.#writeAt = 0;
      if (this.#backlog.length > LARGE_BACKLOG_BYTES) this.#backlog = NOTHING;
    }
    if (this.#writeAt + bytes > this.#backlog.length || this.#isShown) {
      const size = this.#roomFor(kept, kept + bytes);
      const isRoomy = size === this.#backlog.length && !this.#isShown;
      const target = isRoomy ? this.#backlog : Buffer.allocUnsafeSlow(size);
      this.#isShown = false;
      this.#backlog.copy(target, 0, this.#readAt, this.#writeAt);
      this.#backlog = target;
      this.#readAt = 0;
      this.#writeAt = kept;
    }
    chunk.copy(this.#backlog, this.#writeAt, start, end);
    this.#writeAt += bytes;
  }

  /**
   * Size of a backlog for `needed` octets, `kept` of them there already: doubled, so that little is copied twice, but not beyond what
   * the peer may send before somebody reads. A stream that nobody reads costs its window, not twice as much.
   */
  #roomFor(kept: number, needed: number): number {
    let size = Math.max(this.#backlog.length, FIRST_BACKLOG_BYTES);
    while (size < needed) size *= 2;
    if (size <= LARGE_BACKLOG_BYTES) return size;
    // A large message gets a buffer of its own, of just its size, once half of it is here.
    const whole = kept + this.#missing();
    if (size * 2 >= whole) return Math.max(whole, needed);
    if (size === this.#backlog.length) return size;
    const first = kept < PREFIX_BYTES ? 0 : PREFIX_BYTES + this.#backlog.readUInt32BE(this.#readAt + 1);
    // The window has the whole of the frame whose octets come in pieces.
    const most = needed + Math.max(0, this.#stream.receiveWindow) + DEFAULT_MAX_FRAME_BYTES;
    return Math.min(size, Math.max(first, most));
  }
}

function badFlag(flag: number): RpcError {
  return protocolError(`message flag ${flag} is neither 0 nor 1`);
}
