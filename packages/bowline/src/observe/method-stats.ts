/** Buckets of the latency histogram: eight to each power of two of microseconds, up to about 70 minutes. */
const BUCKETS = 256;
const SUB_BITS = 3;
/** Status codes 0 to 16. */
const CODES = 17;

/**
 * Counts and latencies of one method, as plain numbers: what a call costs here is a few additions.
 */
export class MethodStats {
  /** `/user.v1.UserService/GetUser` */
  readonly method: string;
  started = 0;
  inFlight = 0;
  /** Calls that have ended, by status code. */
  readonly byCode: Float64Array = new Float64Array(CODES);
  /** Sum of all durations. */
  totalMs = 0;
  readonly #histogram: Float64Array = new Float64Array(BUCKETS);

  constructor(method: string) {
    this.method = method;
  }

  /** A call has started. */
  begin(): void {
    this.started++;
    this.inFlight++;
  }

  /** It has ended with this status code. */
  end(code: number, durationMs: number): void {
    this.inFlight--;
    this.byCode[code]++;
    this.totalMs += durationMs;
    this.#histogram[bucketOf(durationMs)]++;
  }

  /** A copy of the histogram, to be subtracted from a later one; see `quantileMs`. */
  histogram(): Float64Array {
    return this.#histogram.slice();
  }
}

function bucketOf(durationMs: number): number {
  const micros = Math.min(Math.max(1, (durationMs * 1000) | 0), 0x7fffffff);
  const octave = 31 - Math.clz32(micros);
  const rest = octave > SUB_BITS ? (micros >>> (octave - SUB_BITS)) & 7 : (micros << (SUB_BITS - octave)) & 7;
  return (octave << SUB_BITS) | rest;
}

/** The upper edge of a bucket in ms. */
function upperEdgeMs(bucket: number): number {
  const octave = bucket >>> SUB_BITS;
  return (2 ** octave * (1 + ((bucket & 7) + 1) / 8)) / 1000;
}

/** The latency in ms below which the share `q` (0 to 1) of a histogram's calls lies, to within an eighth; 0 for an empty one. */
export function quantileMs(histogram: Float64Array, q: number): number {
  let total = 0;
  for (const count of histogram) total += count;
  let rest = total * q;
  if (total === 0) return 0;
  for (let bucket = 0; bucket < histogram.length; bucket++) {
    rest -= histogram[bucket];
    if (rest <= 0) return upperEdgeMs(bucket);
  }
  return upperEdgeMs(histogram.length - 1);
}
