import { describe, expect, it } from "vitest";
import { median, spread } from "./statistics.ts";

describe("median", () => {
  it("is the middle value of an odd count and the mean of the middle two of an even one", () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 10, 2])).toBe(3);
  });

  it("leaves its input in order", () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });
});

describe("spread", () => {
  it("is half the range over the median", () => {
    expect(spread([90, 100, 110])).toBeCloseTo(0.1);
    expect(spread([7])).toBe(0);
  });
});
