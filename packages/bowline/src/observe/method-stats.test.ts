import { describe, expect, it } from "vitest";
import { MethodStats, quantileMs } from "./method-stats.ts";

const MINUTE_MS = 60_000;

/** What the histogram says of one call. */
function shownMs(durationMs: number): number {
  const stats = new MethodStats("/a/B");
  stats.begin();
  stats.end(0, durationMs);
  return quantileMs(stats.histogram(), 0.5);
}

describe("the histogram of a method", () => {
  it.each([0.002, 0.5, 1, 40, 1000, 30 * MINUTE_MS, 36 * MINUTE_MS, 50 * MINUTE_MS, 71 * MINUTE_MS])(
    "tells %d ms to within an eighth",
    (durationMs) => {
      expect(shownMs(durationMs)).toBeGreaterThanOrEqual(durationMs);
      expect(shownMs(durationMs)).toBeLessThanOrEqual(durationMs * 1.125);
    },
  );

  it.each([72 * MINUTE_MS, 24 * 60 * MINUTE_MS, 60 * 24 * 60 * MINUTE_MS])(
    "shows a call of %d ms as about 70 minutes, the longest that it can tell",
    (durationMs) => {
      expect(shownMs(durationMs) / MINUTE_MS).toBeCloseTo(71.6, 1);
    },
  );

  it.each([0, 0.0004])("shows a call of %d ms as the shortest that it can tell", (durationMs) => {
    expect(shownMs(durationMs)).toBeLessThan(0.002);
  });
});
