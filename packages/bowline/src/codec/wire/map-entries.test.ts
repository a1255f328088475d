import { describe, expect, it } from "vitest";
import { booleanKey, entryOf, putEntry, wholeKey } from "./map-entries.ts";

describe("entries of a map", () => {
  it("may have any key", () => {
    const entries: { [key: string]: number } = {};
    putEntry(entries, "__proto__", 1);
    putEntry(entries, "constructor", 2);
    putEntry(entries, 3, 3);
    expect(Object.entries(entries)).toEqual([
      ["3", 3],
      ["__proto__", 1],
      ["constructor", 2],
    ]);
    expect(Object.getPrototypeOf(entries)).toBe(Object.prototype);
    expect(entryOf(entries, "__proto__")).toBe(1);
  });

  it("have keys that stand for numbers and booleans, or for nothing that an encoder takes", () => {
    const numbers = [0, 7, 99, 123456789, 999999999, 1000000000, 4294967295, -5, -2147483648];
    expect(numbers.map(String).map(wholeKey)).toEqual(numbers);
    for (const key of ["", "-", " 1", "1 ", "1.5", "0x10", "1e3", "a", "12/", "12:", "123456789a"])
      expect(wholeKey(key)).toBeNaN();
    expect(["true", "false", "yes"].map(booleanKey)).toEqual([true, false, "yes"]);
  });
});
