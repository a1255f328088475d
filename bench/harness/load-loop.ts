import { LatencyHistogram } from "./histogram.ts";

/** One call in this many is timed, so that the clock is not what is measured. */
const TIMED_ONE_IN = 8;
/** Load of the same kind before the counters are set to zero, in ms. */
const RAMP_MS = 200;

/** Starts a call and ends it by exactly one of `slot.resolved`, `slot.rejected` or `slot.called`, never before it returns. */
export type StartCall = (slot: Slot) => void;

/** What a load of a given time came to. */
export interface LoadResult {
  readonly calls: number;
  readonly errors: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** The first error seen, if any. */
  readonly firstError?: string;
}

/** One of the calls in flight: starts the next call when one has ended. Its functions are made once, not for each call. */
export class Slot {
  /** From 0. */
  readonly index: number;
  /** `performance.now()` at the start of the call; 0 when it is not timed. */
  startedAtMs = 0;
  /** For `promise.then(slot.resolved, slot.rejected)`. */
  readonly resolved: () => void;
  readonly rejected: (error: unknown) => void;
  /** For callbacks of the form (error, answer). */
  readonly called: (error: unknown) => void;

  constructor(index: number, loop: LoadLoop) {
    this.index = index;
    this.resolved = () => loop.ended(this);
    this.rejected = (error) => loop.failed(this, error);
    this.called = (error) => (error ? loop.failed(this, error) : loop.ended(this));
  }
}

/** A closed loop: a fixed number of calls in flight, each followed at once by the next. */
export class LoadLoop {
  readonly #start: StartCall;
  readonly #wait: (ms: number) => Promise<void>;
  readonly #latencies = new LatencyHistogram();
  #issued = 0;
  #calls = 0;
  #errors = 0;
  #firstError: unknown;
  /** Slots that have a call in flight. */
  #open = 0;
  #stopping = false;
  #drained: () => void = () => {};

  /** `wait` resolves after so many milliseconds; tests give another. */
  constructor(start: StartCall, wait: (ms: number) => Promise<void> = delay) {
    this.#start = start;
    this.#wait = wait;
  }

  /** Runs for `seconds` after a short ramp, with `begin` called when counting starts, and waits for the last call to end. */
  async run(concurrency: number, seconds: number, begin: () => void): Promise<LoadResult> {
    this.#stopping = false;
    this.#open = concurrency;
    for (let index = 0; index < concurrency; index++) this.#next(new Slot(index, this));
    await this.#wait(RAMP_MS);
    this.#calls = 0;
    this.#errors = 0;
    this.#latencies.reset();
    const startedAtMs = performance.now();
    begin();
    await this.#wait(seconds * 1000);
    const result = this.#result((performance.now() - startedAtMs) / 1000);
    await this.#drain();
    return result;
  }

  ended(slot: Slot): void {
    this.#calls++;
    if (slot.startedAtMs !== 0) this.#latencies.record(performance.now() - slot.startedAtMs);
    this.#next(slot);
  }

  failed(slot: Slot, error: unknown): void {
    this.#errors++;
    this.#firstError ??= error;
    // Not at once: a peer that is gone must not turn this into a loop that never yields.
    setImmediate(() => this.#next(slot));
  }

  #next(slot: Slot): void {
    if (this.#stopping) {
      if (--this.#open === 0) this.#drained();
      return;
    }
    slot.startedAtMs = ++this.#issued % TIMED_ONE_IN === 0 ? performance.now() : 0;
    this.#start(slot);
  }

  #drain(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#drained = resolve;
    this.#stopping = true;
    return promise;
  }

  #result(seconds: number): LoadResult {
    return {
      calls: this.#calls,
      errors: this.#errors,
      seconds,
      p50Ms: this.#latencies.quantileMs(0.5),
      p99Ms: this.#latencies.quantileMs(0.99),
      ...(this.#firstError === undefined ? {} : { firstError: String(this.#firstError) }),
    };
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
