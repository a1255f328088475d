import { type Random, systemRandom } from "../rpc/random.ts";

const FIRST_MS = 1000;
const FACTOR = 1.6;
const JITTER = 0.2;
const MAX_MS = 120_000;

/**
 * Waits between attempts to connect: 1 s, growing by 1.6 to 120 s, each ± 20 %; from the start again after a success.
 *
 * Source: grpc/grpc `doc/connection-backoff.md`.
 */
export class ConnectionBackoff {
  readonly #random: Random;
  #nextMs = FIRST_MS;

  constructor(options: { readonly random?: Random } = {}) {
    this.#random = options.random ?? systemRandom;
  }

  /** The wait before the next attempt, in ms. */
  next(): number {
    const ms = this.#nextMs * (1 - JITTER + 2 * JITTER * this.#random());
    this.#nextMs = Math.min(this.#nextMs * FACTOR, MAX_MS);
    return ms;
  }

  /** A connection was made. */
  reset(): void {
    this.#nextMs = FIRST_MS;
  }
}

/**
 * The pause before retry number `retry` (from 0): any time up to `baseMs` doubled with each retry, `maxMs` at most. Full jitter, so that
 * callers that failed together do not come back together (AWS Architecture Blog, "Exponential Backoff and Jitter", 2015).
 */
export function retryBackoffMs(retry: number, random: Random, limits: { readonly baseMs: number; readonly maxMs: number }): number {
  return random() * Math.min(limits.maxMs, limits.baseMs * 2 ** retry);
}
