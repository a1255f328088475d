import type { LatencyHistogram } from "./histogram.ts";

/** One call in this many is timed, so that the clock is not what is measured. */
export const TIMED_ONE_IN = 8;

/** What a load of a given time came to. */
export interface LoadResult {
  readonly calls: number;
  /** Messages of streams, those of streams that had not ended included; 0 where calls are what counts. */
  readonly messages: number;
  readonly errors: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** The first error seen, if any. */
  readonly firstError?: string;
}

/** Counts that grow while a load runs. */
export interface LoadCounts {
  calls: number;
  messages: number;
  errors: number;
  firstError: unknown;
}

/** The result of counts and latencies over a time. */
export function loadResult(counts: LoadCounts, seconds: number, latencies: LatencyHistogram): LoadResult {
  const { calls, messages, errors, firstError } = counts;
  return {
    calls,
    messages,
    errors,
    seconds,
    p50Ms: latencies.quantileMs(0.5),
    p99Ms: latencies.quantileMs(0.99),
    ...(firstError === undefined ? {} : { firstError: String(firstError) }),
  };
}
