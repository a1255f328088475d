import type { Clock, Timer } from "../rpc/clock.ts";
import { inNextTurn } from "../rpc/turn.ts";

/** Turns of the event loop between two steps: room for chains such as flush, deliver, answer, flush, deliver. */
const SETTLE_TURNS = 10;

/**
 * Lets everything run that is ready to: microtasks and `turns` rounds of immediates, 10 unless told. No time passes.
 */
export async function settle(turns: number = SETTLE_TURNS): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise<void>(inNextTurn);
}

interface PendingTimer {
  dueAt: number;
  /** Undefined for a timer that fires once. */
  readonly periodMs: number | undefined;
  readonly callback: () => void;
}

/**
 * A clock that moves only when a test says so.
 *
 * `now` and `fresh` agree. Timers fire in the order of their times, those of one time in the order they were set.
 */
export class VirtualClock implements Clock {
  #time: number;
  /** Ascending by `dueAt`. */
  readonly #timers: PendingTimer[] = [];
  #isAdvancing = false;

  /** Starts at `startMs`, default 0. */
  constructor(startMs: number = 0) {
    this.#time = startMs;
  }

  now(): number {
    return this.#time;
  }

  fresh(): number {
    return this.#time;
  }

  setTimeout(callback: () => void, delayMs: number): Timer {
    return this.#arm({ dueAt: this.#time + Math.max(0, delayMs), periodMs: undefined, callback });
  }

  setInterval(callback: () => void, periodMs: number): Timer {
    const atLeastOne = Math.max(1, periodMs);
    return this.#arm({ dueAt: this.#time + atLeastOne, periodMs: atLeastOne, callback });
  }

  /** Timers that wait: 0 after everything was closed is what a test of leaks wants. Intervals count as one. */
  get pending(): number {
    return this.#timers.length;
  }

  /**
   * Moves the time on by `ms`, running due timers in order. Before the first, after each, and at the end the event loop
   * gets some turns ({@link settle}), so that what a timer set off is done before the next one fires.
   *
   * Rejects with what a timer's callback throws; the time then stays where it was thrown. Only one call at a time.
   */
  async advance(ms: number): Promise<void> {
    if (!(ms >= 0)) throw new RangeError(`advance needs ms of 0 or more, not ${ms}`);
    if (this.#isAdvancing) throw new Error("advance is running already: await it before the next one");
    this.#isAdvancing = true;
    const target = this.#time + ms;
    try {
      await settle();
      while (this.#timers.length > 0 && this.#timers[0].dueAt <= target) {
        this.#fireNext();
        await settle();
      }
      this.#time = target;
    } finally {
      this.#isAdvancing = false;
    }
  }

  #fireNext(): void {
    const timer = this.#timers.shift() as PendingTimer;
    this.#time = timer.dueAt;
    if (timer.periodMs !== undefined) {
      timer.dueAt += timer.periodMs;
      this.#insert(timer);
    }
    timer.callback();
  }

  #arm(timer: PendingTimer): Timer {
    this.#insert(timer);
    return {
      cancel: () => {
        const index = this.#timers.indexOf(timer);
        if (index >= 0) this.#timers.splice(index, 1);
      },
    };
  }

  #insert(timer: PendingTimer): void {
    const later = this.#timers.findIndex((other) => other.dueAt > timer.dueAt);
    this.#timers.splice(later < 0 ? this.#timers.length : later, 0, timer);
  }
}
