import { describe, expect, it } from "vitest";
import { Chance } from "../codec/chance.ts";
import { type Sample, slopes } from "./samples.ts";

const MIB = 2 ** 20;

function samples(count: number, at: (index: number) => Partial<Sample>, everyMs = 10_000): Sample[] {
  return Array.from({ length: count }, (_, index) => ({
    atMs: (index + 1) * everyMs,
    residentBytes: 100e6,
    heapBytes: 20e6,
    externalBytes: 10e6,
    descriptors: 30,
    handles: 5,
    ...at(index),
  }));
}

/** One hour, each 30 s. */
function hour(at: (index: number) => Partial<Sample>): Sample[] {
  return samples(120, at, 30_000);
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

  it("may be 1 MiB an hour at most, once there is half an hour to judge by", () => {
    const leak = (mibAnHour: number) => (index: number) => ({ residentBytes: 100e6 + (index / 120) * mibAnHour * MIB });
    expect(steep(hour(leak(0.9)))).toEqual([]);
    expect(steep(hour(leak(1.1)))).toEqual(["residentBytes"]);
    expect(steep(samples(100, leak(1.1), 30_000))).toEqual([]);
  });

  it.each([62, 70, 80, 90, 100, 110, 118])("find a leak under busy moments, one of which stays from %d on", (at) => {
    const chance = new Chance(at);
    const noise = (index: number): number =>
      (chance.odds(0.5) ? 0 : chance.int(0, 8 * MIB)) + (index < at ? 0 : 6 * MIB);
    expect(steep(hour((index) => ({ residentBytes: 100e6 + noise(index) })))).toEqual([]);
    const leaking = hour((index) => ({ residentBytes: 100e6 + noise(index) + (index / 120) * 2 * MIB }));
    expect(steep(leaking)).toEqual(["residentBytes"]);
  });

  it("are not drawn through figures that are not known, nor through few samples", () => {
    const unknown = samples(40, () => ({ descriptors: Number.NaN, externalBytes: Number.NaN }));
    expect(slopes(unknown).map(({ figure }) => figure)).toEqual(["residentBytes", "heapBytes", "handles"]);
    expect(slopes(samples(6, () => ({})))).toEqual([]);
  });
});
