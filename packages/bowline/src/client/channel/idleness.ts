import type { Clock, Timer } from "../../rpc/clock.ts";

/** Idleness is looked at this many times in its time, and once a second at most. */
const LOOKS = 4;
const MIN_LOOK_MS = 1000;

/** What is going on in a channel. */
export interface Activity {
  /** Something runs or waits now. */
  readonly isBusy: boolean;
  /** A number that changes with each call. */
  readonly count: number;
}

/** Finds out that nothing has happened for a time. Looks at counts once in a while, so that a call costs nothing. */
export class Idleness {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #activity: () => Activity;
  readonly #idle: () => void;
  #timer: Timer | null = null;
  #lastCount = 0;
  #lastActiveAt = 0;

  /** `idle` is called once after `timeoutMs` without activity, a quarter of that later at most; 0 = never. */
  constructor(clock: Clock, timeoutMs: number, activity: () => Activity, idle: () => void) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#activity = activity;
    this.#idle = idle;
  }

  start(): void {
    if (this.#timeoutMs <= 0) return;
    this.#lastActiveAt = this.#clock.now();
    const lookMs = Math.max(MIN_LOOK_MS, this.#timeoutMs / LOOKS);
    this.#timer = this.#clock.setInterval(() => this.#look(), lookMs);
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #look(): void {
    const { isBusy, count } = this.#activity();
    const now = this.#clock.fresh();
    if (isBusy || count !== this.#lastCount) {
      this.#lastCount = count;
      this.#lastActiveAt = now;
    } else if (now - this.#lastActiveAt >= this.#timeoutMs) {
      this.#idle();
    }
  }
}
