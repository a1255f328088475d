import { median } from "../../bench/harness/report/statistics.ts";
import { warmed } from "./samples.ts";

/** How long the calls of a kind took in a window of time. */
export interface LatencyWindow {
  readonly kind: string;
  /** End of the window, since the start, in ms. */
  readonly atMs: number;
  readonly calls: number;
  readonly p99Ms: number;
}

/** How latencies of a kind have changed from the first half of the time behind the warm-up to the second. */
export interface Drift {
  readonly kind: string;
  readonly calls: number;
  /** Medians of the windows' p99s. */
  readonly firstP99Ms: number;
  readonly lastP99Ms: number;
  /** Above 0 when calls became slower. */
  readonly p99DriftPercent: number;
  /** How many standard deviations the rank sum of the later windows is above what chance would give. */
  readonly deviations: number;
  /** False: too few calls to say. */
  readonly isJudged: boolean;
  readonly isTooMuch: boolean;
}

const MAX_DRIFT_PERCENT = 10;
/** A window with fewer does not count: they have no hundredth part to speak of. */
const FEWEST_CALLS = 400;
/** In each half. */
const FEWEST_WINDOWS = 12;
/** A drift that chance brings about once in 700 times is none. */
const LEAST_DEVIATIONS = 3;

/**
 * The drift of each kind of which there were calls enough. Too much is one of more than 10 % that isn't chance: medians of many windows
 * are compared, so that a minute in which others had the CPU does not decide, and their ranks must tell them apart (Mann-Whitney).
 */
export function drifts(windows: readonly LatencyWindow[]): Drift[] {
  const late = warmed(windows).filter(({ calls }) => calls >= FEWEST_CALLS);
  const byKind = Map.groupBy(late, ({ kind }) => kind);
  return [...byKind].filter(([, each]) => each.length > 1).map(([kind, each]) => driftOf(kind, each));
}

function driftOf(kind: string, windows: readonly LatencyWindow[]): Drift {
  const half = windows.length >> 1;
  const first = windows.slice(0, half).map(({ p99Ms }) => p99Ms);
  const last = windows.slice(half).map(({ p99Ms }) => p99Ms);
  const firstP99Ms = median(first);
  const lastP99Ms = median(last);
  const p99DriftPercent = (lastP99Ms / firstP99Ms - 1) * 100;
  const deviations = deviationsOf(first, last);
  const isJudged = half >= FEWEST_WINDOWS;
  const isTooMuch = isJudged && p99DriftPercent > MAX_DRIFT_PERCENT && deviations > LEAST_DEVIATIONS;
  const calls = windows.reduce((sum, each) => sum + each.calls, 0);
  return { kind, calls, firstP99Ms, lastP99Ms, p99DriftPercent, deviations, isJudged, isTooMuch };
}

/** The statistic U of Mann and Whitney in standard deviations from its mean. */
function deviationsOf(first: readonly number[], last: readonly number[]): number {
  let above = 0;
  for (const late of last) for (const early of first) above += late > early ? 1 : late === early ? 0.5 : 0;
  const pairs = first.length * last.length;
  return (above - pairs / 2) / Math.sqrt((pairs * (first.length + last.length + 1)) / 12);
}
