/** Buckets of the latency histogram: eight to each power of two of microseconds, up to about 70 minutes. */
const BUCKETS = 256;
const SUB_BITS = 3;
/** Status codes 0 to 16. */
const CODES = 17;

/** What was counted of one method between two moments, as plain data that can go to another process. */
export interface MethodCounts {
  readonly method: string;
  readonly started: number;
  /** How many more, or fewer, calls run now. */
  readonly inFlight: number;
  readonly totalMs: number;
  /** Status codes with their calls: code, count, code, count … */
  readonly byCode: readonly number[];
  /** Buckets of the histogram with their calls: bucket, count, bucket, count … */
  readonly histogram: readonly number[];
}

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

  /** What was counted since an earlier state of the same method. */
  since(earlier: MethodStats): MethodCounts {
    return {
      method: this.method,
      started: this.started - earlier.started,
      inFlight: this.inFlight - earlier.inFlight,
      totalMs: this.totalMs - earlier.totalMs,
      byCode: increase(this.byCode, earlier.byCode),
      histogram: increase(this.#histogram, earlier.#histogram),
    };
  }

  /** Adds what was counted elsewhere. */
  add(counts: MethodCounts): void {
    this.started += counts.started;
    this.inFlight += counts.inFlight;
    this.totalMs += counts.totalMs;
    addPairs(this.byCode, counts.byCode);
    addPairs(this.#histogram, counts.histogram);
  }
}

/** Index, difference, index, difference … of the numbers that differ. */
function increase(now: Float64Array, before: Float64Array): number[] {
  const pairs: number[] = [];
  for (let i = 0; i < now.length; i++) if (now[i] !== before[i]) pairs.push(i, now[i] - before[i]);
  return pairs;
}

function addPairs(to: Float64Array, pairs: readonly number[]): void {
  for (let i = 0; i < pairs.length; i += 2) to[pairs[i]] += pairs[i + 1];
}

function bucketOf(durationMs: number): number {
  // Bounded first: a number of more bits loses the upper ones.
  const micros = Math.min(Math.max(1, durationMs * 1000), 0xffffffff) >>> 0;
  const octave = 31 - Math.clz32(micros);
  const rest = octave > SUB_BITS ? (micros >>> (octave - SUB_BITS)) & 7 : (micros << (SUB_BITS - octave)) & 7;
  return (octave << SUB_BITS) | rest;
}

/** The upper edge of a bucket in ms. */
function upperEdgeMs(bucket: number): number {
  const octave = bucket >>> SUB_BITS;
  return (2 ** octave * (1 + ((bucket & 7) + 1) / 8)) / 1000;
}

/** The latency in ms below which the share `q` (0 to 1) of a histogram's calls lies, to within an eighth; 0 for an empty one. @throws RangeError for another share */
export function quantileMs(histogram: Float64Array, q: number): number {
  if (!(q >= 0 && q <= 1)) throw new RangeError(`quantileMs: q is ${q}; give a share from 0 to 1, such as 0.99`);
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
