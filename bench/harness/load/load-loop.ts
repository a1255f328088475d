import { LatencyHistogram } from "./histogram.ts";
import { type LoadCounts, type LoadResult, loadResult, TIMED_ONE_IN } from "./load-result.ts";
import { Slot, type SlotOwner, type StartCall } from "./slot.ts";

/** Load of the same kind before the counters are set to zero, in ms. */
const RAMP_MS = 200;

/** A closed loop: a fixed number of calls in flight, each followed at once by the next. */
export class LoadLoop implements SlotOwner {
  readonly #start: StartCall;
  readonly #wait: (ms: number) => Promise<void>;
  readonly #latencies = new LatencyHistogram();
  readonly #counts: LoadCounts = { calls: 0, messages: 0, errors: 0, firstError: undefined };
  #issued = 0;
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
    Object.assign(this.#counts, { calls: 0, messages: 0, errors: 0 });
    this.#latencies.reset();
    const startedAtMs = performance.now();
    begin();
    await this.#wait(seconds * 1000);
    const result = loadResult(this.#counts, (performance.now() - startedAtMs) / 1000, this.#latencies);
    await this.#drain();
    return result;
  }

  ended(slot: Slot): void {
    this.#counts.calls++;
    if (slot.startedAtMs !== 0) this.#latencies.record(performance.now() - slot.startedAtMs);
    this.#next(slot);
  }

  progressed(messages: number): void {
    this.#counts.messages += messages;
  }

  failed(slot: Slot, error: unknown): void {
    this.#counts.errors++;
    this.#counts.firstError ??= error;
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
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
