import { type Clock, systemClock } from "../rpc/clock.ts";

/** Ten tenths of a token make a whole one. */
const ROUNDING = 1e-6;

/** What may be set on {@link RetryBudget}. */
export interface RetryBudgetOptions {
  /** Default: the process's clock. */
  readonly clock?: Clock;
  /** Retries that each request pays for, 0 to 1. Default 0.1: one retry for ten requests. */
  readonly ratio?: number;
  /** Retries a second that are allowed without any request, 0 or more. Default 1. */
  readonly perSecond?: number;
  /** How long what was not spent is worth something, in ms, more than 0. Default 10,000. */
  readonly windowMs?: number;
}

/**
 * Keeps retries a small part of the load: a balance of tokens that every request adds to and every retry takes from.
 *
 * A request adds `ratio`, a second `perSecond`, a retry takes 1. What is not spent fades with the time constant
 * `windowMs`, so the balance never exceeds what that time has earned: at rest `perSecond × windowMs`, 10 tokens by
 * default, which is also what it starts with; at 1000 requests a second 10 + 1000 tokens. In the long run retries are
 * at most 10 % of requests + 1 a second.
 *
 * One budget serves all calls to one target. Throws a RangeError for an option outside its range.
 * Source: Finagle's RetryBudget, with fading in place of its ring of windows.
 */
export class RetryBudget {
  readonly #clock: Clock;
  readonly #ratio: number;
  readonly #windowMs: number;
  /** Where the balance settles without requests and retries. */
  readonly #reserve: number;
  #balance: number;
  #countedAt: number;

  constructor(options: RetryBudgetOptions = {}) {
    const { clock = systemClock, ratio = 0.1, perSecond = 1, windowMs = 10_000 } = options;
    check("ratio", ratio, ratio >= 0 && ratio <= 1, "0 to 1");
    check("perSecond", perSecond, perSecond >= 0 && perSecond < Number.POSITIVE_INFINITY, "0 or more");
    check("windowMs", windowMs, windowMs > 0 && windowMs < Number.POSITIVE_INFINITY, "more than 0");
    this.#clock = clock;
    this.#ratio = ratio;
    this.#windowMs = windowMs;
    this.#reserve = (perSecond * windowMs) / 1000;
    this.#balance = this.#reserve;
    this.#countedAt = clock.now();
  }

  /** Retries that could be made now. */
  get balance(): number {
    this.#fade();
    return this.#balance;
  }

  /** A call begins (its first attempt, not its retries). */
  deposit(): void {
    this.#fade();
    this.#balance += this.#ratio;
  }

  /** Asks for one retry: true = go ahead, it is paid for. */
  withdraw(): boolean {
    this.#fade();
    if (this.#balance < 1 - ROUNDING) return false;
    this.#balance = Math.max(0, this.#balance - 1);
    return true;
  }

  #fade(): void {
    const now = this.#clock.now();
    const elapsedMs = now - this.#countedAt;
    if (elapsedMs <= 0) return;
    this.#countedAt = now;
    this.#balance = this.#reserve + (this.#balance - this.#reserve) * Math.exp(-elapsedMs / this.#windowMs);
  }
}

function check(name: string, value: number, isAllowed: boolean, range: string): void {
  if (!isAllowed) throw new RangeError(`${name} of a retry budget must be ${range}, not ${value}`);
}
