import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isLine, readKey, readLine } from "./known-texts.ts";
import { readText } from "./read-text.ts";

/** Reads a text as the reader does, in the midst of other bytes. */
function read(text: Uint8Array): string {
  const source = Buffer.concat([Buffer.alloc(3, 0xff), text, Buffer.alloc(3, 0xff)]);
  const view = new DataView(source.buffer, source.byteOffset, source.length);
  const [start, end] = [3, 3 + text.length];
  return isLine(text.length) ? readLine(source, view, start, end) : readText(source, start, end);
}

function readKeyOf(text: Uint8Array): string {
  const source = Buffer.concat([Buffer.alloc(3, 0xff), text, Buffer.alloc(3, 0xff)]);
  return readKey(source, 3, 3 + text.length);
}

/** Several times: seen first, then kept, then given out again. */
function expectRead(text: string): void {
  for (let time = 0; time < 4; time++) {
    expect(read(Buffer.from(text))).toBe(text);
    expect(readKeyOf(Buffer.from(text))).toBe(text);
  }
}

const text = fc.oneof(fc.string({ unit: "binary", maxLength: 70 }), fc.string({ maxLength: 70 }));

describe("texts that come again", () => {
  it("are what their bytes say, however often they come and whatever came between", () => {
    const every: string[] = [];
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 30 }), (texts) => {
        every.push(...texts);
        for (const each of texts) expectRead(each);
        for (const each of texts) expectRead(each);
      }),
    );
    for (const each of every) expectRead(each);
  });

  it("are known by their length too: an end of NUL is no end", () => {
    for (const one of [
      "ab",
      "ab\0",
      "ab\0\0",
      "a\0",
      "a\0\0",
      "abcd",
      "abcd\0",
      "\0\0",
      "\0\0\0",
      "abcdabcd",
      "abcd\0\0\0\0",
    ]) {
      expectRead(one);
    }
    const line = "a line that is kept, for it comes twice";
    for (const one of [line, `${line}\0`, `${line}\0\0`]) expectRead(one);
  });

  it("are known by all their bytes: lines that share a hash are told apart", () => {
    for (const length of [25, 31, 32, 33, 40, 63, 64]) {
      // The hash is of four bytes at the start, at the end, and twice around the middle.
      const looked = [0, 1, 2, 3, ...[-6, -5, -4, -3, 2, 3, 4, 5].map((by) => (length >> 1) + by)];
      const alike = Array.from({ length }, (_, at) => at).filter((at) => !looked.includes(at) && at < length - 4);
      expect(alike.length).toBeGreaterThan(length - 17);
      const lines = alike.map((at) => `${"x".repeat(at)}y${"x".repeat(length - at - 1)}`);
      for (let time = 0; time < 3; time++) for (const line of lines) expect(read(Buffer.from(line))).toBe(line);
    }
  });

  it("are refused when they are no UTF-8, also where they look like one that is kept", () => {
    for (const length of [2, 3, 4, 7, 8, 9, 25, 40, 64, 65]) {
      const plain = "z".repeat(length);
      expectRead(plain);
      for (let at = 0; at < length; at++) {
        const spoiled = Buffer.from(plain);
        spoiled[at] = 0xff;
        for (let time = 0; time < 3; time++) {
          expect(() => read(spoiled)).toThrow("a string is not UTF-8");
          expect(() => readKeyOf(spoiled)).toThrow("a string is not UTF-8");
        }
        expect(read(Buffer.from(plain))).toBe(plain);
      }
    }
  });

  it("are read anew when others took their place", () => {
    const texts = Array.from({ length: 5000 }, (_, i) => [`k${i}`, `a line of text with the number ${i}`]).flat();
    for (let time = 0; time < 3; time++) {
      for (const each of texts) {
        expect(read(Buffer.from(each))).toBe(each);
        expect(read(Buffer.from(each))).toBe(each);
      }
    }
  });
});
