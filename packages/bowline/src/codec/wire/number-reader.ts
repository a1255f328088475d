import { double, float, HIGH, LOW, signed, unsigned, words } from "./scratch.ts";

/** What a text takes besides its characters, and a bigint, about. */
export const TEXT_BYTES = 24;
export const BIGINT_BYTES = 24;
const MAX_VARINT_BYTES = 10;

const NOTHING: Buffer = Buffer.alloc(0);

/** Small integers of 64 bits are not made anew each time. */
const SMALL: readonly bigint[] = Array.from({ length: 256 }, (_, i) => BigInt(i));

/** The message would take more memory than it may. */
export class DecodeBudgetError extends Error {}

/**
 * The numbers of a message, and what is counted while it is read. Nothing is read beyond the end of the whole message: loads beyond a
 * Buffer would make V8 compile all that reads for such loads, for the life of the process (measured: decoding takes 10–15 % longer).
 */
export class NumberReader {
  /** Of the next byte. */
  position = 0;
  protected buffer: Buffer = NOTHING;
  /** Where the whole message ends. */
  protected limit = 0;
  /** The words of the varint read last. */
  protected low = 0;
  protected high = 0;
  #budget = 0;

  /** Turns to `source[start, end)`, whose objects may take so many bytes. */
  protected turnTo(source: Buffer, start: number, end: number, budgetBytes: number): void {
    this.buffer = source;
    this.position = start;
    this.limit = end;
    this.#budget = budgetBytes;
  }

  /** Lets the bytes go: they may be a piece of much larger memory. */
  finish(): void {
    this.buffer = NOTHING;
  }

  int32(): number {
    const at = this.position;
    if (at < this.limit && this.buffer[at] < 128) {
      this.position = at + 1;
      return this.buffer[at];
    }
    this.varint();
    return this.low | 0;
  }

  uint32(): number {
    const at = this.position;
    if (at < this.limit && this.buffer[at] < 128) {
      this.position = at + 1;
      return this.buffer[at];
    }
    this.varint();
    return this.low >>> 0;
  }

  sint32(): number {
    const value = this.uint32();
    return (value >>> 1) ^ -(value & 1);
  }

  bool(): boolean {
    const at = this.position;
    if (at < this.limit && this.buffer[at] < 128) {
      this.position = at + 1;
      return this.buffer[at] !== 0;
    }
    this.varint();
    return (this.low | this.high) !== 0;
  }

  int64(): bigint {
    const at = this.position;
    if (at < this.limit && this.buffer[at] < 128) {
      this.position = at + 1;
      return SMALL[this.buffer[at]];
    }
    this.varint();
    return this.#signed(this.low, this.high);
  }

  uint64(): bigint {
    const at = this.position;
    if (at < this.limit && this.buffer[at] < 128) {
      this.position = at + 1;
      return SMALL[this.buffer[at]];
    }
    this.varint();
    return this.#unsigned(this.low, this.high);
  }

  sint64(): bigint {
    this.varint();
    const low = this.low;
    const high = this.high;
    const sign = -(low & 1);
    return this.#signed(((low >>> 1) | (high << 31)) ^ sign, (high >>> 1) ^ sign);
  }

  /** Text of a 64-bit integer (`jstype = JS_STRING`). */
  decimal(value: bigint): string {
    this.spend(TEXT_BYTES);
    return String(value);
  }

  fixed32(): number {
    return this.#word() >>> 0;
  }

  sfixed32(): number {
    return this.#word();
  }

  fixed64(): bigint {
    const low = this.#word();
    return this.#unsigned(low, this.#word());
  }

  sfixed64(): bigint {
    const low = this.#word();
    return this.#signed(low, this.#word());
  }

  float(): number {
    words[0] = this.#word();
    return float[0];
  }

  double(): number {
    words[LOW] = this.#word();
    words[HIGH] = this.#word();
    return double[0];
  }

  /** Counts what objects take in memory; called with what is made without a method of the reader. */
  spend(bytes: number): void {
    this.#budget -= bytes;
    if (this.#budget < 0) throw new DecodeBudgetError();
  }

  /** Reads a varint of up to 64 bits into `low` and `high`. Longer ones than ten bytes are refused. */
  protected varint(): void {
    const buffer = this.buffer;
    let at = this.position;
    if (at + MAX_VARINT_BYTES > this.limit) this.#refuseCut(at);
    let low = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = buffer[at++];
      low |= (byte & 127) << shift;
      if (byte < 128) return this.#read(at, low, 0);
    }
    const middle = buffer[at++];
    low |= (middle & 15) << 28;
    let high = (middle & 127) >> 4;
    if (middle < 128) return this.#read(at, low, high);
    for (let shift = 3; shift < 32; shift += 7) {
      const byte = buffer[at++];
      high |= (byte & 127) << shift;
      if (byte < 128) return this.#read(at, low, high);
    }
    throw new Error("a varint has more than ten bytes");
  }

  /** Near the end of the message: a varint that does not end within it would be read on beyond the buffer. */
  #refuseCut(start: number): void {
    for (let at = start; at < this.limit; at++) {
      if (this.buffer[at] < 128) return;
    }
    throw cutShort();
  }

  #read(at: number, low: number, high: number): void {
    this.position = at;
    this.low = low;
    this.high = high;
  }

  #word(): number {
    const buffer = this.buffer;
    const at = this.position;
    if (at + 4 > this.limit) throw cutShort();
    this.position = at + 4;
    return buffer[at] | (buffer[at + 1] << 8) | (buffer[at + 2] << 16) | (buffer[at + 3] << 24);
  }

  #signed(low: number, high: number): bigint {
    if (high === 0 && low >= 0 && low < SMALL.length) return SMALL[low];
    this.spend(BIGINT_BYTES);
    words[LOW] = low;
    words[HIGH] = high;
    return signed[0];
  }

  #unsigned(low: number, high: number): bigint {
    if (high === 0 && low >= 0 && low < SMALL.length) return SMALL[low];
    this.spend(BIGINT_BYTES);
    words[LOW] = low;
    words[HIGH] = high;
    return unsigned[0];
  }
}

/** The error of input that ends too soon. */
export function cutShort(): Error {
  return new Error("it is cut short, or a length is wrong");
}
