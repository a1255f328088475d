import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LatencyHistogram } from "./histogram.ts";

describe("LatencyHistogram", () => {
  it("reads back a single value within one percent", () =>
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0x7fff_fffe }), (units) => {
        const histogram = new LatencyHistogram();
        histogram.record((units + 0.5) / 10_000);
        const seen = histogram.quantileMs(0.5) * 10_000;
        expect(seen).toBeGreaterThanOrEqual(units - 1e-3);
        expect(seen - units).toBeLessThanOrEqual(0.01 * units + 1e-3);
      }),
    ));

  it("gives the quantiles of a sorted list", () => {
    const histogram = new LatencyHistogram();
    const values = Array.from({ length: 20_000 }, (_, i) => ((i * 7919) % 20_000) / 100);
    for (const value of values) histogram.record(value);
    values.sort((a, b) => a - b);
    for (const part of [0, 0.5, 0.9, 0.99, 0.999, 1]) {
      const wanted = values[Math.min(Math.floor(part * values.length), values.length - 1)];
      expect(histogram.quantileMs(part)).toBeGreaterThanOrEqual(wanted - 1e-4);
      expect(histogram.quantileMs(part)).toBeLessThanOrEqual(1.01 * wanted + 1e-4);
    }
  });

  it("reads zero when empty and after a reset", () => {
    const histogram = new LatencyHistogram();
    expect(histogram.quantileMs(0.99)).toBe(0);
    histogram.record(3);
    histogram.reset();
    expect(histogram.total).toBe(0);
    expect(histogram.quantileMs(0.99)).toBe(0);
  });

  it("counts values beyond its range in the last bucket", () => {
    const histogram = new LatencyHistogram();
    histogram.record(1e9);
    histogram.record(-1);
    expect(histogram.quantileMs(1)).toBeGreaterThan(200_000);
    expect(histogram.quantileMs(0)).toBe(0);
  });
});
