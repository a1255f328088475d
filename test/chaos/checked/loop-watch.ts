import { wallMs } from "../ledger/call-log.ts";

const TICK_MS = 5;
/** Later than this is worth a note. */
const LATE_MS = 5;
/** Notes that are kept, the newest. */
const MAX_NOTES = 50_000;

/** A time in which the event loop of this process did not run. */
export interface Stall {
  /** See `wallMs`. */
  readonly fromMs: number;
  readonly toMs: number;
}

/** Notes when this process was held up: a timer that fires late can't be told from a call that ends late without that. */
export class LoopWatch {
  readonly #stalls: Stall[] = [];
  readonly #timer: NodeJS.Timeout;
  #dueAtMs = 0;

  constructor() {
    this.#dueAtMs = wallMs() + TICK_MS;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#timer.unref();
  }

  /** How long the process was held up between two times, in ms. */
  stalledMs(fromMs: number, toMs: number): number {
    return stalledMs(this.#stalls, fromMs, toMs);
  }

  /** The longest time that it was held up so far, in ms. */
  get longestMs(): number {
    return this.#stalls.reduce((longest, { fromMs, toMs }) => Math.max(longest, toMs - fromMs), 0);
  }

  #tick(): void {
    const now = wallMs();
    if (now - this.#dueAtMs > LATE_MS) {
      this.#stalls.push({ fromMs: this.#dueAtMs, toMs: now });
      if (this.#stalls.length > MAX_NOTES) this.#stalls.shift();
    }
    this.#dueAtMs = now + TICK_MS;
  }
}

/** The part of the time between two that stalls cover, in ms; stalls do not overlap. */
export function stalledMs(stalls: readonly Stall[], fromMs: number, toMs: number): number {
  return stalls.reduce(
    (sum, stall) => sum + Math.max(0, Math.min(toMs, stall.toMs) - Math.max(fromMs, stall.fromMs)),
    0,
  );
}
