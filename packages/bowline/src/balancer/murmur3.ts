/** Longer texts get a buffer of their own. */
const SCRATCH: Buffer = Buffer.allocUnsafe(1024);
/** A character of UTF-16 takes at most so many bytes in UTF-8. */
const MAX_BYTES_A_CHARACTER = 3;

const C1_HIGH = 0x87c37b91;
const C1_LOW = 0x114253d5;
const C2_HIGH = 0x4cf5ad43;
const C2_LOW = 0x2745937f;

/**
 * The first 64 bits of MurmurHash3 x64-128 with seed 0 of a text in UTF-8, as go-zero's `hash.Hash`: not for secrets.
 *
 * 64 bits are two numbers here, as a BigInt for each step would be an object for each step. The instance is used again and again: read
 * `high` and `low` before the next text.
 */
export class Murmur3 {
  /** The upper 32 bits, from 0 to 2^32 - 1. */
  high = 0;
  /** The lower 32 bits, from 0 to 2^32 - 1. */
  low = 0;
  #h2High = 0;
  #h2Low = 0;
  /** Result of the last operation. */
  #resultHigh = 0;
  #resultLow = 0;

  /** Hashes a text into `high` and `low`. */
  hash(text: string): void {
    const fits = text.length * MAX_BYTES_A_CHARACTER <= SCRATCH.length;
    const bytes = fits ? SCRATCH : Buffer.from(text);
    const length = fits ? SCRATCH.write(text) : bytes.length;
    this.high = this.low = this.#h2High = this.#h2Low = 0;
    let at = 0;
    for (; at + 16 <= length; at += 16) {
      this.#mixFirst(bytes.readUInt32LE(at + 4), bytes.readUInt32LE(at));
      this.#stirFirst();
      this.#mixSecond(bytes.readUInt32LE(at + 12), bytes.readUInt32LE(at + 8));
      this.#stirSecond();
    }
    if (at + 8 < length) this.#mixSecond(wordAt(bytes, at + 12, length), wordAt(bytes, at + 8, length));
    if (at < length) this.#mixFirst(wordAt(bytes, at + 4, length), wordAt(bytes, at, length));
    this.#finish(length);
  }

  #mixFirst(high: number, low: number): void {
    this.#multiply(high, low, C1_HIGH, C1_LOW);
    this.#rotate(this.#resultHigh, this.#resultLow, 31);
    this.#multiply(this.#resultHigh, this.#resultLow, C2_HIGH, C2_LOW);
    this.high = (this.high ^ this.#resultHigh) >>> 0;
    this.low = (this.low ^ this.#resultLow) >>> 0;
  }

  #mixSecond(high: number, low: number): void {
    this.#multiply(high, low, C2_HIGH, C2_LOW);
    // 33 is 1 with the halves exchanged.
    this.#rotate(this.#resultLow, this.#resultHigh, 1);
    this.#multiply(this.#resultHigh, this.#resultLow, C1_HIGH, C1_LOW);
    this.#h2High = (this.#h2High ^ this.#resultHigh) >>> 0;
    this.#h2Low = (this.#h2Low ^ this.#resultLow) >>> 0;
  }

  #stirFirst(): void {
    this.#rotate(this.high, this.low, 27);
    this.#add(this.#resultHigh, this.#resultLow, this.#h2High, this.#h2Low);
    this.#multiply(this.#resultHigh, this.#resultLow, 0, 5);
    this.#add(this.#resultHigh, this.#resultLow, 0, 0x52dce729);
    this.high = this.#resultHigh;
    this.low = this.#resultLow;
  }

  #stirSecond(): void {
    this.#rotate(this.#h2High, this.#h2Low, 31);
    this.#add(this.#resultHigh, this.#resultLow, this.high, this.low);
    this.#multiply(this.#resultHigh, this.#resultLow, 0, 5);
    this.#add(this.#resultHigh, this.#resultLow, 0, 0x38495ab5);
    this.#h2High = this.#resultHigh;
    this.#h2Low = this.#resultLow;
  }

  #finish(length: number): void {
    this.#add(this.high, (this.low ^ length) >>> 0, this.#h2High, (this.#h2Low ^ length) >>> 0);
    this.high = this.#resultHigh;
    this.low = this.#resultLow;
    this.#add(this.high, this.low, this.#h2High, (this.#h2Low ^ length) >>> 0);
    this.#avalanche(this.#resultHigh, this.#resultLow);
    const high = this.#resultHigh;
    const low = this.#resultLow;
    this.#avalanche(this.high, this.low);
    this.#add(this.#resultHigh, this.#resultLow, high, low);
    this.high = this.#resultHigh;
    this.low = this.#resultLow;
  }

  /** MurmurHash3's fmix64. A shift by 33 takes the upper half, shifted by 1, into the lower. */
  #avalanche(high: number, low: number): void {
    this.#multiply(high, (low ^ (high >>> 1)) >>> 0, 0xff51afd7, 0xed558ccd);
    const middleLow = (this.#resultLow ^ (this.#resultHigh >>> 1)) >>> 0;
    this.#multiply(this.#resultHigh, middleLow, 0xc4ceb9fe, 0x1a85ec53);
    this.#resultLow = (this.#resultLow ^ (this.#resultHigh >>> 1)) >>> 0;
  }

  #add(aHigh: number, aLow: number, bHigh: number, bLow: number): void {
    const low = aLow + bLow;
    this.#resultHigh = (aHigh + bHigh + (low > 0xffffffff ? 1 : 0)) >>> 0;
    this.#resultLow = low >>> 0;
  }

  /** To the left by 1 to 31 bits. */
  #rotate(high: number, low: number, bits: number): void {
    this.#resultHigh = ((high << bits) | (low >>> (32 - bits))) >>> 0;
    this.#resultLow = ((low << bits) | (high >>> (32 - bits))) >>> 0;
  }

  /** By halves of 16 bits, whose products a number holds. */
  #multiply(aHigh: number, aLow: number, bHigh: number, bLow: number): void {
    const a0 = aLow & 0xffff;
    const a1 = aLow >>> 16;
    const b0 = bLow & 0xffff;
    const b1 = bLow >>> 16;
    const low = a0 * b0;
    const middle = a0 * b1 + a1 * b0 + (low >>> 16);
    const high = a1 * b1 + Math.floor(middle / 0x10000) + Math.imul(aHigh, bLow) + Math.imul(aLow, bHigh);
    this.#resultHigh = high >>> 0;
    this.#resultLow = ((middle << 16) | (low & 0xffff)) >>> 0;
  }
}

/** Four bytes, of which those from `end` on are 0. */
function wordAt(bytes: Buffer, at: number, end: number): number {
  let word = 0;
  for (let i = Math.min(end - at, 4) - 1; i >= 0; i--) word = (word << 8) | bytes[at + i];
  return word >>> 0;
}
