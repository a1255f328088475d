import zlib from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { narrowWindow } from "./brotli-window.ts";

const { BROTLI_PARAM_LGWIN, BROTLI_PARAM_QUALITY } = zlib.constants;
const KIB_256 = 262_144;

function compressed(plain: Buffer, windowBits: number, quality = 5): Buffer {
  const params = { [BROTLI_PARAM_LGWIN]: windowBits, [BROTLI_PARAM_QUALITY]: quality };
  return zlib.brotliCompressSync(plain, { params });
}

function narrowed(bytes: Buffer, maxBytes: number): Buffer {
  return Buffer.concat([Buffer.of(narrowWindow(bytes[0], maxBytes)), bytes.subarray(1)]);
}

/** The first octet of a message with such a window. */
function firstOf(windowBits: number): number {
  return compressed(Buffer.alloc(300_000, "abc"), windowBits)[0];
}

describe("narrowWindow", () => {
  it("gives a window that the result needs, 16 bytes less than a power of two, and none below 256 KiB", () => {
    for (const [maxBytes, windowBits] of [
      [0, 18],
      [1, 18],
      [KIB_256 - 16, 18],
      [KIB_256 - 15, 19],
      [KIB_256, 19],
      [2 ** 22 - 16, 22],
      [2 ** 22, 23],
      [2 ** 23, 24],
      [0xffffffff, 24],
    ]) {
      expect([maxBytes, narrowWindow(firstOf(24), maxBytes)]).toEqual([maxBytes, firstOf(windowBits)]);
    }
  });

  it("never widens one", () => {
    for (let bits = 10; bits <= 24; bits++) expect(narrowWindow(firstOf(bits), 0xffffffff)).toBe(firstOf(bits));
    for (let bits = 10; bits <= 18; bits++) expect(narrowWindow(firstOf(bits), 0)).toBe(firstOf(bits));
  });

  /** Begins as it ends, so that the last copies look back as far as there is; with words of the dictionary of brotli. */
  const plain = fc
    .record({
      over: fc.integer({ min: -40, max: 40 }),
      ends: fc.integer({ min: 4, max: 2000 }),
      words: fc.array(fc.constantFrom("the time ", "government ", "Category:", " of the ", "x"), { maxLength: 20 }),
      seed: fc.integer(),
    })
    .map(({ over, ends, words, seed }) => {
      const bytes = Buffer.alloc(KIB_256 + over);
      let state = seed;
      for (let i = 0; i < bytes.length; i++) {
        state = (Math.imul(state, 1664525) + 1013904223) | 0;
        bytes[i] = state >>> 28;
      }
      const text = Buffer.from(words.join(""));
      bytes.copy(bytes, bytes.length - ends, 0, ends);
      text.copy(bytes, bytes.length - text.length);
      return bytes;
    });

  it("changes nothing in a message of that size at most, and a larger one does not end within it", () => {
    fc.assert(
      fc.property(plain, fc.integer({ min: 18, max: 24 }), fc.constantFrom(4, 5), (bytes, windowBits, quality) => {
        const message = compressed(bytes, windowBits, quality);
        expect(zlib.brotliDecompressSync(narrowed(message, bytes.length)).equals(bytes)).toBe(true);
        const maxOutputLength = KIB_256 - 16;
        if (bytes.length <= maxOutputLength) return;
        expect(() => zlib.brotliDecompressSync(narrowed(message, maxOutputLength), { maxOutputLength })).toThrow();
      }),
      { numRuns: 10 },
    );
  });
});
