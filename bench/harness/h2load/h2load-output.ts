import type { LoadResult } from "../load/load-result.ts";

/**
 * What h2load prints at the end of a run for a time. It does not look into bodies and trailers; anything but a status of 2xx is an
 * error. It gives no percentiles: latencies are NaN.
 *
 * @throws Error when the text has no summary
 */
export function readH2loadOutput(text: string): LoadResult {
  const rate = /^finished in .*?([\d.]+) req\/s/m.exec(text);
  const requests = /^requests: .*?(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout/m.exec(text);
  const codes = /^status codes: \d+ 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx/m.exec(text);
  if (rate === null || requests === null || codes === null) {
    throw new Error(`h2load printed no summary: ${text.slice(-500)}`);
  }
  const succeeded = Number(requests[1]);
  // "failed" are those that errored or timed out or had another status; which of them, the sums below tell.
  const errors = Math.max(Number(requests[2]), sum(codes.slice(1)));
  return {
    calls: succeeded,
    messages: 0,
    errors,
    seconds: succeeded === 0 ? 0 : succeeded / Number(rate[1]),
    p50Ms: Number.NaN,
    p99Ms: Number.NaN,
    ...(errors === 0 ? {} : { firstError: `${requests[0]}; ${codes[0]}` }),
  };
}

function sum(texts: readonly string[]): number {
  return texts.reduce((total, text) => total + Number(text), 0);
}
