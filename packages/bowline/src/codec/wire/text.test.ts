import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readKey } from "./known-texts.ts";
import { readLenientText, readText } from "./read-text.ts";
import { MARGIN_BYTES, noRoom } from "./room.ts";
import { writeText } from "./write-text.ts";

const LENGTHS = [...Array(60).keys(), 126, 127, 128, 129, 341, 342, 343, 5461, 5462, 16_383, 16_384, 16_385];
const UNITS = ["a", "é", "→", "😀", "\ud800", "\udc00"];

/** Texts of a length in which one unit stands among ASCII, first, in the middle and last, and texts of nothing else. */
function* texts(length: number): Generator<string> {
  yield "abcdefghij".repeat(length).slice(0, length);
  for (const unit of UNITS) {
    yield unit.repeat(length);
    for (const at of [0, length >> 1, length - 1]) {
      if (length > 0) yield "a".repeat(at) + unit + "b".repeat(length - at - 1);
    }
  }
}

describe("text", () => {
  it("is written as TextEncoder would, behind its length, whatever its length", () => {
    for (const length of LENGTHS) {
      for (const text of texts(length)) {
        const out = Buffer.alloc(3 * text.length + 20 + MARGIN_BYTES, 0xee);
        const end = writeText(out, 3, text);
        const expected = new TextEncoder().encode(text);
        const prefix = end - 3 - expected.length;
        expect(out.subarray(3 + prefix, end).equals(expected)).toBe(true);
        expect(varint(out, 3)).toEqual([expected.length, prefix]);
      }
    }
  });

  it("is not written where it and the margin do not fit", () => {
    for (const length of [0, 1, 5, 16, 17, 40, 43, 200]) {
      for (const text of texts(length)) {
        const needed = Buffer.byteLength(text);
        for (let room = 0; room < needed + MARGIN_BYTES - 128; room += 1 + (room >> 4)) {
          expect(() => writeText(Buffer.alloc(room), 0, text)).toThrow(noRoom);
        }
        expect(writeText(Buffer.alloc(needed + MARGIN_BYTES + 10), 0, text)).toBeGreaterThan(needed);
      }
    }
  });

  it("is read as it was, in the midst of other bytes", () => {
    for (const length of LENGTHS) {
      for (const text of texts(length)) {
        const bytes = Buffer.from(text.toWellFormed());
        const chunk = Buffer.concat([Buffer.alloc(2, 0xff), bytes, Buffer.alloc(2, 0xff)]);
        const [start, end] = [2, 2 + bytes.length];
        expect(readText(chunk, start, end)).toBe(text.toWellFormed());
        expect(readLenientText(chunk, start, end)).toBe(text.toWellFormed());
        expect(readKey(chunk, start, end)).toBe(text.toWellFormed());
        expect(readKey(chunk, start, end)).toBe(text.toWellFormed());
      }
    }
  });

  it("that is no UTF-8 is refused, or replaced where that is the rule", () => {
    for (let length = 1; length < 40; length++) {
      for (let at = 0; at < length; at++) {
        const bytes = Buffer.alloc(length, "a");
        bytes[at] = 0xff;
        expect(() => readText(bytes, 0, length)).toThrow("a string is not UTF-8");
        expect(() => readKey(bytes, 0, length)).toThrow("a string is not UTF-8");
        expect(readLenientText(bytes, 0, length)).toBe(new TextDecoder().decode(bytes));
      }
    }
  });

  it("is read or refused as TextDecoder would, whatever the bytes", () => {
    // Mostly what begins and goes on with sequences of UTF-8, so that there are whole ones, cut ones, and overlong ones.
    const byte = fc.oneof(
      fc.integer({ min: 0, max: 255 }),
      fc.constantFrom(0x41, 0x7f, 0x80, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5),
    );
    const pieces = fc.oneof(fc.array(byte, { maxLength: 4 }), fc.string({ unit: "binary", maxLength: 2 }));
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 8 }), (all) => {
        const bytes = Buffer.concat(
          all.map((each) => (typeof each === "string" ? Buffer.from(each) : Buffer.from(each))),
        );
        const chunk = Buffer.concat([Buffer.from("é"), bytes, Buffer.from("é")]);
        const read = (): string => readText(chunk, 2, 2 + bytes.length);
        let expected: string | undefined;
        try {
          expected = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
        } catch {
          expect(read).toThrow("a string is not UTF-8");
        }
        if (expected !== undefined) expect(read()).toBe(expected);
      }),
      { numRuns: 5000 },
    );
  });

  it("may hold U+FFFD and a byte order mark in their own right", () => {
    for (const text of ["\ufffd", "\ufeff", `\ufeff${"x".repeat(30)}\ufffd`]) {
      const bytes = Buffer.from(text);
      expect(readText(bytes, 0, bytes.length)).toBe(text);
    }
  });

  it("is a string, or an error", () => {
    for (const value of [5, null, {}, ["a"]]) {
      expect(() => writeText(Buffer.alloc(10), 0, value as never)).toThrow(/is no string/);
    }
  });
});

/** A varint's value and length. */
function varint(bytes: Buffer, at: number): [number, number] {
  let value = 0;
  for (let i = 0; ; i++) {
    value += (bytes[at + i] & 127) * 2 ** (7 * i);
    if (bytes[at + i] < 128) return [value, i + 1];
  }
}
