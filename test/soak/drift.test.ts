import { describe, expect, it } from "vitest";
import { Chance } from "../codec/chance.ts";
import { type Drift, drifts, type LatencyWindow } from "./drift.ts";

/** An hour in windows of 30 s. */
function hour(p99Ms: (index: number) => number, calls = 1000): LatencyWindow[] {
  return Array.from({ length: 120 }, (_, index) => ({
    kind: "unary",
    atMs: (index + 1) * 30_000,
    calls,
    p99Ms: p99Ms(index),
  }));
}

function drift(windows: readonly LatencyWindow[]): Drift {
  return drifts(windows)[0];
}

describe("drift of latencies in a soak", () => {
  it.each([1, 2, 3, 4, 5])("is none where calls stay as fast, whatever a minute brings (seed %d)", (seed) => {
    const chance = new Chance(seed);
    const around = (): number => 4 + chance.int(-60, 60) / 100;
    expect(drift(hour(around)).isTooMuch).toBe(false);
    // A neighbour had the CPU for two minutes of the second half.
    expect(drift(hour((index) => (index >= 100 && index < 104 ? 40 : around()))).isTooMuch).toBe(false);
    expect(drift(hour((index) => (index < 60 ? 40 : around()))).isTooMuch).toBe(false);
  });

  it.each([1, 2, 3, 4, 5])("is found where they become slower by a fifth (seed %d)", (seed) => {
    const chance = new Chance(seed);
    const slower = drift(hour((index) => (index < 90 ? 4 : 4.8) + chance.int(-60, 60) / 100));
    expect(slower).toMatchObject({ isJudged: true, isTooMuch: true, calls: 60_000 });
    expect(slower.p99DriftPercent).toBeGreaterThan(10);
  });

  it("does not judge few calls or a short time, and tells kinds apart", () => {
    expect(drifts(hour((index) => index, 100))).toEqual([]);
    expect(drift(hour((index) => index).slice(0, 30))).toMatchObject({ isJudged: false, isTooMuch: false });
    const other = hour(() => 1).map((each) => ({ ...each, kind: "stream" }));
    expect(drifts([...hour(() => 1), ...other]).map(({ kind }) => kind)).toEqual(["unary", "stream"]);
  });
});
