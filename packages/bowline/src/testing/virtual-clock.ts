import type { Clock, Timer } from "../rpc/clock.ts";
import { inNextTurn } from "../rpc/turn.ts";

/** Turns of the event loop between two steps, at least: room for sockets and promises, which can't be counted. */
const LEAST_TURNS = 10;
/** And at most: something may go on for ever. */
const MOST_TURNS = 1000;
/** How far `advanceUntil` goes. */
const DEFAULT_LONGEST_MS = 60_000;

/**
 * Lets everything run that is ready to, without time passing: promises and immediates, until none is left. Connections in
 * memory are quiet then; sockets, files and worker threads are not waited for.
 *
 * It takes 10 turns of the event loop at least and 1000 at most; exactly `turns` when given.
 */
export async function settle(turns?: number): Promise<void> {
  const least = turns ?? LEAST_TURNS;
  const most = turns ?? MOST_TURNS;
  for (let turn = 0; turn < most && (turn < least || hasImmediates()); turn++) await new Promise<void>(inNextTurn);
}

function hasImmediates(): boolean {
  return process.getActiveResourcesInfo().includes("Immediate");
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
    return this.#arm({ dueAt: this.#time + (delayMs > 0 ? delayMs : 0), periodMs: undefined, callback });
  }

  setInterval(callback: () => void, periodMs: number): Timer {
    const atLeastOne = periodMs > 1 ? periodMs : 1;
    return this.#arm({ dueAt: this.#time + atLeastOne, periodMs: atLeastOne, callback });
  }

  /** Timers that wait: 0 after everything was closed is what a test of leaks wants. Intervals count as one. */
  get pending(): number {
    return this.#timers.length;
  }

  /**
   * Moves the time on by `ms`, running due timers in order. Before the first, after each, and at the end everything runs
   * that is ready to ({@link settle}), so that what a timer set off is done before the next one fires.
   *
   * Rejects with what a timer's callback throws; the time then stays where it was thrown. Only one call at a time.
   */
  async advance(ms: number): Promise<void> {
    if (!(ms >= 0 && ms < Number.POSITIVE_INFINITY)) throw new RangeError(`advance needs ms of 0 or more, not ${ms}`);
    const target = this.#time + ms;
    await this.#moving(async () => {
      while (this.#timers.length > 0 && this.#timers[0].dueAt <= target) await this.#step();
      this.#time = target;
    });
  }

  /**
   * Moves the time on from timer to timer until `promise` has settled, and gives what it came to.
   *
   * Rejects when that would take more than `longestMs` (default 60,000), or no timer is left: then the promise waits for
   * something that time does not bring.
   */
  async advanceUntil<T>(promise: PromiseLike<T>, longestMs: number = DEFAULT_LONGEST_MS): Promise<T> {
    const end = this.#time + longestMs;
    let isSettled = false;
    const settled = (): void => {
      isSettled = true;
    };
    promise.then(settled, settled);
    await this.#moving(async () => {
      while (!isSettled) {
        if (this.#timers.length === 0) throw new Error("advanceUntil: no timer is left that could settle the promise");
        if (this.#timers[0].dueAt > end) throw new Error(`advanceUntil: nothing settled within ${longestMs} ms`);
        await this.#step();
      }
    });
    return promise;
  }

  async #moving(work: () => Promise<void>): Promise<void> {
    if (this.#isAdvancing) throw new Error("advance is running already: await it before the next one");
    this.#isAdvancing = true;
    try {
      await settle();
      await work();
    } finally {
      this.#isAdvancing = false;
    }
  }

  async #step(): Promise<void> {
    this.#fireNext();
    await settle();
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
