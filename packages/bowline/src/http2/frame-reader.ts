import { ErrorCode, Flag, FRAME_HEADER_BYTES, FrameType, PREFACE } from "./frames.ts";

/**
 * What a frame reader calls. Lengths and flags are checked by then as far as they concern the frame alone.
 * `false` stops reading: the connection has died or gives others their turn.
 */
export interface FrameSink {
  /** DATA: `[start, end)` is what is here of the payload; `length` is the frame's whole length for flow control; `isWhole` when nothing is to come. */
  dataFrame(
    streamId: number,
    flags: number,
    length: number,
    chunk: Buffer,
    start: number,
    end: number,
    isWhole: boolean,
  ): boolean;
  /** More of the DATA frame that began; `isLast` with its end. */
  dataContinues(chunk: Buffer, start: number, end: number, isLast: boolean): boolean;
  /** HEADERS without padding and priority. `dependsOn` is -1 unless the frame had the priority fields. */
  headersFrame(streamId: number, flags: number, chunk: Buffer, start: number, end: number, dependsOn: number): boolean;
  continuationFrame(streamId: number, flags: number, chunk: Buffer, start: number, end: number): boolean;
  /** `dependsOn` is -1 when the frame has a wrong length. */
  priorityFrame(streamId: number, dependsOn: number): boolean;
  resetFrame(streamId: number, code: number): boolean;
  settingsFrame(isAck: boolean, chunk: Buffer, start: number, end: number): boolean;
  pingFrame(isAck: boolean, chunk: Buffer, start: number): boolean;
  goawayFrame(lastStreamId: number, code: number, chunk: Buffer, debugStart: number, debugEnd: number): boolean;
  windowUpdateFrame(streamId: number, increment: number): boolean;
  /** A type that RFC 9113 does not know: to be ignored. */
  unknownFrame(type: number): boolean;
  /** The peer broke the rules for frames; the connection must end. */
  connectionError(code: number, text: string): void;
  /** The first octets are not the client's preface, or the first frame is no SETTINGS: perhaps it is no HTTP/2 at all. */
  notHttp2(firstBytes: Buffer): void;
}

/** Retained chunks up to this size are put together: a peer that sends octet by octet must not have an object made for each. */
const SMALL_CHUNK_BYTES = 4096;

/**
 * Splits the octets of a link into frames, in place.
 *
 * A DATA frame that is not complete is passed on in pieces; any other is kept until the rest has come. So a connection holds at most one
 * frame's octets here, and what it was given to retain. Budget: no allocation and no copy for frames that lie whole in the chunk; one copy of
 * what is retained, and of a frame other than DATA with each chunk in which it goes on.
 */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #maxFrameBytes: number;
  /** Octets of the preface that are still to come; 0 for a client. */
  #prefaceLeft: number;
  #sawFirstFrame = false;
  /** Stream whose header block is open, or 0: only CONTINUATION may come then. */
  #openBlock = 0;
  /** Octets still to come of the DATA frame that is being passed on in pieces. */
  #dataLeft = 0;
  /** The beginning of a frame whose end is still to come, `#waiting` or not. */
  #cut: Buffer | null = null;
  /** Octets behind it that nobody has looked at, in copies. */
  readonly #waiting: Buffer[] = [];
  #waitingBytes = 0;
  /** The sink has said so; what follows waits. */
  #isStopped = false;

  constructor(sink: FrameSink, isServer: boolean, maxFrameBytes: number) {
    this.#sink = sink;
    this.#maxFrameBytes = maxFrameBytes;
    this.#prefaceLeft = isServer ? PREFACE.length : 0;
  }

  /** Octets that wait here for the rest of their frame, or for `read` to be called after a stop. */
  get retainedBytes(): number {
    return this.#waitingBytes + (this.#cut === null ? 0 : this.#cut.length);
  }

  /** Octets of what should have become the first frame, or null: none, or the first frame was read. */
  get head(): Buffer | null {
    return this.#sawFirstFrame ? null : this.#cut;
  }

  /** True while a header block waits for its CONTINUATION. */
  get isInBlock(): boolean {
    return this.#openBlock !== 0;
  }

  /** Takes octets without reading them: others have their turn. */
  retain(chunk: Buffer): void {
    const last = this.#waiting.at(-1);
    if (last !== undefined && last.length + chunk.length <= SMALL_CHUNK_BYTES) {
      this.#waiting[this.#waiting.length - 1] = Buffer.concat([last, chunk]);
    } else {
      this.#waiting.push(restOf(chunk, 0, false));
    }
    this.#waitingBytes += chunk.length;
  }

  /** Reads what was retained. */
  readRetained(): void {
    this.#isStopped = false;
    while (!this.#isStopped) {
      const chunk = this.#waiting.shift();
      if (chunk === undefined) return;
      this.#waitingBytes -= chunk.length;
      this.#read(chunk, true);
    }
  }

  /** Reads a chunk; what is left of it by an incomplete frame or a stop is copied. */
  read(chunk: Buffer): void {
    if (this.#waiting.length > 0) {
      this.retain(chunk);
      return this.readRetained();
    }
    this.#isStopped = false;
    this.#read(chunk, false);
  }

  /** `isOurs`: nobody else writes into the bytes, so that a rest of them may be kept as it is. */
  #read(bytes: Buffer, isOurs: boolean): void {
    let at = 0;
    if (this.#prefaceLeft > 0) {
      at = this.#preface(bytes);
      if (at < 0) return;
    }
    const cut = this.#cut;
    if (cut !== null) {
      this.#cut = null;
      // Whoever explains what has come instead of SETTINGS is shown all of it.
      if (!this.#sawFirstFrame) return this.#read(Buffer.concat([cut, bytes]), true);
      at = this.#complete(cut, bytes);
    }
    if (!this.#isStopped && this.#cut === null) at = this.#frames(bytes, at);
    if (at === bytes.length) return;
    const rest = restOf(bytes, at, isOurs);
    if (this.#isStopped) {
      this.#waiting.unshift(rest);
      this.#waitingBytes += rest.length;
    } else {
      this.#cut = rest;
    }
  }

  /**
   * Reads the frame that begins with `cut` and goes on in `bytes`: all of it, or as much as there is. Returns where in `bytes` it ends.
   * Nothing of what lies behind it is copied.
   */
  #complete(cut: Buffer, bytes: Buffer): number {
    let frame = cut;
    let at = 0;
    if (frame.length < FRAME_HEADER_BYTES) {
      at = Math.min(FRAME_HEADER_BYTES - frame.length, bytes.length);
      frame = Buffer.concat([frame, bytes.subarray(0, at)]);
    }
    if (frame.length >= FRAME_HEADER_BYTES) {
      const missing = FRAME_HEADER_BYTES + payloadLength(frame, 0) - frame.length;
      // What is too long for a frame is refused by its header.
      const from = at;
      at = Math.min(from + Math.max(0, missing), bytes.length);
      if (missing <= this.#maxFrameBytes) frame = Buffer.concat([frame, bytes.subarray(from, at)]);
    }
    if (this.#frames(frame, 0) === 0) this.#cut = restOf(frame, 0, true);
    return at;
  }

  /** Compares with the client's preface; -1 when more must come or it was wrong. */
  #preface(bytes: Buffer): number {
    const offset = PREFACE.length - this.#prefaceLeft;
    const length = Math.min(bytes.length, this.#prefaceLeft);
    for (let i = 0; i < length; i++) {
      if (bytes[i] !== PREFACE[offset + i]) {
        // What came before was the same as the preface, or it would have ended here already.
        this.#sink.notHttp2(offset === 0 ? bytes : Buffer.concat([PREFACE.subarray(0, offset), bytes]));
        return -1;
      }
    }
    this.#prefaceLeft -= length;
    return this.#prefaceLeft > 0 ? -1 : length;
  }

  /**
   * The loop over frames: DATA and HEADERS first, the rest in a function of its own. Returns how far it came.
   *
   * 1. the rest of a DATA frame, 2. an incomplete frame ends the loop (DATA gives what it has), 3. a whole frame by type.
   */
  #frames(bytes: Buffer, from: number): number {
    const sink = this.#sink;
    const end = bytes.length;
    let at = from;
    for (;;) {
      if (this.#dataLeft > 0) {
        if (at === end) return at;
        const take = Math.min(this.#dataLeft, end - at);
        this.#dataLeft -= take;
        at += take;
        if (!sink.dataContinues(bytes, at - take, at, this.#dataLeft === 0)) return this.#stop(at);
        continue;
      }
      if (end - at < FRAME_HEADER_BYTES) return at;
      const length = payloadLength(bytes, at);
      const type = bytes[at + 3];
      const flags = bytes[at + 4];
      const streamId = ((bytes[at + 5] & 0x7f) << 24) | (bytes[at + 6] << 16) | (bytes[at + 7] << 8) | bytes[at + 8];
      const start = at + FRAME_HEADER_BYTES;
      if (!this.#sawFirstFrame && !this.#firstFrame(type, flags, bytes, at)) return end;
      if (length > this.#maxFrameBytes) {
        return this.#fail(
          ErrorCode.FRAME_SIZE_ERROR,
          `a frame of ${length} octets, ${this.#maxFrameBytes} are allowed`,
          end,
        );
      }
      if (this.#openBlock !== 0 && (type !== FrameType.CONTINUATION || streamId !== this.#openBlock)) {
        return this.#fail(ErrorCode.PROTOCOL_ERROR, "a header block is interrupted by another frame", end);
      }
      if (end - start < length) {
        if (type !== FrameType.DATA || (flags & Flag.PADDED) !== 0 || start === end || streamId === 0) return at;
        this.#dataLeft = length - (end - start);
        return sink.dataFrame(streamId, flags, length, bytes, start, end, false) ? end : this.#stop(end);
      }
      at = start + length;
      let goesOn: boolean;
      if (type === FrameType.DATA) {
        if (streamId === 0) return this.#fail(ErrorCode.PROTOCOL_ERROR, "DATA on stream 0", end);
        if ((flags & Flag.PADDED) === 0) goesOn = sink.dataFrame(streamId, flags, length, bytes, start, at, true);
        else goesOn = this.#paddedData(streamId, flags, length, bytes, start, at);
      } else if (type === FrameType.HEADERS) {
        goesOn = this.#headers(streamId, flags, bytes, start, at);
      } else {
        goesOn = this.#control(type, streamId, flags, bytes, start, at);
      }
      if (!goesOn) return this.#stop(at);
    }
  }

  #stop(at: number): number {
    this.#isStopped = true;
    return at;
  }

  #fail(code: number, text: string, end: number): number {
    this.#sink.connectionError(code, text);
    return this.#stop(end);
  }

  #firstFrame(type: number, flags: number, bytes: Buffer, at: number): boolean {
    this.#sawFirstFrame = true;
    if (type === FrameType.SETTINGS && (flags & Flag.ACK) === 0) return true;
    this.#sink.notHttp2(bytes.subarray(at));
    return false;
  }

  #paddedData(streamId: number, flags: number, length: number, bytes: Buffer, start: number, end: number): boolean {
    if (length === 0) return this.#error(ErrorCode.FRAME_SIZE_ERROR, "DATA too short for its flags");
    if (bytes[start] >= length) return this.#error(ErrorCode.PROTOCOL_ERROR, "padding as long as the DATA frame");
    return this.#sink.dataFrame(streamId, flags, length, bytes, start + 1, end - bytes[start], true);
  }

  #headers(streamId: number, flags: number, bytes: Buffer, from: number, to: number): boolean {
    let start = from;
    let end = to;
    let dependsOn = -1;
    if (streamId === 0) {
      this.#sink.connectionError(ErrorCode.PROTOCOL_ERROR, "HEADERS on stream 0");
      return false;
    }
    if ((flags & (Flag.PADDED | Flag.PRIORITY)) !== 0) {
      const fixed = ((flags & Flag.PADDED) === 0 ? 0 : 1) + ((flags & Flag.PRIORITY) === 0 ? 0 : 5);
      if (end - start < fixed) {
        this.#sink.connectionError(ErrorCode.FRAME_SIZE_ERROR, "HEADERS too short for its flags");
        return false;
      }
      const padding = (flags & Flag.PADDED) === 0 ? 0 : bytes[start++];
      if ((flags & Flag.PRIORITY) !== 0) {
        dependsOn = bytes.readUInt32BE(start) & 0x7fffffff;
        start += 5;
      }
      if (padding > end - start) {
        this.#sink.connectionError(ErrorCode.PROTOCOL_ERROR, "padding as long as the HEADERS frame");
        return false;
      }
      end -= padding;
    }
    if ((flags & Flag.END_HEADERS) === 0) this.#openBlock = streamId;
    return this.#sink.headersFrame(streamId, flags, bytes, start, end, dependsOn);
  }

  /** Everything that is neither DATA nor HEADERS. */
  #control(type: number, streamId: number, flags: number, bytes: Buffer, start: number, end: number): boolean {
    const length = end - start;
    switch (type) {
      case FrameType.CONTINUATION:
        if (this.#openBlock === 0) return this.#error(ErrorCode.PROTOCOL_ERROR, "CONTINUATION without HEADERS");
        if ((flags & Flag.END_HEADERS) !== 0) this.#openBlock = 0;
        return this.#sink.continuationFrame(streamId, flags, bytes, start, end);
      case FrameType.WINDOW_UPDATE:
        if (length !== 4) return this.#error(ErrorCode.FRAME_SIZE_ERROR, `WINDOW_UPDATE of ${length} octets`);
        return this.#sink.windowUpdateFrame(streamId, bytes.readUInt32BE(start) & 0x7fffffff);
      case FrameType.RST_STREAM:
        if (streamId === 0) return this.#error(ErrorCode.PROTOCOL_ERROR, "RST_STREAM on stream 0");
        if (length !== 4) return this.#error(ErrorCode.FRAME_SIZE_ERROR, `RST_STREAM of ${length} octets`);
        return this.#sink.resetFrame(streamId, bytes.readUInt32BE(start));
      case FrameType.PRIORITY:
        if (streamId === 0) return this.#error(ErrorCode.PROTOCOL_ERROR, "PRIORITY on stream 0");
        return this.#sink.priorityFrame(streamId, length === 5 ? bytes.readUInt32BE(start) & 0x7fffffff : -1);
      case FrameType.SETTINGS:
        return this.#settings(streamId, flags, bytes, start, end);
      case FrameType.PING:
        if (streamId !== 0) return this.#error(ErrorCode.PROTOCOL_ERROR, "PING on a stream");
        if (length !== 8) return this.#error(ErrorCode.FRAME_SIZE_ERROR, `PING of ${length} octets`);
        return this.#sink.pingFrame((flags & Flag.ACK) !== 0, bytes, start);
      case FrameType.GOAWAY:
        if (streamId !== 0) return this.#error(ErrorCode.PROTOCOL_ERROR, "GOAWAY on a stream");
        if (length < 8) return this.#error(ErrorCode.FRAME_SIZE_ERROR, `GOAWAY of ${length} octets`);
        return this.#sink.goawayFrame(
          bytes.readUInt32BE(start) & 0x7fffffff,
          bytes.readUInt32BE(start + 4),
          bytes,
          start + 8,
          end,
        );
      case FrameType.PUSH_PROMISE:
        return this.#error(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE, though pushes are off");
      default:
        return this.#sink.unknownFrame(type);
    }
  }

  #settings(streamId: number, flags: number, bytes: Buffer, start: number, end: number): boolean {
    if (streamId !== 0) return this.#error(ErrorCode.PROTOCOL_ERROR, "SETTINGS on a stream");
    const isAck = (flags & Flag.ACK) !== 0;
    if (isAck ? end !== start : (end - start) % 6 !== 0) {
      return this.#error(ErrorCode.FRAME_SIZE_ERROR, `SETTINGS of ${end - start} octets`);
    }
    return this.#sink.settingsFrame(isAck, bytes, start, end);
  }

  #error(code: number, text: string): boolean {
    this.#sink.connectionError(code, text);
    return false;
  }
}

/** Of the frame whose header is at `at` (RFC 9113 §4.1). */
function payloadLength(bytes: Buffer, at: number): number {
  return (bytes[at] << 16) | (bytes[at + 1] << 8) | bytes[at + 2];
}

/** What is left of the bytes, in memory of which it fills at least half: an idle connection keeps it as long as it likes. */
function restOf(bytes: Buffer, at: number, isOurs: boolean): Buffer {
  const length = bytes.length - at;
  if (isOurs && length * 2 >= bytes.buffer.byteLength) return bytes.subarray(at);
  // In Node's pool one octet would hold a whole slab.
  const rest = Buffer.allocUnsafeSlow(length);
  bytes.copy(rest, 0, at);
  return rest;
}
