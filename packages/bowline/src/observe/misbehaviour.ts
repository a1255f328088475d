import type { Clock } from "../rpc/clock.ts";
import type { Logger } from "./logger.ts";

/** Log lines are at most this many in a period, and the first of each kind; the rest is counted. */
const MAX_LINES = 10;
const PERIOD_MS = 10_000;

/** What peers do wrong: counted always, logged at a bounded rate, since anyone who is connected can cause it. */
export class Misbehaviour {
  /** How often, by the limit that was passed or the kind of mistake. */
  readonly counts: Map<string, number> = new Map();
  readonly #clock: Clock;
  readonly #logger: Logger;
  #lines = 0;
  /** Kinds that have a line in this period: many of one kind must not hide another. */
  readonly #told: Set<string> = new Set();
  #suppressed = 0;
  #periodStart = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Somebody did wrong. `kind` comes of a fixed list. */
  add(kind: string, peer: string, text: string): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    const now = this.#clock.now();
    if (now - this.#periodStart > PERIOD_MS) this.#beginPeriod(now);
    const isFirst = !this.#told.has(kind);
    if (isFirst) this.#told.add(kind);
    if (++this.#lines <= MAX_LINES || isFirst) this.#logger.warn({ peer, kind }, text);
    else this.#suppressed++;
  }

  /** Tells what was left out before, once more lines are allowed. */
  #beginPeriod(now: number): void {
    if (this.#suppressed > 0) this.#logger.warn({ suppressed: this.#suppressed }, "more connections misbehaved");
    this.#periodStart = now;
    this.#lines = 0;
    this.#told.clear();
    this.#suppressed = 0;
  }
}
