import { type Clock, systemClock } from "../rpc/clock.ts";

/** What a retry budget is made with. */
export interface RetryBudgetOptions {
  readonly clock?: Clock;
  /** Retries for each call, 0 to 1. Default 0.1. */
  readonly ratio?: number;
  /** Retries a second besides. Default 1. */
  readonly perSecond?: number;
  /** What it holds at first and at most while nothing is called. Default 10. */
  readonly reserve?: number;
}

/** What the deposits of calls may add up to, in seconds of `perSecond` plus the reserve: a quiet hour is no licence to storm. */
const MAX_BALANCE = 100;

/**
 * Allows retries in proportion to calls, so that a failing service gets little more load than before (Finagle's RetryBudget; gRFC A6).
 */
export class RetryBudget {
  readonly #clock: Clock;
  readonly #ratio: number;
  readonly #perMs: number;
  readonly #reserve: number;
  #balance: number;
  #filledAt: number;

  constructor(options: RetryBudgetOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#ratio = options.ratio ?? 0.1;
    this.#perMs = (options.perSecond ?? 1) / 1000;
    this.#reserve = options.reserve ?? 10;
    this.#balance = this.#reserve;
    this.#filledAt = this.#clock.now();
  }

  /** A call was started. */
  deposit(): void {
    if (this.#balance < MAX_BALANCE) this.#balance += this.#ratio;
  }

  /** Takes one retry; false when there is none. */
  withdraw(): boolean {
    const now = this.#clock.now();
    if (this.#balance < this.#reserve) this.#balance = Math.min(this.#reserve, this.#balance + (now - this.#filledAt) * this.#perMs);
    this.#filledAt = now;
    if (this.#balance < 1) return false;
    this.#balance--;
    return true;
  }
}
