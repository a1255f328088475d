import { describe, expect, it } from "vitest";
import { type Sample, slopes } from "./samples.ts";

function samples(count: number, at: (index: number) => Partial<Sample>): Sample[] {
  return Array.from({ length: count }, (_, index) => ({
    atMs: index * 10_000,
    residentBytes: 100e6,
    heapBytes: 20e6,
    descriptors: 30,
    handles: 5,
    ...at(index),
  }));
}

function steep(all: readonly Sample[]): string[] {
  return slopes(all)
    .filter(({ isTooSteep }) => isTooSteep)
    .map(({ figure }) => figure);
}

describe("slopes of a soak", () => {
  it("are flat for what stays, rises at the start, or goes up and down", () => {
    expect(steep(samples(40, () => ({})))).toEqual([]);
    expect(steep(samples(40, (index) => ({ heapBytes: Math.min(20e6, 10e6 + index * 1e6) })))).toEqual([]);
    expect(steep(samples(40, (index) => ({ heapBytes: 20e6 + (index % 2) * 3e6 })))).toEqual([]);
    expect(steep(samples(40, (index) => ({ heapBytes: 20e6 - index * 1e5 })))).toEqual([]);
  });

  it("show what grows, by the hour", () => {
    const growing = samples(40, (index) => ({ heapBytes: 20e6 + index * 1e5, descriptors: 30 + index }));
    expect(steep(growing)).toEqual(["heapBytes", "descriptors"]);
    expect(slopes(growing).find(({ figure }) => figure === "heapBytes")?.perHour).toBeCloseTo(36e6, -2);
    expect(steep(samples(40, (index) => ({ residentBytes: 100e6 + index * 1e6 })))).toEqual(["residentBytes"]);
  });

  it("are not drawn through figures that are not known, nor through few samples", () => {
    const unknown = samples(40, () => ({ descriptors: Number.NaN }));
    expect(slopes(unknown).map(({ figure }) => figure)).toEqual(["residentBytes", "heapBytes", "handles"]);
    expect(slopes(samples(6, () => ({})))).toEqual([]);
  });
});
