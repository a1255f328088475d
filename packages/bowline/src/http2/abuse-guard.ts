import type { Clock } from "../rpc/clock.ts";
import type { Http2Limits } from "./limits.ts";

/** A bucket of allowances that refills with time. */
class Bucket {
  #level: number;
  #filledAt: number;
  readonly #burst: number;
  readonly #perMs: number;

  constructor(burst: number, perSecond: number, now: number) {
    this.#level = burst;
    this.#burst = burst;
    this.#perMs = perSecond / 1000;
    this.#filledAt = now;
  }

  /** False when nothing is left. */
  take(now: number): boolean {
    this.#level = Math.min(this.#burst, this.#level + (now - this.#filledAt) * this.#perMs);
    this.#filledAt = now;
    if (this.#level < 1) return false;
    this.#level--;
    return true;
  }
}

/**
 * Counts what a peer does that costs us and gains it nothing. Each method answers with the name of the bound that was
 * passed, or null; the connection then ends with ENHANCE_YOUR_CALM and that name.
 *
 * Row numbers are those of the attack matrix in docs/guide/limits.md.
 */
export class AbuseGuard {
  /** Set to 0 by whoever sees DATA with content. */
  emptyDataInRow = 0;
  readonly #clock: Clock;
  readonly #limits: Http2Limits;
  /** Streams that this side has closed, and of which the peer may not have heard when it resets them: one reset each. */
  #crossings = 0;
  #resets: Bucket | null = null;
  #glitches: Bucket | null = null;

  constructor(clock: Clock, limits: Http2Limits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** Rows 1 and 2: the peer reset a stream, or made us reset one. */
  reset(): string | null {
    const now = this.#clock.now();
    this.#resets ??= new Bucket(this.#limits.resetBurst, this.#limits.resetRate, now);
    return this.#resets.take(now) ? null : "resetBurst";
  }

  /** This side has closed a stream. */
  streamClosed(): void {
    if (this.#crossings < this.#limits.maxConcurrentStreams) this.#crossings++;
  }

  /** The peer reset a stream that is closed: no fault where this side did so while the reset was on its way. */
  lateReset(): string | null {
    if (this.#crossings === 0) return this.reset();
    this.#crossings--;
    return null;
  }

  /** Rows 11, 12, 18: a frame without use. */
  glitch(): string | null {
    const now = this.#clock.now();
    this.#glitches ??= new Bucket(this.#limits.glitchBurst, this.#limits.glitchRate, now);
    return this.#glitches.take(now) ? null : "glitchBurst";
  }

  /** Row 14: DATA without data and without END_STREAM, in a row. */
  emptyData(): string | null {
    return ++this.emptyDataInRow > this.#limits.maxEmptyDataFrames ? "maxEmptyDataFrames" : null;
  }
}
