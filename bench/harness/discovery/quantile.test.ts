import { describe, expect, it } from "vitest";
import { quantile } from "./quantile.ts";

describe("quantile", () => {
  const values = [5, 1, 4, 2, 3];

  it("is a value that there was", () => {
    expect([0, 0.2, 0.21, 0.5, 0.99, 1].map((part) => quantile(values, part))).toEqual([1, 1, 2, 3, 5, 5]);
  });

  it("of nothing is no number", () => {
    expect(quantile([], 0.5)).toBeNaN();
  });
});
