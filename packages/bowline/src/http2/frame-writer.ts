import { atEndOfTurn, inNextTurn } from "../rpc/turn.ts";
import { Flag, FRAME_HEADER_BYTES, FrameType } from "./frames.ts";
import type { Link } from "./link.ts";

/** Size of an output arena: about what a socket takes at once. */
const ARENA_BYTES = 65_536;
/** Arenas that wait in the process for the next connection that has something to say. */
const MAX_SPARE_ARENAS = 64;
/**
 * What waits as pieces at most: it is handed on then, so that the link can say that it is enough. (Measured with messages of 1 MiB: at 128 KiB
 * their server takes a quarter more CPU, here as much as without a bound.)
 */
const MAX_PIECES_BYTES = 524_288;
/** Payloads from this size on go by reference instead of through the arena. */
export const BY_REFERENCE_BYTES = 16_384;

const spareArenas: Buffer[] = [];
const NO_ARENA: Buffer = Buffer.alloc(0);

/**
 * The output of one connection: all frames of a turn are appended to one arena and handed to the link once, when the turn
 * ends or the arena is full. Appending is `reserve`, writing at `offset` in `buffer`, and moving `offset`.
 *
 * Between flushes an idle connection owns no arena (measured: 10 instead of 18 KiB a connection).
 */
export class FrameWriter {
  /** The arena; valid after `reserve` until the next `reserve` or flush. */
  buffer: Buffer = NO_ARENA;
  /** Where the next octet goes. */
  offset = 0;
  /** True while the link wants no more data; frames may still be appended, producers must wait. */
  isCongested = false;
  /** Control frames appended since the link took everything the last time. */
  pendingAcks = 0;
  /** Octets handed on though the link wanted no more, since it has taken everything the last time. */
  congestedBytes = 0;
  /** Set with each DATA frame that `data` writes, by window or at once; reset by who asks. */
  hasSentData = false;

  readonly #link: Link;
  /** The arena's length; 0 without one, and while it is lent. */
  #limit = 0;
  /** Start of what was not handed on yet. */
  #start = 0;
  /** Pieces before `#start` that wait together with payloads by reference. */
  #pieces: Uint8Array[] | null = null;
  #piecesBytes = 0;
  #isScheduled = false;
  #isClosed = false;
  #isWatching = false;
  /** While true the end of a turn flushes nothing: the next turn goes on with the same work. */
  #isHeld = false;
  readonly #flush = (): void => {
    this.#isScheduled = false;
    if (!this.#isHeld) this.flush();
  };
  readonly #look = (): void => {
    this.#isWatching = false;
    if (this.isEmpty && this.#link.isIdle) this.#release();
  };

  constructor(link: Link) {
    this.#link = link;
  }

  /** True when nothing waits to be flushed. */
  get isEmpty(): boolean {
    return this.offset === this.#start && this.#pieces === null;
  }

  /** Makes room for `bytes` more octets behind `offset`, and has them flushed when the turn ends. */
  reserve(bytes: number): void {
    if (this.offset + bytes > this.#limit) this.#rotate(bytes);
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      atEndOfTurn(this.#flush);
    }
  }

  /**
   * Gives the arena to code of users, to be written behind `offset`. What that appends itself until `takeBack`, by a call in a getter,
   * goes to another arena, which is `buffer` then: what was written must be copied.
   */
  lend(): Buffer {
    this.#limit = 0;
    return this.buffer;
  }

  /** The end of `lend`. */
  takeBack(arena: Buffer): void {
    if (this.buffer === arena) this.#limit = arena.length;
  }

  /** Writes a frame header at `at` and returns the position behind it. */
  header(at: number, length: number, type: number, flags: number, streamId: number): number {
    const buffer = this.buffer;
    buffer[at] = length >>> 16;
    buffer[at + 1] = length >>> 8;
    buffer[at + 2] = length;
    buffer[at + 3] = type;
    buffer[at + 4] = flags;
    buffer[at + 5] = streamId >>> 24;
    buffer[at + 6] = streamId >>> 16;
    buffer[at + 7] = streamId >>> 8;
    buffer[at + 8] = streamId;
    return at + FRAME_HEADER_BYTES;
  }

  /** A frame of one 32-bit number: WINDOW_UPDATE, RST_STREAM. */
  number(type: number, streamId: number, value: number): void {
    this.reserve(FRAME_HEADER_BYTES + 4);
    const at = this.header(this.offset, 4, type, Flag.NONE, streamId);
    this.offset = this.buffer.writeUInt32BE(value >>> 0, at);
  }

  ping(payload: Uint8Array, ack: boolean): void {
    this.reserve(FRAME_HEADER_BYTES + 8);
    const at = this.header(this.offset, 8, FrameType.PING, ack ? Flag.ACK : Flag.NONE, 0);
    this.buffer.set(payload, at);
    this.offset = at + 8;
  }

  settings(entries: readonly (readonly [number, number])[], ack: boolean): void {
    this.reserve(FRAME_HEADER_BYTES + entries.length * 6);
    let at = this.header(this.offset, entries.length * 6, FrameType.SETTINGS, ack ? Flag.ACK : Flag.NONE, 0);
    for (const [id, value] of entries) {
      at = this.buffer.writeUInt16BE(id, at);
      at = this.buffer.writeUInt32BE(value >>> 0, at);
    }
    this.offset = at;
  }

  goaway(lastStreamId: number, code: number, debug: string): void {
    const text = Buffer.from(debug, "utf8");
    this.reserve(FRAME_HEADER_BYTES + 8 + text.length);
    let at = this.header(this.offset, 8 + text.length, FrameType.GOAWAY, Flag.NONE, 0);
    at = this.buffer.writeUInt32BE(lastStreamId, at);
    at = this.buffer.writeUInt32BE(code, at);
    this.buffer.set(text, at);
    this.offset = at + text.length;
  }

  /** Octets as they stand: the preface. */
  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.buffer.set(bytes, this.offset);
    this.offset += bytes.length;
  }

  /** A header block of any length, split by CONTINUATION where it passes `maxFrameBytes`. */
  headers(streamId: number, block: Uint8Array, endStream: boolean, maxFrameBytes: number): void {
    let type: number = FrameType.HEADERS;
    let from = 0;
    do {
      const length = Math.min(block.length - from, maxFrameBytes);
      const isLast = from + length === block.length;
      let flags: number = isLast ? Flag.END_HEADERS : Flag.NONE;
      if (type === FrameType.HEADERS && endStream) flags |= Flag.END_STREAM;
      this.reserve(FRAME_HEADER_BYTES + length);
      const at = this.header(this.offset, length, type, flags, streamId);
      this.buffer.set(block.subarray(from, from + length), at);
      this.offset = at + length;
      from += length;
      type = FrameType.CONTINUATION;
    } while (from < block.length);
  }

  /** One DATA frame; the payload goes by reference from 16 KiB on and must not change then until the link is idle. */
  data(streamId: number, payload: Uint8Array, endStream: boolean): void {
    const flags = endStream ? Flag.END_STREAM : Flag.NONE;
    this.hasSentData = true;
    const isLarge = payload.length >= BY_REFERENCE_BYTES;
    this.reserve(FRAME_HEADER_BYTES + (isLarge ? 0 : payload.length));
    const at = this.header(this.offset, payload.length, FrameType.DATA, flags, streamId);
    if (isLarge) {
      this.offset = at;
      this.#reference(payload);
    } else {
      this.buffer.set(payload, at);
      this.offset = at + payload.length;
    }
  }

  /** Keeps what is written until `release`, over ends of turns; a full arena is still handed on. */
  hold(): void {
    this.#isHeld = true;
  }

  /** Flushes at the end of this turn what was held. */
  release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    if (!this.isEmpty) this.reserve(0);
  }

  /** Hands everything to the link now. */
  flush(): void {
    this.#isScheduled = false;
    if (this.#isClosed) return this.#drop();
    if (this.#link.isIdle) this.pendingAcks = 0;
    if (this.isCongested) this.congestedBytes += this.offset - this.#start;
    const pieces = this.#pieces;
    if (pieces !== null) {
      this.#pieces = null;
      this.#piecesBytes = 0;
      if (this.offset > this.#start) pieces.push(this.buffer.subarray(this.#start, this.offset));
      if (!this.#link.writeAll(pieces)) this.isCongested = true;
    } else if (this.offset > this.#start) {
      if (!this.#link.write(this.buffer.subarray(this.#start, this.offset))) this.isCongested = true;
    }
    this.#start = this.offset;
    if (this.#link.isIdle) return this.#release();
    // A TLS socket is busy after each write, and one that refuses nothing never tells of having caught up.
    if (this.#isWatching) return;
    this.#isWatching = true;
    inNextTurn(this.#look);
  }

  /** The link has taken everything. */
  drained(): void {
    this.isCongested = false;
    this.congestedBytes = 0;
    this.pendingAcks = 0;
    if (this.isEmpty) this.#release();
  }

  /** Nothing will be sent any more. */
  close(): void {
    this.#isClosed = true;
    this.#drop();
  }

  /** The system took all that was handed on: the arena may be written over, by this or another connection. */
  #release(): void {
    this.pendingAcks = 0;
    if (this.#limit === ARENA_BYTES && spareArenas.length < MAX_SPARE_ARENAS) spareArenas.push(this.buffer);
    this.#drop();
  }

  #drop(): void {
    this.buffer = NO_ARENA;
    this.#limit = 0;
    this.offset = 0;
    this.#start = 0;
    this.#pieces = null;
  }

  /** The arena is full. What the link still reads from is left to it; a new arena takes over. */
  #rotate(bytes: number): void {
    if (this.#pieces !== null) {
      this.#endPiece(this.#pieces);
    } else if (this.offset > this.#start) {
      this.#flushEarly();
    }
    this.buffer =
      bytes > ARENA_BYTES ? Buffer.allocUnsafeSlow(bytes) : (spareArenas.pop() ?? Buffer.allocUnsafeSlow(ARENA_BYTES));
    this.#limit = this.buffer.length;
    this.offset = 0;
    this.#start = 0;
  }

  #reference(payload: Uint8Array): void {
    this.#pieces ??= [];
    this.#endPiece(this.#pieces);
    this.#pieces.push(payload);
    this.#piecesBytes += payload.length;
    if (this.#piecesBytes >= MAX_PIECES_BYTES) this.#flushEarly();
  }

  /** Before the turn has ended: what is scheduled for its end stays so. */
  #flushEarly(): void {
    const wasScheduled = this.#isScheduled;
    this.flush();
    this.#isScheduled = wasScheduled;
  }

  #endPiece(pieces: Uint8Array[]): void {
    if (this.offset === this.#start) return;
    pieces.push(this.buffer.subarray(this.#start, this.offset));
    this.#piecesBytes += this.offset - this.#start;
    this.#start = this.offset;
  }
}
