import { execFile } from "node:child_process";
import { promisify } from "node:util";
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

/** A process with a table of its own: `read` gives how many of these texts the runtime had to make. */
const COUNTING = `
  const { utf8Slice } = Buffer.prototype;
  let count = 0;
  Buffer.prototype.utf8Slice = function (start, end) {
    count++;
    return utf8Slice.call(this, start, end);
  };
  const { readLine } = await import(${JSON.stringify(import.meta.resolve("./known-texts.ts"))});
  const read = (texts) => {
    count = 0;
    for (const text of texts) {
      const source = Buffer.from(text);
      const view = new DataView(source.buffer, source.byteOffset, source.length);
      if (readLine(source, view, 0, source.length) !== text) throw new Error(text);
    }
    return count;
  };
`;

/** What a script has as `made` in the end, with `read` in reach. */
async function counted(rounds: string): Promise<unknown> {
  const script = `${COUNTING}${rounds}\nconsole.log(JSON.stringify(made));`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script]);
  return JSON.parse(stdout);
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
    const line = "a line that is kept, for it comes again";
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

  it("keep their places beside texts that come once, unlike ones and those that differ in few bytes", async () => {
    const rounds = `
      const titles = Array.from({ length: 20 }, (_, i) => "A title that comes again, number " + i);
      const times = Array.from({ length: 5000 }, (_, i) => new Date(i * 17_357).toISOString() + " UTC");
      const others = Array.from({ length: 5000 }, (_, i) => 1e6 + i * 17 + " times another text " + i);
      const made = [titles, titles, titles, titles, times, titles, others, titles].map(read);`;
    expect(await counted(rounds)).toEqual([20, 20, 20, 0, 5000, 0, 5000, 0]);
  });

  it("are both kept when they share a hash", async () => {
    const rounds = `
      const both = ["customer/0000000001/basket/000", "custoXer/0000000001/basket/000"];
      const made = Array.from({ length: 8 }, () => read(both));`;
    // What the first has left lets the second be known a round sooner.
    expect(await counted(rounds)).toEqual([2, 2, 1, 0, 0, 0, 0, 0]);
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
