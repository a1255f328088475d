/** A timer that can be taken back. */
export interface Timer {
  cancel(): void;
}

/**
 * The source of time of everything in Bowline; a virtual one serves tests and the simulator.
 *
 * All times are monotonic milliseconds with a fraction, from an arbitrary start.
 */
export interface Clock {
  /** The time, read at most once a turn of the event loop: cheap, and up to one turn old. */
  now(): number;
  /** The time read anew: for deciding that a deadline has passed after synchronous work. */
  fresh(): number;
  /** Calls `callback` once after `delayMs`; does not keep the process alive. */
  setTimeout(callback: () => void, delayMs: number): Timer;
  /** Calls `callback` each `periodMs`; does not keep the process alive. */
  setInterval(callback: () => void, periodMs: number): Timer;
  /** Keeps the process alive until it is cancelled; a clock of tests has no need of it. */
  hold?(): Timer;
}

/** Longest delay that the platform's timers take. */
const MAX_DELAY_MS = 0x7fffffff;

/**
 * The process's clock. One reading of the platform's clock serves a whole turn of the event loop
 * (measured: reading it each time costs 3 % of the throughput); it is forgotten when the turn ends.
 */
class TurnClock implements Clock {
  #time = 0;
  #isFresh = false;
  readonly #forget = (): void => {
    this.#isFresh = false;
  };

  now(): number {
    if (this.#isFresh) return this.#time;
    this.#isFresh = true;
    setImmediate(this.#forget);
    return this.fresh();
  }

  fresh(): number {
    this.#time = performance.now();
    return this.#time;
  }

  setTimeout(callback: () => void, delayMs: number): Timer {
    const handle = setTimeout(callback, Math.min(Math.max(0, delayMs), MAX_DELAY_MS));
    return new SystemTimer(handle.unref());
  }

  setInterval(callback: () => void, periodMs: number): Timer {
    return new SystemTimer(setInterval(callback, periodMs).unref());
  }

  hold(): Timer {
    return new SystemTimer(setInterval(() => {}, MAX_DELAY_MS));
  }
}

/** Keeps the process alive while somebody waits for what timers alone will bring on. */
export class ProcessHold {
  readonly #clock: Clock;
  #held: Timer | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** From the first `true` to the next `false`. */
  set(isWanted: boolean): void {
    if (isWanted === (this.#held !== null)) return;
    this.#held?.cancel();
    this.#held = isWanted ? (this.#clock.hold?.() ?? null) : null;
  }
}

/** A class and no closure: each idle connection holds one, and this is 100 bytes less. */
class SystemTimer implements Timer {
  readonly #handle: NodeJS.Timeout;

  constructor(handle: NodeJS.Timeout) {
    this.#handle = handle;
  }

  cancel(): void {
    // Ends intervals too: to Node both are one kind.
    clearTimeout(this.#handle);
  }
}

/** The clock that everything uses unless it is given another. */
export const systemClock: Clock = new TurnClock();

/** Resolves when `done` does, with true, or after `ms`, with false; at once for no time at all. Rejects when `done` does before. */
export async function within(clock: Clock, done: Promise<unknown>, ms: number): Promise<boolean> {
  if (ms <= 0) return false;
  const { promise: timeout, resolve } = Promise.withResolvers<false>();
  const timer = clock.setTimeout(() => resolve(false), ms);
  try {
    return await Promise.race([done.then(() => true), timeout]);
  } finally {
    timer.cancel();
  }
}
