import type { Clock, Timer } from "../src/rpc/clock.ts";

interface Waiting {
  dueAt: number;
  readonly periodMs: number | null;
  readonly callback: () => void;
}

/** A clock that stands still until a test moves it. */
export class ManualClock implements Clock {
  #time = 0;
  readonly #waiting = new Set<Waiting>();

  /** Timers that are armed, intervals among them. */
  get timers(): number {
    return this.#waiting.size;
  }

  now(): number {
    return this.#time;
  }

  fresh(): number {
    return this.#time;
  }

  setTimeout(callback: () => void, delayMs: number): Timer {
    return this.#arm({ dueAt: this.#time + delayMs, periodMs: null, callback });
  }

  setInterval(callback: () => void, periodMs: number): Timer {
    return this.#arm({ dueAt: this.#time + periodMs, periodMs, callback });
  }

  /** Lets `durationMs` pass; after each timer all promises that can settle do. */
  async advance(durationMs: number): Promise<void> {
    const end = this.#time + durationMs;
    await settled();
    for (let next = this.#nextDue(end); next !== undefined; next = this.#nextDue(end)) {
      this.#time = next.dueAt;
      if (next.periodMs === null) this.#waiting.delete(next);
      else next.dueAt += next.periodMs;
      next.callback();
      await settled();
    }
    this.#time = end;
  }

  /** Lets time pass in which no timer can fire, as in a stopped process; what is due fires in the next `advance`. */
  skip(durationMs: number): void {
    this.#time += durationMs;
    for (const waiting of this.#waiting) waiting.dueAt = Math.max(waiting.dueAt, this.#time);
  }

  #arm(waiting: Waiting): Timer {
    this.#waiting.add(waiting);
    return { cancel: () => this.#waiting.delete(waiting) };
  }

  #nextDue(end: number): Waiting | undefined {
    const due = [...this.#waiting].filter(({ dueAt }) => dueAt <= end);
    return due.sort((a, b) => a.dueAt - b.dueAt)[0];
  }
}

/** Resolves when all promises that wait for nothing outside have settled. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
