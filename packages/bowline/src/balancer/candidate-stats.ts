/** Largest weight of one latency sample. */
const LATENCY_GAIN_MAX = 0.3;
/** Memory of the average of outcomes. */
const SUCCESS_TAU_MS = 1000;
/** Largest weight of one outcome. */
const SUCCESS_GAIN_MAX = 0.2;
/** Weight of the newest gap in the average gap between outcomes. */
const GAP_GAIN = 0.1;

/**
 * What `p2c` remembers of one candidate, in fields only: a call allocates nothing.
 *
 * Times are monotonic ms of the balancer's clock. Calls that end within one reading of the clock (one turn of the event
 * loop) count as one sample, the first of them: a broken connection that fails a hundred calls at once is one failure.
 */
export class CandidateStats {
  /** Moving average of the time of successful calls in ms; 0 = none has succeeded yet. */
  latencyMs: number = 0;
  /** Moving average of outcomes, 0 = all failed to 1 = all well. */
  success: number = 1;
  /**
   * Start of the oldest call that no answer has followed; infinite when the last call was followed by one.
   *
   * It stands for the start of the oldest call in flight, which one field can't hold. It is never older than that one
   * unless calls timed out in between, and equal to it in the two cases that matter: one call in flight, and a
   * candidate that stopped answering. Where many calls are in flight it is the better signal: the oldest of twenty is
   * always old, so its true age reads as a stall without one (simulated with 22 calls in flight each: p50 33 instead of
   * 29 ms), and so is a long stream.
   */
  unansweredSince: number = Number.POSITIVE_INFINITY;
  /** The latency that its score counts with, in ms. */
  usualMs: number = 1;
  /** Its score with no call in flight, before chance. */
  cost: number = 1;
  /** A winner like this is compared with one more candidate. */
  isBad: boolean = false;
  /** When it was first seen ready: its slow start runs from then; -1 = not yet. */
  joinedAt: number = -1;
  /** From then on it is due for a retest. */
  retestAt: number = Number.POSITIVE_INFINITY;
  /** The one call of a retest is on its way. */
  isRetesting: boolean = false;
  /** How many times longer than usual the next retest waits, because the last ones went badly: 1 to 16. */
  retestBackoff: number = 1;
  /** Factor that keeps many clients from retesting at one moment, 0.75 to 1.25. */
  retestJitter: number;
  /** Average gap between outcomes in ms, waits for a failed retest left out; 0 = fewer than two outcomes. */
  gapMs: number = 0;
  #latencyAt = Number.NEGATIVE_INFINITY;
  #outcomeAt = Number.NEGATIVE_INFINITY;

  constructor(retestJitter: number) {
    this.retestJitter = retestJitter;
  }

  /** Takes the time of a call into the average, whose memory is `tauMs`. The first sample is the average. */
  sampled(latencyMs: number, now: number, tauMs: number): void {
    if (this.latencyMs === 0) {
      this.latencyMs = latencyMs;
    } else {
      const gain = gainAfter((now - this.#latencyAt) / tauMs, LATENCY_GAIN_MAX);
      this.latencyMs += gain * (latencyMs - this.latencyMs);
    }
    this.#latencyAt = now;
  }

  /** Takes an outcome into the average: 1 = well, 0 = failed. */
  ended(outcome: 0 | 1, now: number): void {
    const gapMs = now - this.#outcomeAt;
    const gain = gainAfter(gapMs / SUCCESS_TAU_MS, SUCCESS_GAIN_MAX);
    this.success += gain * (outcome - this.success);
    // A wait for a retest is the balancer's doing, unless all is well: then it was the client that was quiet.
    if ((!this.isRetesting || outcome === 1) && gapMs !== Number.POSITIVE_INFINITY) {
      this.gapMs = this.gapMs === 0 ? gapMs : this.gapMs + GAP_GAIN * (gapMs - this.gapMs);
    }
    this.#outcomeAt = now;
  }
}

/**
 * Weight of a sample after a gap of `ratio` taus, 1 - e^-ratio, by its series: exact to 0.3 % below a cap of 0.3, and
 * half the cost of `Math.exp`.
 */
function gainAfter(ratio: number, gainMax: number): number {
  if (ratio > 0.5) return gainMax;
  const gain = ratio - ratio * ratio * (0.5 - ratio / 6);
  return Math.min(gain, gainMax);
}
