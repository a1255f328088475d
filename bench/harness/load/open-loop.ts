import { LatencyHistogram } from "./histogram.ts";
import { type LoadCounts, type LoadResult, loadResult } from "./load-result.ts";
import { Slot, type SlotOwner, type StartCall } from "./slot.ts";

/** Load of the same kind before counting, in ms. */
const RAMP_MS = 200;

/** Time and turns of the event loop; tests give their own. */
export interface OpenLoopWorld {
  /** Milliseconds on a clock that never goes back. */
  now(): number;
  /** Resolves in the next turn of the event loop. */
  nextTurn(): Promise<void>;
}

const REAL: OpenLoopWorld = { now: () => performance.now(), nextTurn: () => new Promise(setImmediate) };

/**
 * An open loop: calls arrive at a fixed rate, whatever becomes of those before. Each call's latency counts from its planned start,
 * so that a server that stalls for a second shows a second for all calls planned in it (no coordinated omission). Calls that wait
 * because too many are in flight count the same way.
 *
 * It looks at the clock in each turn of the event loop and never sleeps, because timers are good to a millisecond only: the
 * client's CPU time says nothing here.
 */
export class OpenLoop implements SlotOwner {
  readonly #start: StartCall;
  readonly #world: OpenLoopWorld;
  readonly #latencies = new LatencyHistogram();
  readonly #counts: LoadCounts = { calls: 0, messages: 0, errors: 0, firstError: undefined };
  readonly #free: Slot[] = [];
  #inFlight = 0;
  /** When counting begins and when it ends. */
  #beginsAtMs = 0;
  #endsAtMs = 0;

  constructor(start: StartCall, world: OpenLoopWorld = REAL) {
    this.#start = start;
    this.#world = world;
  }

  /** Starts `ratePerSecond` calls a second for `seconds`, at most `concurrency` at once, and waits for the last to end. */
  async run(ratePerSecond: number, concurrency: number, seconds: number, begin: () => void): Promise<LoadResult> {
    for (let index = this.#free.length; index < concurrency; index++) this.#free.push(new Slot(index, this));
    Object.assign(this.#counts, { calls: 0, messages: 0, errors: 0 });
    this.#latencies.reset();
    const startsAtMs = this.#world.now();
    this.#beginsAtMs = startsAtMs + RAMP_MS;
    this.#endsAtMs = this.#beginsAtMs + seconds * 1000;
    await this.#arrivals(startsAtMs, 1000 / ratePerSecond, begin);
    while (this.#inFlight > 0) await this.#world.nextTurn();
    return loadResult(this.#counts, seconds, this.#latencies);
  }

  ended(slot: Slot): void {
    const now = this.#world.now();
    if (slot.startedAtMs >= this.#beginsAtMs) this.#latencies.record(now - slot.startedAtMs);
    if (now >= this.#beginsAtMs && now < this.#endsAtMs) this.#counts.calls++;
    this.#release(slot);
  }

  progressed(messages: number): void {
    this.#counts.messages += messages;
  }

  failed(slot: Slot, error: unknown): void {
    this.#counts.errors++;
    this.#counts.firstError ??= error;
    this.#release(slot);
  }

  #release(slot: Slot): void {
    this.#inFlight--;
    this.#free.push(slot);
  }

  /** Starts what is due in each turn until the end. */
  async #arrivals(startsAtMs: number, intervalMs: number, begin: () => void): Promise<void> {
    let planned = 0;
    let at = startsAtMs;
    let hasBegun = false;
    for (let now = startsAtMs; now < this.#endsAtMs; now = this.#world.now()) {
      if (!hasBegun && now >= this.#beginsAtMs) {
        hasBegun = true;
        begin();
      }
      for (; at <= now && this.#free.length > 0; at = startsAtMs + ++planned * intervalMs) this.#begin(at);
      await this.#world.nextTurn();
    }
    if (!hasBegun) begin();
    // What is still planned had no free slot: it has waited until now at the least.
    for (; at < this.#endsAtMs; at = startsAtMs + ++planned * intervalMs) this.#latencies.record(this.#endsAtMs - at);
  }

  #begin(plannedAtMs: number): void {
    const slot = this.#free.pop() as Slot;
    slot.startedAtMs = plannedAtMs;
    this.#inFlight++;
    this.#start(slot);
  }
}
