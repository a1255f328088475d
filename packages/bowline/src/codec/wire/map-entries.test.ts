import { describe, expect, it } from "vitest";
import { booleanKey, entryOf, isPlainKey, putEntry, raiseTop, wholeKey } from "./map-entries.ts";
import { Reader } from "./reader.ts";

const reader = new Reader();
reader.begin(Buffer.alloc(0), 0, false, 1 << 20);

describe("entries of a map", () => {
  it("may have any key", () => {
    const entries: { [key: string]: number } = {};
    expect(putEntry(reader, entries, "__proto__", 1, -1)).toBe(-1);
    expect(putEntry(reader, entries, "constructor", 2, -1)).toBe(-1);
    expect(putEntry(reader, entries, "3", 3, -1)).toBe(3);
    expect(Object.entries(entries)).toEqual([
      ["3", 3],
      ["__proto__", 1],
      ["constructor", 2],
    ]);
    expect(Object.getPrototypeOf(entries)).toBe(Object.prototype);
    expect(entryOf(entries, "__proto__")).toBe(1);
  });

  it("are under plain keys, or under one that is looked at", () => {
    for (const key of ["a", "A", "_", "é", "__proto", "~1"]) expect(isPlainKey(key)).toBe(true);
    for (const key of ["__proto__", "0", "9", "322", ""]) expect(isPlainKey(key)).toBe(false);
  });

  it("are told the greatest index until one leaves a gap, and none from then on", () => {
    const entries: { [key: string]: number } = {};
    let top = -1;
    for (const [key, expected] of [
      ["7", 7],
      ["3", 7],
      ["16", 16],
      ["18", 18],
      ["1.5", 18],
      ["-4", 18],
      ["2084", 2084],
      ["6216", 6216],
      ["6219", Number.POSITIVE_INFINITY],
      ["4294967294", Number.POSITIVE_INFINITY],
      ["20", Number.POSITIVE_INFINITY],
    ] as const) {
      top = putEntry(reader, entries, key, 1, top);
      expect(top).toBe(expected);
    }
    expect(Object.keys(entries)).toEqual([
      "3",
      "7",
      "16",
      "18",
      "20",
      "2084",
      "6216",
      "6219",
      "4294967294",
      "1.5",
      "-4",
    ]);
    // Of one that goes on nothing is known, and nothing is lost.
    expect(raiseTop(reader, entries, 4294967294, -1)).toBe(Number.POSITIVE_INFINITY);
    expect(entries["4294967294"]).toBe(1);
    expect(raiseTop(reader, {}, 21, 18)).toBe(Number.POSITIVE_INFINITY);
    expect(raiseTop(reader, {}, 2 ** 29, 18)).toBe(Number.POSITIVE_INFINITY);
  });

  it("have keys that stand for numbers and booleans, or for nothing that an encoder takes", () => {
    const numbers = [0, 7, 99, 123456789, 999999999, 1000000000, 4294967295, -5, -2147483648];
    expect(numbers.map(String).map(wholeKey)).toEqual(numbers);
    for (const key of ["", "-", " 1", "1 ", "1.5", "0x10", "1e3", "a", "12/", "12:", "123456789a"])
      expect(wholeKey(key)).toBeNaN();
    expect(["true", "false", "yes"].map(booleanKey)).toEqual([true, false, "yes"]);
  });
});
