import { describe, expect, it } from "vitest";
import { shortfalls } from "./experiments.ts";

describe("shortfalls", () => {
  const limits = { lost: { atMost: 0 }, calls: { atLeast: 10 } };

  it("are none while all figures keep to their limits", () => {
    expect(shortfalls({ lost: 0, calls: 10, other: 7 }, limits)).toEqual([]);
  });

  it("name the figure, what it is and what was wanted; one that is missing falls short, too", () => {
    expect(shortfalls({ lost: 2, calls: 9 }, limits)).toEqual([
      "lost is 2, at most 0 was wanted",
      "calls is 9, at least 10 was wanted",
    ]);
    expect(shortfalls({ lost: 0 }, limits)).toEqual(["calls is NaN, at least 10 was wanted"]);
  });
});
