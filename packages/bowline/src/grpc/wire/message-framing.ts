/**
 * The length-prefixed messages of gRPC in DATA (PROTOCOL-HTTP2.md, "Length-Prefixed-Message"): one flag byte, four
 * bytes of length, the message.
 *
 * Budget: a message that fills its DATA frame, as nearly every unary message does, is found by {@link
 * wholeMessageLength} and decoded where it lies. Only what is cut up is copied, and what came before half of a large
 * message was here, twice.
 */

/** Bytes in front of each message. */
export const PREFIX_BYTES = 5;

/** What {@link MessageAssembler.push} returns when all is well. */
export const FRAMING_OK = 0;
/**
 * The prefix announced more than the limit: RESOURCE_EXHAUSTED. {@link MessageAssembler.announcedBytes} says how much.
 */
export const FRAMING_TOO_LARGE = 1;
/** The flag byte was neither 0 nor 1: INTERNAL. */
export const FRAMING_BAD_FLAG = 2;

/** Result of {@link MessageAssembler.push}. */
export type FramingResult = typeof FRAMING_OK | typeof FRAMING_TOO_LARGE | typeof FRAMING_BAD_FLAG;

/**
 * Memory that a message may take before the bytes for it have come. Small, because a peer can begin a message on each
 * of a thousand streams; honest peers fill their frames, so that it costs them nothing.
 */
const EARLY_BYTES = 4096;
/** Below this, copying in a loop beats a call out of JavaScript. */
const LOOP_COPY_BYTES = 32;

/** Largest buffer that comes from the platform's pool. */
const POOLED_BYTES = 8192;

/** Writes the prefix of a message of `length` bytes and returns the position behind it. */
export function writePrefix(target: Buffer, at: number, compressed: boolean, length: number): number {
  target[at] = compressed ? 1 : 0;
  target[at + 1] = length >>> 24;
  target[at + 2] = length >>> 16;
  target[at + 3] = length >>> 8;
  target[at + 4] = length;
  return at + PREFIX_BYTES;
}

/**
 * The length of the message when `chunk[start, end)` is exactly one uncompressed message with its prefix, else -1. The
 * caller compares it with its limit. For a stream only while no message is cut off ({@link
 * MessageAssembler.isPartial}).
 */
export function wholeMessageLength(chunk: Buffer, start: number, end: number): number {
  const length = end - start - PREFIX_BYTES;
  if (length < 0 || chunk[start] !== 0) return -1;
  const announced = (chunk[start + 1] << 24) | (chunk[start + 2] << 16) | (chunk[start + 3] << 8) | chunk[start + 4];
  return announced === length ? length : -1;
}

/** What a compressed message may announce where one of `maxBytes` may come of it: incompressible data grow by about 1/1000. */
export function maxCompressedBytes(maxBytes: number): number {
  return maxBytes + Math.floor(maxBytes / 1024) + 64;
}

/** Takes the messages that a {@link MessageAssembler} finds. */
export interface MessageSink {
  /**
   * One message, `buffer[start, end)`. When `owned`, the buffer was made for this message alone and may be kept; else
   * the bytes belong to the connection and are overwritten after this call.
   */
  message(buffer: Buffer, start: number, end: number, compressed: boolean, owned: boolean): void;
}

/**
 * Cuts the bytes of a stream into messages, wherever the frames end.
 *
 * ```
 * prefix ── 5 bytes ──▶ body ── last byte ──▶ prefix
 *    └─ bad flag, too large, stop() ──▶ stopped
 * ```
 *
 * The limit is checked at the prefix, before anything is kept. What is kept stays below twice what has arrived plus 4
 * KiB, whatever a prefix announces: pieces at first, the whole message once half of it is here (in the first frame, as
 * a rule).
 */
export class MessageAssembler {
  /** The length in the last prefix, for the message of an error. */
  announcedBytes = 0;
  readonly #maxBytes: number;
  /** Bytes of the prefix that have come, 0 to 5. At 5 the body is being read. */
  #prefixBytes = 0;
  #flag = 0;
  /** Bytes of the message that have come. */
  #received = 0;
  /** Where they go: the whole message, or the newest piece while `#pieces` is not null. */
  #buffer: Buffer | null = null;
  /** Next free byte in `#buffer`. */
  #writeOffset = 0;
  /** Full pieces before `#buffer`; null when `#buffer` is the whole message. */
  #pieces: Buffer[] | null = null;
  #isStopped = false;

  /** `maxBytes` bounds a message; a compressed one may announce more, see `maxCompressedBytes`. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** True when a message or a prefix has begun and not ended: at the end of a stream it was cut off. */
  get isPartial(): boolean {
    return this.#prefixBytes > 0;
  }

  /** Drops what is kept and ignores all that comes: for a call that has ended, also from inside `message`. */
  stop(): void {
    this.#isStopped = true;
    this.#reset();
  }

  /**
   * Takes `chunk[start, end)` and hands each message that is complete to `sink`. After an error nothing more is taken.
   */
  push(chunk: Buffer, start: number, end: number, sink: MessageSink): FramingResult {
    let at = start;
    while (at < end && !this.#isStopped) {
      if (this.#prefixBytes === PREFIX_BYTES) {
        at = this.#takeBody(chunk, at, end, sink);
        continue;
      }
      let flag = chunk[at];
      let length = 0;
      if (this.#prefixBytes === 0 && end - at >= PREFIX_BYTES) {
        length = ((chunk[at + 1] << 24) | (chunk[at + 2] << 16) | (chunk[at + 3] << 8) | chunk[at + 4]) >>> 0;
        at += PREFIX_BYTES;
      } else {
        at = this.#takePrefix(chunk, at, end);
        if (this.#prefixBytes < PREFIX_BYTES) return FRAMING_OK;
        flag = this.#flag;
        length = this.announcedBytes;
      }
      if (flag > 1 || length > this.#maxBytes) {
        const result = this.#checkPrefix(flag, length);
        if (result !== FRAMING_OK) return result;
      }
      if (length <= end - at) {
        this.#prefixBytes = 0;
        sink.message(chunk, at, at + length, flag === 1, false);
        at += length;
      } else {
        this.#prefixBytes = PREFIX_BYTES;
        this.#flag = flag;
        this.announcedBytes = length;
      }
    }
    return FRAMING_OK;
  }

  /** A prefix that is spread over several frames. */
  #takePrefix(chunk: Buffer, start: number, end: number): number {
    let at = start;
    let count = this.#prefixBytes;
    for (; count < PREFIX_BYTES && at < end; count++) {
      const byte = chunk[at++];
      if (count === 0) {
        this.#flag = byte;
        this.announcedBytes = 0;
      } else {
        this.announcedBytes = this.announcedBytes * 256 + byte;
      }
    }
    this.#prefixBytes = count;
    return at;
  }

  #checkPrefix(flag: number, length: number): FramingResult {
    if (flag === 1 && length <= maxCompressedBytes(this.#maxBytes)) return FRAMING_OK;
    this.stop();
    this.announcedBytes = length;
    return flag > 1 ? FRAMING_BAD_FLAG : FRAMING_TOO_LARGE;
  }

  /** Copies what belongs to the message that has begun. */
  #takeBody(chunk: Buffer, start: number, end: number, sink: MessageSink): number {
    const length = this.announcedBytes;
    const isLast = length - this.#received <= end - start;
    const stop = isLast ? start + length - this.#received : end;
    for (let at = start; at < stop; ) {
      if (this.#buffer === null || this.#writeOffset === this.#buffer.length) this.#grow(stop - at);
      at = this.#copy(chunk, at, stop);
    }
    if (!isLast) return stop;
    // The last bytes are beyond the half, so pieces have been gathered by now.
    const whole = this.#buffer as Buffer;
    const compressed = this.#flag === 1;
    this.#reset();
    sink.message(whole, 0, length, compressed, true);
    return stop;
  }

  #copy(chunk: Buffer, start: number, end: number): number {
    const buffer = this.#buffer as Buffer;
    const count = Math.min(end - start, buffer.length - this.#writeOffset);
    if (count < LOOP_COPY_BYTES) {
      for (let i = 0; i < count; i++) buffer[this.#writeOffset + i] = chunk[start + i];
    } else {
      chunk.copy(buffer, this.#writeOffset, start, start + count);
    }
    this.#writeOffset += count;
    this.#received += count;
    return start + count;
  }

  /** Makes room: for the whole message when half of it is known to exist, else for as much again as has come. */
  #grow(incoming: number): void {
    const length = this.announcedBytes;
    const known = this.#received + incoming;
    if (length <= 2 * known + EARLY_BYTES) {
      const whole = allocate(length);
      this.#writeOffset = this.#gather(whole);
      this.#buffer = whole;
      this.#pieces = null;
      return;
    }
    this.#pieces ??= [];
    if (this.#buffer !== null) this.#pieces.push(this.#buffer);
    // The last piece ends at the half, so that no byte behind it is copied twice.
    const untilHalf = Math.ceil((length - EARLY_BYTES) / 2) - this.#received;
    this.#buffer = allocate(Math.min(known + EARLY_BYTES, untilHalf));
    this.#writeOffset = 0;
  }

  /** Copies all that was kept into `target` and returns how much it was. */
  #gather(target: Buffer): number {
    let at = 0;
    for (const piece of this.#pieces ?? []) at += piece.copy(target, at);
    if (this.#buffer !== null) at += this.#buffer.copy(target, at, 0, this.#writeOffset);
    return at;
  }

  #reset(): void {
    this.#prefixBytes = 0;
    this.#received = 0;
    this.#buffer = null;
    this.#writeOffset = 0;
    this.#pieces = null;
  }
}

/**
 * Small ones from the platform's pool (they are copied when decoded), large ones alone, so that a view of one keeps
 * nothing else.
 */
function allocate(bytes: number): Buffer {
  return bytes <= POOLED_BYTES ? Buffer.allocUnsafe(bytes) : Buffer.allocUnsafeSlow(bytes);
}
