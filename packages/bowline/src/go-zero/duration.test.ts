import { describe, expect, it } from "vitest";
import { readGoDuration } from "./duration.ts";

describe("a duration of Go", () => {
  it.each([
    ["0", 0],
    ["0s", 0],
    ["2s", 2000],
    ["500ms", 500],
    ["1.5h", 5_400_000],
    ["1m30s", 90_000],
    ["+5m", 300_000],
    ["-1s", -1000],
    ["250us", 0.25],
    ["250µs", 0.25],
    [".5s", 500],
    ["1h2m3s4ms", 3_723_004],
  ])("%s is %d ms", (text, ms) => expect(readGoDuration(text)).toBe(ms));

  it.each(["", "-", "2", "s", "2 s", "2sec", "1d", "2s,", "1..5s", "1e3s"])("%j is none", (text) => {
    expect(readGoDuration(text)).toBeUndefined();
  });
});
