/** Units of the histogram in a millisecond: it counts whole steps of 100 ns. */
const UNITS_PER_MS = 10_000;
/** 128 steps for each power of two: a reading is off by less than 1 %. */
const STEP_BITS = 7;
const STEPS = 1 << STEP_BITS;
/** Largest value that has a bucket, in units: 214 s. */
const MAX_UNITS = 0x7fff_ffff;

/**
 * Latencies in log-linear buckets, in milliseconds with a resolution of 100 ns.
 *
 * Recording costs one `clz32` and one increment and allocates nothing. Values above 214 s count as 214 s.
 */
export class LatencyHistogram {
  readonly #counts = new Uint32Array((32 - STEP_BITS) << STEP_BITS);
  #total = 0;

  /** Number of readings. */
  get total(): number {
    return this.#total;
  }

  record(latencyMs: number): void {
    const units = Math.min(Math.max(latencyMs * UNITS_PER_MS, 0), MAX_UNITS) | 0;
    this.#counts[bucketOf(units)]++;
    this.#total++;
  }

  reset(): void {
    this.#counts.fill(0);
    this.#total = 0;
  }

  /** The upper edge, in ms, of the bucket in which the given part (0..1) of all readings is reached; 0 without readings. */
  quantileMs(part: number): number {
    if (this.#total === 0) return 0;
    const rank = Math.min(Math.floor(part * this.#total), this.#total - 1);
    let seen = 0;
    for (let bucket = 0; bucket < this.#counts.length; bucket++) {
      seen += this.#counts[bucket];
      if (seen > rank) return upperEdge(bucket) / UNITS_PER_MS;
    }
    return MAX_UNITS / UNITS_PER_MS;
  }
}

function bucketOf(units: number): number {
  const exponent = Math.max(31 - Math.clz32(units) - STEP_BITS, 0);
  return (exponent << STEP_BITS) + (units >>> exponent);
}

function upperEdge(bucket: number): number {
  if (bucket < 2 * STEPS) return bucket;
  const exponent = (bucket >>> STEP_BITS) - 1;
  const mantissa = (bucket & (STEPS - 1)) | STEPS;
  return (mantissa + 1) * 2 ** exponent - 1;
}
