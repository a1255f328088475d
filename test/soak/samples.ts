import { median } from "../../bench/harness/report/statistics.ts";

/** What a process held at one moment, after its garbage was collected if it can do that. */
export interface Sample {
  /** Since the start, in ms. */
  readonly atMs: number;
  readonly residentBytes: number;
  /** Used by objects, and what they hold outside. */
  readonly heapBytes: number;
  /** The part of it that is outside, buffers mostly. */
  readonly externalBytes: number;
  /** NaN where there is no /proc. */
  readonly descriptors: number;
  /** Sockets, servers and the like that keep the event loop alive; NaN for a process that does not say. */
  readonly handles: number;
}

/** Figures of a sample. */
export type Figure = Exclude<keyof Sample, "atMs">;

/** How a figure of a process has grown. */
export interface Slope {
  readonly figure: Figure;
  readonly perHour: number;
  /** Undefined when the time is too short to say, and for figures that are counts. */
  readonly maxPerHour: number | undefined;
  /** What it grows over the samples, as a share of their mean; 0.05 is 5 %. */
  readonly growth: number;
  readonly maxGrowth: number;
  readonly isTooSteep: boolean;
}

/** What a figure may grow from the first to the last sample that counts, as a share of its mean. */
const MAX_GROWTH: Readonly<Record<Figure, number>> = {
  residentBytes: 0.1,
  heapBytes: 0.05,
  externalBytes: 0.05,
  descriptors: 0.05,
  handles: 0.1,
};
/** What it may grow in any case: calls and connections that are open at the moment of a sample are in it. */
const SLACK: Readonly<Record<Figure, number>> = {
  residentBytes: 8 << 20,
  heapBytes: 1 << 20,
  externalBytes: 1 << 20,
  descriptors: 2,
  handles: 3,
};
/** What it may grow in an hour, asked once there is half an hour to judge by. */
const MAX_PER_HOUR: Readonly<Partial<Record<Figure, number>>> = {
  residentBytes: 1 << 20,
  heapBytes: 1 << 20,
  externalBytes: 1 << 20,
};
const LEAST_MS_FOR_HOURS = 29 * 60_000;
/** Caches and pools are filled in it, code is compiled, and malloc meets its busiest moments. */
const WARM_UP_MS = 30 * 60_000;
/** A shorter soak has at least this part of its time to judge by. */
const MOST_WARM_UP_SHARE = 0.5;
const FEWEST_SAMPLES = 4;
/** Length of the windows of a soak that is long enough for so many. */
const WINDOW_MS = 2 * 60_000;
const USUAL_WINDOWS = 15;
/** Windows are compared that are this far apart, as shares of the whole time. */
const LEAST_LAG_SHARE = 1 / 6;
const MOST_LAG_SHARE = 1 / 3;
const HOUR_MS = 3_600_000;

/** What comes behind the warm-up: 30 minutes, or half of a shorter time. */
export function warmed<T extends { readonly atMs: number }>(samples: readonly T[]): T[] {
  const last = Math.max(...samples.map(({ atMs }) => atMs));
  return samples.filter(({ atMs }) => atMs > Math.min(WARM_UP_MS, last * MOST_WARM_UP_SHARE));
}

/**
 * Slopes of the samples behind the warm-up; none with fewer than 4 of them, or for figures that are not known.
 *
 * Of each window of 2 minutes (less in a short soak) the least counts: what is never let go is in all samples, a busy moment is not.
 * The slope is the median of those between windows that are a sixth to a third of the time apart (Theil and Sen take all): a leak adds
 * its rate to each of them, while one step, such as the pages that malloc keeps of a busy moment, is in fewer than half wherever
 * it comes.
 */
export function slopes(samples: readonly Sample[]): Slope[] {
  const late = warmed(samples);
  if (late.length < FEWEST_SAMPLES) return [];
  return (Object.keys(MAX_GROWTH) as Figure[])
    .filter((figure) => late.every((each) => Number.isFinite(each[figure])))
    .map((figure) => slopeOf(figure, late));
}

function slopeOf(figure: Figure, samples: readonly Sample[]): Slope {
  const perMs = median(rises(figure, lowest(figure, samples)));
  const spanMs = samples[samples.length - 1].atMs - samples[0].atMs;
  const rise = perMs * spanMs;
  const meanValue = samples.reduce((sum, each) => sum + each[figure], 0) / samples.length;
  const growth = meanValue === 0 ? 0 : rise / meanValue;
  const maxGrowth = MAX_GROWTH[figure];
  const maxPerHour = spanMs >= LEAST_MS_FOR_HOURS ? MAX_PER_HOUR[figure] : undefined;
  const perHour = perMs * HOUR_MS;
  const isTooSteep = (growth > maxGrowth && rise > SLACK[figure]) || perHour > (maxPerHour ?? Number.POSITIVE_INFINITY);
  return { figure, perHour, maxPerHour, growth, maxGrowth, isTooSteep };
}

/** Per ms, between all windows of a fit distance. */
function rises(figure: Figure, lows: readonly Sample[]): number[] {
  const least = Math.ceil(lows.length * LEAST_LAG_SHARE);
  const most = Math.max(Math.floor(lows.length * MOST_LAG_SHARE), least);
  return lows.flatMap((to, index) =>
    lows
      .slice(Math.max(index - most, 0), Math.max(index - least + 1, 0))
      .map((from) => (to[figure] - from[figure]) / (to.atMs - from.atMs)),
  );
}

/** The sample of each window in which the figure is least. */
function lowest(figure: Figure, samples: readonly Sample[]): Sample[] {
  const begin = samples[0].atMs;
  const spanMs = samples[samples.length - 1].atMs - begin;
  const count = Math.max(Math.min(USUAL_WINDOWS, samples.length), Math.round(spanMs / WINDOW_MS));
  const lows = new Map<number, Sample>();
  for (const sample of samples) {
    const window = Math.min(Math.floor(((sample.atMs - begin) * count) / spanMs), count - 1);
    const low = lows.get(window);
    if (low === undefined || sample[figure] < low[figure]) lows.set(window, sample);
  }
  return [...lows.values()];
}
