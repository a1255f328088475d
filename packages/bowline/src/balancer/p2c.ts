import { type Clock, systemClock } from "../rpc/clock.ts";
import { type Random, systemRandom } from "../rpc/random.ts";
import type { AttemptResult, Balancer, Candidate } from "./balancer.ts";
import { CandidateStats } from "./candidate-stats.ts";

/** Candidates that are compared for one call; a set of this size or less is compared as a whole. */
const CHOICES = 3;
/** Draws for them, those included that hit the same candidate again or one that is not ready. */
const DRAWS_MAX = 6;
/** How often median, soundness and slow start of the set are worked out anew. */
const REFRESH_MS = 100;
/** A latency sample counts at most this many times what is usual: one pause must not shun a candidate for seconds. */
const CLIP = 5;
/** A candidate slower than this many medians is bad. */
const BAD_LATENCY = 3;
/** A candidate with less success is bad: worth one more draw. */
const BAD_SUCCESS = 0.7;
/** A candidate with less success is broken: worth a look at all others. */
const BROKEN_SUCCESS = 0.5;
/** Keeps the score of a candidate without any success finite. */
const SUCCESS_FLOOR = 1e-8;
/** Calls that wait longer than this many usual latencies show a stall before any of them ends. */
const STALL = 2;
/**
 * What a stream whose answer has begun counts for, in calls in flight. As a whole call, one that waits for news would keep nearly all others
 * away from an idle candidate; as nothing, all streams could end up at one.
 */
const STREAM_LOAD = 1 / 8;
/** Puts an unproven candidate with a call in flight behind every other. */
const PROBATION = 1e6;
/** Share of the load at the beginning of a slow start. */
const SLOW_START_MIN = 0.1;
/** A retest waits for this many usual gaps between calls, so that a quiet client doesn't take silence for trouble. */
const RETEST_GAPS = 5;
/** Longest wait for the next retest, in first waits. */
const RETEST_BACKOFF_MAX = 16;
/** Success after a retest that went well, at least. */
const RETESTED_SUCCESS = 0.9;

/** What may be set on {@link p2c}. */
export interface P2cOptions {
  /** Default: the process's clock. */
  readonly clock?: Clock;
  /** Default: the process's source of chance. Read once for the draws, then for retests only. */
  readonly random?: Random;
  /** Memory of the latency average in ms, more than 0. Default 600; anything from 200 on does about as well. */
  readonly latencyTauMs?: number;
  /**
   * Time in ms in which the share of a new candidate grows from a tenth to all of it; 0 = no slow start. Default 8000.
   */
  readonly slowStartMs?: number;
  /** A candidate without an outcome for this many ms is tried with one call, more than 0. Default 5000. */
  readonly retestMs?: number;
}

/**
 * The default balancer: the best of three random candidates by
 *
 *     max(L, stall, 0.2 ms + 0.2 median) × (load + 1) / (weight × slow start × S⁴)
 *
 * where L is a short moving average of latency, S one of success, `load` the calls in flight, streams whose answer has
 * begun for an eighth each, and `stall` the time for which calls have waited without any answer, once that is more than
 * 2 L. Each score is multiplied by a random number from 1 to 2: less than the step from no call in flight to one, so it
 * decides nothing under load; without it the luckiest candidate of an idle set gets thousands of calls in a row.
 *
 * - A bad winner (L above 3 medians, S below 0.7, first half of its slow start) must beat one more draw; a broken one
 *   (S below 0.5) must beat the whole set, unless all are broken.
 * - A candidate that no call has succeeded on counts as median and has one call in flight at most while there are
 *   others, retests left out.
 * - A candidate without an outcome for 5 s gets one call at median score: that is how one that was avoided wins traffic
 *   back, and one whose only call is a stream that says nothing. If it goes badly the wait doubles, up to 16 times. A
 *   connection whose PING is unanswered should not be ready.
 * - A weight of 0 gets nothing, even when nothing else is ready. Other weights shift the load without fixing exact
 *   shares.
 * - Nothing starts slowly while more than half of the set is new.
 *
 * Each `pick` is followed by one `done`; a stream should end, for the balancer, with its first message.
 * Throws a RangeError for an option outside its range.
 */
export function p2c<C extends Candidate = Candidate>(options: P2cOptions = {}): Balancer<C> {
  return new P2c<C>(options);
}

/** Budget: `pick` and `done` allocate nothing and take 100 ns together while the set is sound. */
class P2c<C extends Candidate> implements Balancer<C> {
  readonly name: string = "p2c";
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #latencyTauMs: number;
  readonly #slowStartMs: number;
  readonly #retestMs: number;
  /**
   * State of the draws' own source of chance (xorshift32), never 0: what a call of `Math.random` returns is a number on
   * the heap.
   */
  #bits: number;
  /** Those with a weight. */
  #candidates: readonly C[] = [];
  /** Room for sorting. */
  #latencies = new Float64Array(0);
  /** The clock at the last pick or done. */
  #now = 0;
  /** Argument of the last `done`: in a field, because a fraction that is handed on is a number on the heap. */
  #elapsedMs = 0;
  #refreshAt = Number.NEGATIVE_INFINITY;
  /** Median latency of the ready candidates that have one; 0 = none has. */
  #medianMs = 0;
  /** The least latency that a score counts with. */
  #floorMs = 0.2;
  /** Ready candidates that are known and not broken. */
  #soundCount = 0;
  /** Some candidates are in their slow start, and at least half of the set is not. */
  #hasSlowStart = false;

  constructor(options: P2cOptions) {
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#latencyTauMs = positive("latencyTauMs", options.latencyTauMs ?? 600);
    this.#slowStartMs = options.slowStartMs === 0 ? 0 : positive("slowStartMs", options.slowStartMs ?? 8000);
    this.#retestMs = positive("retestMs", options.retestMs ?? 5000);
    this.#bits = (1 + Math.floor(this.#random() * 0xffffffff)) | 0;
  }

  update(candidates: readonly C[]): void {
    for (const candidate of candidates) {
      if (!(candidate.state instanceof CandidateStats)) candidate.state = new CandidateStats(this.#jitter());
    }
    this.#candidates = candidates.filter((candidate) => candidate.weight > 0);
    this.#latencies = new Float64Array(this.#candidates.length);
    this.#refreshAt = Number.NEGATIVE_INFINITY;
  }

  pick(avoid: C | null): C | null {
    this.#now = this.#clock.now();
    if (this.#now >= this.#refreshAt) this.#refresh();
    let winner = this.#best(avoid, this.#candidates.length <= CHOICES);
    if (winner === null) {
      if (avoid === null || !avoid.isReady || !(avoid.weight > 0)) return null;
      winner = avoid;
    }
    const stats = winner.state as CandidateStats;
    if (waiting(winner) === 0 || stats.unansweredSince === Number.POSITIVE_INFINITY) stats.unansweredSince = this.#now;
    const isDue = avoid === null && this.#now >= stats.retestAt;
    if (isDue) stats.isRetesting = true;
    // From the first call on, not from its outcome: a stream that says nothing has none.
    if (isDue || stats.retestAt === Number.POSITIVE_INFINITY) stats.retestAt = this.#now + this.#patienceMs(stats);
    return winner;
  }

  /**
   * The best of some draws, or of everyone, `avoid` left out.
   *
   * Draws and scores are one loop, because a fraction that crosses a call is a number on the heap (measured: 95 bytes a
   * pick).
   */
  #best(avoid: C | null, isEveryone: boolean): C | null {
    const candidates = this.#candidates;
    const now = this.#now;
    const size = candidates.length;
    const triesMax = isEveryone ? size : DRAWS_MAX;
    let wanted = isEveryone ? size : CHOICES;
    let found = 0;
    let first = -1;
    let second = -1;
    let best: C | null = null;
    let bestScore = Number.POSITIVE_INFINITY;
    let bits = this.#bits;
    for (let tries = 0; found < wanted && tries < triesMax; tries++) {
      // One random number gives a draw its index and, by the fraction, its score's factor. `| 0` costs 8 ns less than
      // Math.floor.
      bits ^= bits << 13;
      bits ^= bits >>> 17;
      bits ^= bits << 5;
      const chance = (bits >>> 0) / 4294967296;
      const place = isEveryone ? tries + chance : chance * size;
      const index = place | 0;
      const candidate = candidates[index];
      if (!candidate.isReady || candidate === avoid || index === first || index === second) continue;
      if (found === 0) first = index;
      else second = index;
      found++;

      const stats = candidate.state as CandidateStats;
      const calls = waiting(candidate);
      let score = (calls + STREAM_LOAD * candidate.streaming + 1) * (1 + place - index);
      if (now >= stats.retestAt && avoid === null) {
        score *= Math.max(this.#medianMs, this.#floorMs);
      } else {
        score *= stats.cost;
        if (calls > 0) {
          const unansweredMs = now - stats.unansweredSince;
          if (unansweredMs > STALL * stats.usualMs) score *= unansweredMs / stats.usualMs;
          if (stats.latencyMs === 0) score *= PROBATION;
        }
      }
      if (score < bestScore) {
        best = candidate;
        bestScore = score;
      }
      if (found === CHOICES && !isEveryone && this.#isBad(best as C)) wanted = CHOICES + 1;
    }
    this.#bits = bits;
    if (isEveryone) return best;
    const isPoor = found < 2 || (this.#soundCount > 0 && this.#isBroken(best as C, avoid));
    return isPoor ? this.#best(avoid, true) : best;
  }

  #isBad(candidate: C): boolean {
    const stats = candidate.state as CandidateStats;
    return stats.isBad || (stats.latencyMs === 0 && waiting(candidate) > 0);
  }

  #isBroken(candidate: C, avoid: C | null): boolean {
    const stats = candidate.state as CandidateStats;
    if (stats.success >= BROKEN_SUCCESS && (stats.latencyMs > 0 || waiting(candidate) === 0)) return false;
    return avoid !== null || this.#now < stats.retestAt;
  }

  done(candidate: C, result: AttemptResult, elapsedMs: number): void {
    const stats = candidate.state as CandidateStats;
    this.#now = this.#clock.now();
    this.#elapsedMs = elapsedMs;
    if (result === "ok") this.#succeeded(stats);
    else this.#notSucceeded(stats, result);
    if (result !== "cancelled") stats.retestAt = this.#now + this.#patienceMs(stats);
    this.#appraise(candidate, stats);
  }

  #succeeded(stats: CandidateStats): void {
    stats.unansweredSince = Number.POSITIVE_INFINITY;
    if (stats.latencyMs === 0) this.#soundCount++;
    if (stats.isRetesting) stats.latencyMs = 0;
    stats.sampled(stats.isRetesting ? this.#elapsedMs : this.#clipped(stats), this.#now, this.#latencyTauMs);
    stats.ended(1, this.#now);
    if (!stats.isRetesting) return;
    stats.success = Math.max(stats.success, RETESTED_SUCCESS);
    this.#retested(stats, this.#elapsedMs <= BAD_LATENCY * this.#medianMs);
  }

  #notSucceeded(stats: CandidateStats, result: AttemptResult): void {
    const isSlow = stats.latencyMs > 0 && this.#elapsedMs > stats.latencyMs;
    switch (result) {
      case "failed":
        stats.unansweredSince = Number.POSITIVE_INFINITY;
        stats.ended(0, this.#now);
        if (stats.isRetesting) this.#retested(stats, false);
        break;
      case "timeout":
        if (isSlow) stats.latencyMs = this.#clipped(stats);
        stats.ended(0, this.#now);
        if (stats.isRetesting) this.#retested(stats, false);
        break;
      case "overload":
        // It is alive and said so quickly: neither a fault nor a latency. The throttle deals with overload.
        stats.unansweredSince = Number.POSITIVE_INFINITY;
        stats.ended(1, this.#now);
        stats.isRetesting = false;
        break;
      default:
        // It took at least that long; a shorter time says nothing.
        if (isSlow) stats.sampled(this.#clipped(stats), this.#now, this.#latencyTauMs);
        stats.isRetesting = false;
    }
  }

  #retested(stats: CandidateStats, isGood: boolean): void {
    stats.isRetesting = false;
    stats.retestBackoff = isGood ? 1 : Math.min(RETEST_BACKOFF_MAX, stats.retestBackoff * 2);
    stats.retestJitter = this.#jitter();
  }

  #patienceMs(stats: CandidateStats): number {
    return Math.max(this.#retestMs, RETEST_GAPS * stats.gapMs) * stats.retestBackoff * stats.retestJitter;
  }

  #jitter(): number {
    return 0.75 + 0.5 * this.#random();
  }

  #clipped(stats: CandidateStats): number {
    const usualMs = Math.max(stats.latencyMs, this.#medianMs);
    return usualMs === 0 ? this.#elapsedMs : Math.min(this.#elapsedMs, CLIP * usualMs);
  }

  /** Works out what does not depend on the calls in flight. */
  #appraise(candidate: C, stats: CandidateStats): void {
    const latencyMs = stats.latencyMs === 0 ? this.#medianMs : stats.latencyMs;
    const squared = stats.success * stats.success;
    const slowStart = this.#hasSlowStart ? this.#slowStart(stats) : 1;
    stats.usualMs = Math.max(latencyMs, this.#floorMs);
    stats.cost = stats.usualMs / (candidate.weight * slowStart * (squared * squared + SUCCESS_FLOOR));
    stats.isBad = stats.success < BAD_SUCCESS || latencyMs > BAD_LATENCY * this.#medianMs || slowStart < 0.5;
  }

  /** Share of its load that a candidate gets for its age. */
  #slowStart(stats: CandidateStats): number {
    if (stats.joinedAt < 0) return SLOW_START_MIN;
    return Math.min(1, Math.max(SLOW_START_MIN, (this.#now - stats.joinedAt) / this.#slowStartMs));
  }

  #refresh(): void {
    this.#refreshAt = this.#now + REFRESH_MS;
    let ready = 0;
    let young = 0;
    let known = 0;
    this.#soundCount = 0;
    for (const candidate of this.#candidates) {
      if (!candidate.isReady) continue;
      const stats = candidate.state as CandidateStats;
      ready++;
      if (stats.joinedAt < 0) stats.joinedAt = this.#now;
      if (this.#now - stats.joinedAt < this.#slowStartMs) young++;
      if (stats.latencyMs === 0) continue;
      this.#latencies[known++] = stats.latencyMs;
      if (stats.success >= BROKEN_SUCCESS) this.#soundCount++;
    }
    this.#hasSlowStart = young > 0 && 2 * young <= ready;
    if (known > 0) this.#medianMs = this.#latencies.subarray(0, known).sort()[(known - 1) >> 1];
    this.#floorMs = 0.2 + 0.2 * this.#medianMs;
    for (const candidate of this.#candidates) this.#appraise(candidate, candidate.state as CandidateStats);
  }
}

/** Calls in flight without an answer. */
function waiting(candidate: Candidate): number {
  return candidate.inFlight - candidate.streaming;
}

function positive(name: string, value: number): number {
  if (value > 0 && value < Number.POSITIVE_INFINITY) return value;
  throw new RangeError(`${name} of p2c must be a finite number of ms above 0, not ${value}`);
}
