/** Length in bits of the code of each octet and, last, of EOS (RFC 7541 appendix B). */
const CODE_BITS: Uint8Array = Uint8Array.from([
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
  28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6,
  5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23,
  22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22,
  23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26,
  20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27,
  27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27,
  27, 27, 27, 26, 30,
]);

const EOS = 256;
const LONGEST_CODE_BITS = 30;
const SHORTEST_CODE_BITS = 5;
/**
 * Bits that one look-up of the decoder takes in: two of the most frequent symbols, and the longest code of printable
 * text but a few.
 */
const LOOKUP_BITS = 12;
const LOOKUP_MASK = (1 << LOOKUP_BITS) - 1;

/**
 * The code, derived from its lengths: it is canonical, that is, codes of one length follow each other in the order of
 * their symbols, and each length begins where the shorter ones stop.
 */
interface CanonicalCode {
  /** Code by symbol, in its lowest bits. */
  readonly codes: Uint32Array;
  /** Symbols in the order of their codes. */
  readonly symbols: Uint16Array;
  /** By length: what to add to a code for its place in `symbols`. */
  readonly offsets: Int32Array;
  /** By length: the first 32-bit window, read from the left, that begins with a longer code. */
  readonly limits: Float64Array;
  /**
   * By the next 12 bits, what they begin with: first symbol, second symbol << 8, bits of both << 16, bits of the first
   * << 20, number of symbols (1 or 2) << 24. Zero when the first code is longer.
   */
  readonly lookup: Uint32Array;
}

let canonicalCode: CanonicalCode | undefined;

/** Takes a millisecond and 20 KiB, once. */
function buildCode(): CanonicalCode {
  const symbols = Uint16Array.from(CODE_BITS.keys()).sort((a, b) => CODE_BITS[a] - CODE_BITS[b] || a - b);
  const codes = new Uint32Array(EOS + 1);
  const offsets = new Int32Array(LONGEST_CODE_BITS + 1);
  const limits = new Float64Array(LONGEST_CODE_BITS + 1);
  let code = 0;
  let place = 0;
  for (let bits = SHORTEST_CODE_BITS; bits <= LONGEST_CODE_BITS; bits++) {
    offsets[bits] = place - code;
    while (CODE_BITS[symbols[place]] === bits) codes[symbols[place++]] = code++;
    limits[bits] = code * 2 ** (32 - bits);
    code *= 2;
  }
  return { codes, symbols, offsets, limits, lookup: buildLookup(symbols, codes) };
}

function buildLookup(symbols: Uint16Array, codes: Uint32Array): Uint32Array {
  const singles = new Uint32Array(1 << LOOKUP_BITS);
  for (const symbol of symbols) {
    const bits = CODE_BITS[symbol];
    if (bits > LOOKUP_BITS) break;
    const code = codes[symbol];
    const free = LOOKUP_BITS - bits;
    singles.fill(symbol | (bits << 16) | (bits << 20) | (1 << 24), code << free, (code + 1) << free);
  }
  return singles.map((first, window) => {
    const firstBits = (first >>> 20) & 0xf;
    const second = singles[(window << firstBits) & LOOKUP_MASK];
    const bits = firstBits + ((second >>> 20) & 0xf);
    if (first === 0 || second === 0 || bits > LOOKUP_BITS) return first;
    return (first & 0xf000ff) | ((second & 0xff) << 8) | (bits << 16) | (2 << 24);
  });
}

/** Octets that `encodedBytes` octets of Huffman code stand for at most, or some more: the shortest code has 5 bits. */
export function maxDecodedBytes(encodedBytes: number): number {
  return encodedBytes * 2;
}

/**
 * Decodes `source[start, end)` to `target` from `at` on and returns the position behind the last octet; -1 when EOS is
 * in it or the padding is longer than 7 bits or not all ones (RFC 7541 section 5.2).
 *
 * One octet more than it stands for must have room in `target`. Cases in order: look-ups of 12 bits, one or two symbols
 * each; the bits that are left at the end; the padding. At the first code that is longer than a look-up `decodeRest`
 * takes over.
 */
export function huffmanDecode(source: Uint8Array, start: number, end: number, target: Uint8Array, at: number): number {
  canonicalCode ??= buildCode();
  const lookup = canonicalCode.lookup;
  let next = start;
  /** Its last `count` bits come next; those above are used up. */
  let bits = 0;
  let count = 0;
  while (next + 2 <= end) {
    bits = (bits << 16) | (source[next] << 8) | source[next + 1];
    next += 2;
    count += 16;
    do {
      const found = lookup[(bits >>> (count - LOOKUP_BITS)) & LOOKUP_MASK];
      if (found === 0) return decodeRest(source, start, end, (next - start) * 8 - count, target, at);
      // With one symbol the second octet is junk, and the next symbol overwrites it: that is cheaper than a branch.
      target[at] = found;
      target[at + 1] = found >>> 8;
      at += found >>> 24;
      count -= (found >>> 16) & 0xf;
    } while (count >= LOOKUP_BITS);
  }
  if (next < end) {
    bits = (bits << 8) | source[next++];
    count += 8;
  }
  for (;;) {
    const left = bits & ((1 << count) - 1);
    if (count < 8 && left === (1 << count) - 1) return at;
    // Short of bits it is filled up with ones, as if there were more padding: no short code is all ones.
    const missing = LOOKUP_BITS - count;
    const found = lookup[missing > 0 ? (left << missing) | ((1 << missing) - 1) : left >>> -missing];
    const used = (found >>> 20) & 0xf;
    if (found === 0 || used > count) return decodeRest(source, start, end, (next - start) * 8 - count, target, at);
    target[at++] = found;
    count -= used;
  }
}

/**
 * Octets that `source[start, end)` stands for, or -1 when it is no Huffman code (as `huffmanDecode`). For strings that
 * are too long to be kept: writes nothing and is slower.
 */
export function huffmanDecodedBytes(source: Uint8Array, start: number, end: number): number {
  return decodeRest(source, start, end, 0, undefined, 0);
}

/** `huffmanDecode` from bit number `bit` on, symbol by symbol; without a target it counts only. */
function decodeRest(
  source: Uint8Array,
  start: number,
  end: number,
  bit: number,
  target: Uint8Array | undefined,
  at: number,
): number {
  canonicalCode ??= buildCode();
  const totalBits = (end - start) * 8;
  for (;;) {
    const window = windowAt(source, start, end, bit);
    if (totalBits - bit < 8 && window === 0xffffffff) return at;
    const bits = codeLength(canonicalCode, window);
    const symbol = symbolOf(canonicalCode, window, bits);
    if (bit + bits > totalBits || symbol === EOS) return -1;
    if (target !== undefined) target[at] = symbol;
    at++;
    bit += bits;
  }
}

/** 32 bits from bit number `bit` of `source[start, end)` on; behind the end come ones, as in padding. */
function windowAt(source: Uint8Array, start: number, end: number, bit: number): number {
  const at = start + (bit >>> 3);
  const shift = bit & 7;
  let window = 0;
  for (let i = at; i < at + 4; i++) window = (window << 8) | (i < end ? source[i] : 0xff);
  const fifth = at + 4 < end ? source[at + 4] : 0xff;
  return ((window << shift) | (fifth >>> (8 - shift))) >>> 0;
}

/** Length of the code that a 32-bit window begins with. */
function codeLength(code: CanonicalCode, window: number): number {
  const found = code.lookup[window >>> (32 - LOOKUP_BITS)];
  if (found !== 0) return (found >>> 20) & 0xf;
  let bits = SHORTEST_CODE_BITS;
  while (window >= code.limits[bits]) bits++;
  return bits;
}

function symbolOf(code: CanonicalCode, window: number, bits: number): number {
  return code.symbols[code.offsets[bits] + (window >>> (32 - bits))];
}

/** Octets of `text` (latin1) in Huffman code. */
export function huffmanBytes(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += CODE_BITS[text.charCodeAt(i) & 0xff];
  return (bits + 7) >>> 3;
}

/** Writes `text` (latin1) in Huffman code to `target` from `at` on and returns the position behind the last octet. */
export function huffmanEncode(text: string, target: Uint8Array, at: number): number {
  canonicalCode ??= buildCode();
  /** Bits not written yet, fewer than 8, in the lowest places. */
  let pending = 0;
  let pendingBits = 0;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i) & 0xff;
    const code = canonicalCode.codes[symbol];
    let bits = CODE_BITS[symbol];
    while (pendingBits + bits >= 8) {
      const taken = 8 - pendingBits;
      bits -= taken;
      target[at++] = (pending << taken) | ((code >>> bits) & (0xff >>> pendingBits));
      pending = 0;
      pendingBits = 0;
    }
    pending = (pending << bits) | (code & ((1 << bits) - 1));
    pendingBits += bits;
  }
  if (pendingBits > 0) target[at++] = (pending << (8 - pendingBits)) | (0xff >>> pendingBits);
  return at;
}
