/**
 * Memory that numbers pass through when their bits are wanted: a 64-bit integer or a double as two words of 32 bits. Each use
 * ends before the next begins.
 */
const bits = new ArrayBuffer(8);

/** As int64 and sfixed64. */
export const signed: BigInt64Array = new BigInt64Array(bits);

/** As uint64 and fixed64. */
export const unsigned: BigUint64Array = new BigUint64Array(bits);

/** As double. */
export const double: Float64Array = new Float64Array(bits);

/** As float; its word is `words[0]`. */
export const float: Float32Array = new Float32Array(bits);

/** As two words of 32 bits, in the order of this machine. */
export const words: Uint32Array = new Uint32Array(bits);

unsigned[0] = 1n;

/** Index of the lower word: 0, but 1 on big-endian machines (s390x). */
export const LOW: number = words[0] === 1 ? 0 : 1;

/** Index of the upper word. */
export const HIGH: number = 1 - LOW;
