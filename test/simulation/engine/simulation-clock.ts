import type { Clock, Timer } from "bowline/testing";

interface Armed {
  dueAt: number;
  /** Timers of one time fire in the order in which they were set. */
  order: number;
  /** 0 for a timer that fires once. */
  readonly periodMs: number;
  callback: () => void;
  isOver: boolean;
}

/** How the clock of a simulation behaves. */
export interface SimulationClockOptions {
  /** Timers fire at multiples of this, never early, as the platform's do. In ms. */
  readonly granularityMs: number;
  /** Runs all that is ready; no time passes. */
  settle(): Promise<void>;
}

/**
 * Virtual time for long runs: what `VirtualClock` of bowline/testing does, with a heap of timers, and with all timers of one
 * instant fired in one turn of the event loop, as Node does it. Five times as quick, and timers of one instant really meet.
 */
export class SimulationClock implements Clock {
  /** Timers that fired so far. */
  fired = 0;
  #time = 0;
  #order = 0;
  #pending = 0;
  readonly #heap: Armed[] = [];
  readonly #options: SimulationClockOptions;

  constructor(options: SimulationClockOptions) {
    this.#options = options;
  }

  /** Timers that wait; an interval counts as one. */
  get pending(): number {
    return this.#pending;
  }

  now(): number {
    return this.#time;
  }

  fresh(): number {
    return this.#time;
  }

  setTimeout(callback: () => void, delayMs: number): Timer {
    return this.#arm(callback, delayMs > 0 ? delayMs : 0, 0);
  }

  setInterval(callback: () => void, periodMs: number): Timer {
    const atLeastOne = periodMs > 1 ? periodMs : 1;
    return this.#arm(callback, atLeastOne, atLeastOne);
  }

  /** Resolves after `delayMs`, or when `signal` is aborted. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true) return resolve();
      const done = (): void => {
        timer.cancel();
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = this.setTimeout(done, delayMs);
      signal?.addEventListener("abort", done, { once: true });
    });
  }

  /** Moves on to `targetMs`, or until `isOver`; `step` is called after each instant, when all that it set off has run. */
  async runUntil(targetMs: number, step: () => void, isOver: () => boolean = () => false): Promise<void> {
    await this.#options.settle();
    step();
    for (let next = this.#next(); next !== null && next.dueAt <= targetMs && !isOver(); next = this.#next()) {
      this.#time = Math.max(this.#time, next.dueAt);
      this.#fireDue();
      await this.#options.settle();
      step();
    }
    if (!isOver()) this.#time = Math.max(this.#time, targetMs);
  }

  /** All timers that are due now; those that they set for now have their turn afterwards. */
  #fireDue(): void {
    const last = this.#order;
    for (
      let next = this.#next();
      next !== null && next.dueAt <= this.#time && next.order <= last;
      next = this.#next()
    ) {
      const { callback } = next;
      this.#pop();
      this.fired++;
      if (next.periodMs > 0) this.#push(next, next.dueAt + next.periodMs);
      else this.#finish(next);
      callback();
    }
  }

  #arm(callback: () => void, delayMs: number, periodMs: number): Timer {
    const armed: Armed = { dueAt: 0, order: 0, periodMs, callback, isOver: false };
    this.#pending++;
    this.#push(armed, this.#time + delayMs);
    return { cancel: () => this.#finish(armed) };
  }

  #finish(armed: Armed): void {
    if (armed.isOver) return;
    armed.isOver = true;
    // It stays in the heap until its time; what it would have called must not.
    armed.callback = nothing;
    this.#pending--;
  }

  /** The first timer that was not cancelled. */
  #next(): Armed | null {
    while (this.#heap.length > 0 && this.#heap[0].isOver) this.#pop();
    return this.#heap[0] ?? null;
  }

  #push(armed: Armed, dueAt: number): void {
    const { granularityMs } = this.#options;
    armed.dueAt = Math.ceil(dueAt / granularityMs) * granularityMs;
    armed.order = ++this.#order;
    const heap = this.#heap;
    let at = heap.push(armed) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(armed, heap[parent])) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = armed;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Armed;
    if (heap.length === 0) return;
    let at = 0;
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++;
      if (!isBefore(heap[child], last)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(one: Armed, other: Armed): boolean {
  return one.dueAt === other.dueAt ? one.order < other.order : one.dueAt < other.dueAt;
}

function nothing(): void {}
