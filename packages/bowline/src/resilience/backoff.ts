import { type Random, systemRandom } from "../rpc/random.ts";

/** What may be set on {@link ConnectionBackoff}. */
export interface ConnectionBackoffOptions {
  /** Default: the process's source of chance. */
  readonly random?: Random;
  /** Delay after the first failure in ms, more than 0. Default 1000. */
  readonly initialMs?: number;
  /** Each delay is this many times the one before, 1 or more. Default 1.6. */
  readonly factor?: number;
  /** Each delay is spread evenly by this part of itself up and down, 0 to 1. Default 0.2. */
  readonly jitter?: number;
  /** No delay is longer than this in ms, but for its jitter. Default 120,000. */
  readonly maxMs?: number;
}

/**
 * How long to wait between attempts to connect: 1 s, 1.6 s, 2.56 s … 120 s, each ± 20 %, from the start again after a
 * success.
 *
 * The first delay is spread too, unlike in the letter of the source, so that clients that lost one server don't return
 * as one. Throws a RangeError for an option outside its range.
 *
 * Source: grpc/grpc `doc/connection-backoff.md`; a delay counts from the start of the attempt that failed.
 */
export class ConnectionBackoff {
  readonly #random: Random;
  readonly #initialMs: number;
  readonly #factor: number;
  readonly #jitter: number;
  readonly #maxMs: number;
  #baseMs: number;

  constructor(options: ConnectionBackoffOptions = {}) {
    const { random = systemRandom, initialMs = 1000, factor = 1.6, jitter = 0.2, maxMs = 120_000 } = options;
    check("initialMs", initialMs, initialMs > 0 && initialMs < Number.POSITIVE_INFINITY, "more than 0");
    check("factor", factor, factor >= 1 && factor < Number.POSITIVE_INFINITY, "1 or more");
    check("jitter", jitter, jitter >= 0 && jitter <= 1, "0 to 1");
    check("maxMs", maxMs, maxMs >= initialMs && maxMs < Number.POSITIVE_INFINITY, `${initialMs} (initialMs) or more`);
    this.#random = random;
    this.#initialMs = initialMs;
    this.#factor = factor;
    this.#jitter = jitter;
    this.#maxMs = maxMs;
    this.#baseMs = initialMs;
  }

  /** The delay after one more failure, in ms. */
  next(): number {
    const delayMs = this.#baseMs * (1 + this.#jitter * (2 * this.#random() - 1));
    this.#baseMs = Math.min(this.#maxMs, this.#baseMs * this.#factor);
    return delayMs;
  }

  /** A connection was made: the next failure waits for the first delay again. */
  reset(): void {
    this.#baseMs = this.#initialMs;
  }
}

/** What may be set on {@link retryBackoffMs}. */
export interface RetryBackoffOptions {
  /** Upper end of the first delay in ms, 0 or more. Default 25. */
  readonly baseMs?: number;
  /** Upper end of every delay in ms, 0 or more. Default 1000. */
  readonly maxMs?: number;
}

/**
 * How long to wait before the next retry of a call that was retried `retries` times so far: evenly between 0 and
 * 25 ms × 2^retries, 1 s at most.
 *
 * Full jitter: what failed together does not come back together. Source: AWS Architecture Blog, "Exponential Backoff
 * And Jitter".
 */
export function retryBackoffMs(retries: number, random: Random, options: RetryBackoffOptions = {}): number {
  const { baseMs = 25, maxMs = 1000 } = options;
  return random() * Math.min(maxMs, baseMs * 2 ** retries);
}

function check(name: string, value: number, isAllowed: boolean, range: string): void {
  if (!isAllowed) throw new RangeError(`${name} of a connection backoff must be ${range}, not ${value}`);
}
