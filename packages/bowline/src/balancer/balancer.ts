/**
 * One address of an instance as a balancer sees it. The channel owns it and sets `isReady`; the balancer owns `state`,
 * which survives updates of the set, so that a reconnect or a new snapshot loses no statistics.
 */
export interface Candidate {
  /** Identity: instance id and address. */
  readonly id: string;
  readonly weight: number;
  /** A connection is up and takes new streams. Only such candidates are picked. */
  readonly isReady: boolean;
  /** Calls that were sent to it and have not ended. Kept by the channel. */
  inFlight: number;
  /** Of them, streams whose answer has begun; they may go on for hours. Kept by the channel. */
  streaming: number;
  /** What the balancer remembers of it; made by `admit`. */
  state: unknown;
}

/** How an attempt ended, as far as a balancer cares. */
export type AttemptResult = "ok" | "failed" | "timeout" | "overload" | "cancelled";

/**
 * Chooses the candidate for each attempt. Pure: clock and chance are given at construction.
 *
 * `pick` and `done` run in each call: no allocation, no look-up by string.
 */
export interface Balancer<C extends Candidate = Candidate> {
  readonly name: string;
  /** The set has changed: all candidates, ready or not, in a stable order. New ones have `state === undefined`. */
  update(candidates: readonly C[]): void;
  /**
   * The best ready candidate, or null if there is none. `avoid` was tried already by this call: taken only if nothing else is ready.
   * `hashKey` is the call option of that name. What it throws ends the call.
   */
  pick(avoid: C | null, hashKey?: string): C | null;
  /** An attempt ended after `elapsedMs`. */
  done(candidate: C, result: AttemptResult, elapsedMs: number): void;
}
