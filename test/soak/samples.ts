/** What a process held at one moment, after its garbage was collected if it can do that. */
export interface Sample {
  /** Since the start, in ms. */
  readonly atMs: number;
  readonly residentBytes: number;
  readonly heapBytes: number;
  /** NaN where there is no /proc. */
  readonly descriptors: number;
  /** Sockets, servers and the like that keep the event loop alive; NaN for a process that does not say. */
  readonly handles: number;
}

/** Figures of a sample. */
export type Figure = Exclude<keyof Sample, "atMs">;

/** A straight line through the samples of a process. */
export interface Slope {
  readonly figure: Figure;
  readonly perHour: number;
  /** What the line grows over the samples, as a share of their mean; 0.05 is 5 %. */
  readonly growth: number;
  readonly maxGrowth: number;
  readonly isTooSteep: boolean;
}

/** What a figure may grow from the first to the last sample that counts, as a share of its mean. */
const MAX_GROWTH: Readonly<Record<Figure, number>> = {
  residentBytes: 0.1,
  heapBytes: 0.05,
  descriptors: 0.05,
  handles: 0.1,
};
/** What it may grow in any case: calls and connections that are open at the moment of a sample are in it. */
const SLACK: Readonly<Record<Figure, number>> = {
  residentBytes: 8 << 20,
  heapBytes: 1 << 20,
  descriptors: 2,
  handles: 3,
};
/** The first part of the time fills caches and pools, and code is compiled. */
const SKIPPED_SHARE = 0.5;
/** With fewer, one that is off by chance makes a slope. */
const FEWEST_SAMPLES = 4;
const HOUR_MS = 3_600_000;

/** Slopes of the later half of the samples; none with fewer than 8 samples, or for figures that are not known. */
export function slopes(samples: readonly Sample[]): Slope[] {
  const late = samples.slice(Math.floor(samples.length * SKIPPED_SHARE));
  if (late.length < FEWEST_SAMPLES) return [];
  return (Object.keys(MAX_GROWTH) as Figure[])
    .filter((figure) => late.every((each) => Number.isFinite(each[figure])))
    .map((figure) => slopeOf(figure, late));
}

/** Least squares. */
function slopeOf(figure: Figure, samples: readonly Sample[]): Slope {
  const meanAt = mean(samples.map(({ atMs }) => atMs));
  const meanValue = mean(samples.map((each) => each[figure]));
  let above = 0;
  let below = 0;
  for (const each of samples) {
    above += (each.atMs - meanAt) * (each[figure] - meanValue);
    below += (each.atMs - meanAt) ** 2;
  }
  const perMs = below === 0 ? 0 : above / below;
  const spanMs = samples[samples.length - 1].atMs - samples[0].atMs;
  const rise = perMs * spanMs;
  const growth = meanValue === 0 ? 0 : rise / meanValue;
  const maxGrowth = MAX_GROWTH[figure];
  const isTooSteep = growth > maxGrowth && rise > SLACK[figure];
  return { figure, perHour: perMs * HOUR_MS, growth, maxGrowth, isTooSteep };
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, each) => sum + each, 0) / numbers.length;
}
