import { type Clock, type Timer, within } from "../../rpc/clock.ts";
import { checkOptions, type OptionSpecs } from "../../rpc/options.ts";
import type { Random } from "../../rpc/random.ts";

/** A check of what a server needs to do its work, which takes it out of the registry and puts it in again. */
export interface HealthCheckOptions {
  /** False, an error or a rejection is a failure, anything else a success. `signal` is aborted when the time is over. */
  readonly check: (signal: AbortSignal) => unknown;
  /** Between the end of one check and the next, ± 10 %, in ms. Default 5000. */
  readonly intervalMs?: number;
  /** A check that takes longer has failed, in ms. Default 2000. */
  readonly timeoutMs?: number;
  /** Failures in a row that take the instance out. Default 3. */
  readonly failuresUntilOut?: number;
  /** Successes in a row that put it in again. Default 2. */
  readonly successesUntilIn?: number;
}

/** What a health check does to the server that it is about. */
export interface HealthCheckOwner {
  /** True when other instances of the service take calls, false when this is the last, null when that is not known now. */
  hasOthers(): boolean | null;
  /** The instance is to leave; the text says why. */
  leave(reason: string): void;
  /** The instance is to come back; the text says why. */
  comeBack(reason: string): void;
  /** It fails and stays; the text says why. Empty: it does not fail any more. */
  stays(reason: string): void;
}

const DEFAULT_INTERVAL_MS = 5000;
const DEFAULT_TIMEOUT_MS = 2000;
const DEFAULT_FAILURES = 3;
const DEFAULT_SUCCESSES = 2;
const JITTER_RATIO = 0.1;

const MS = { kind: "number", min: 1, max: 0x7fffffff, unit: "ms" } as const;
const COUNT = { kind: "number", min: 1, max: 1000, isWhole: true, unit: "checks" } as const;
const SPECS: OptionSpecs = {
  check: { kind: "function" },
  intervalMs: MS,
  timeoutMs: MS,
  failuresUntilOut: COUNT,
  successesUntilIn: COUNT,
};

/** @throws TypeError or RangeError naming what is wrong with `options` */
export function checkHealthCheck(owner: string, options: HealthCheckOptions | undefined): void {
  checkOptions(owner, options, SPECS);
  if (options === undefined || typeof options.check === "function") return;
  throw new TypeError(
    `${owner}.check is missing: give a function that throws, or returns false, when the server can't work`,
  );
}

/**
 * Runs a check again and again, and has the instance leave after so many failures in a row and come back after so many successes.
 *
 * ```text
 *   in ── failuresUntilOut failures, and others are there ──► out
 *   out ── successesUntilIn successes, or nobody else is there ──► in
 * ```
 *
 * The last instance stays: half-broken it may still answer, and an empty service never does. Two that leave at the same moment both see an
 * empty service and come back; the chance in their intervals keeps them from repeating that.
 */
export class HealthCheck {
  readonly #options: HealthCheckOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #owner: HealthCheckOwner;
  #timer: Timer | null = null;
  #running: AbortController | null = null;
  #isClosed = false;
  #isOut = false;
  #failures = 0;
  #successes = 0;
  #lastFailure = "";

  constructor(options: HealthCheckOptions, clock: Clock, random: Random, owner: HealthCheckOwner) {
    this.#options = options;
    this.#clock = clock;
    this.#random = random;
    this.#owner = owner;
    this.#again();
  }

  /** The registry has told something of the others. */
  othersChanged(): void {
    if (this.#isClosed || !this.#isOut || this.#owner.hasOthers() !== false) return;
    this.#isOut = false;
    this.#owner.comeBack("");
    this.#owner.stays(`${this.#failureText()}; it came back, for no other instance takes calls`);
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#running?.abort();
  }

  #again(): void {
    if (this.#isClosed) return;
    const { intervalMs = DEFAULT_INTERVAL_MS } = this.#options;
    const delayMs = intervalMs * (1 + JITTER_RATIO * (2 * this.#random() - 1));
    this.#timer = this.#clock.setTimeout(() => void this.#run(), delayMs);
  }

  async #run(): Promise<void> {
    const failure = await this.#outcome();
    if (this.#isClosed) return;
    if (failure === null) this.#succeeded();
    else this.#failed(failure);
    this.#again();
  }

  /** Null for a success, else what to say of the failure. */
  async #outcome(): Promise<string | null> {
    const { check, timeoutMs = DEFAULT_TIMEOUT_MS } = this.#options;
    const running = new AbortController();
    this.#running = running;
    let failure: string | null = null;
    const done = (async () => check(running.signal))().then(
      (result) => {
        failure = result === false ? "it said false" : null;
      },
      (error: unknown) => {
        failure = error instanceof Error ? error.message : String(error);
      },
    );
    const isInTime = await within(this.#clock, done, timeoutMs);
    this.#running = null;
    if (isInTime) return failure;
    running.abort();
    return `no answer within ${timeoutMs} ms`;
  }

  #succeeded(): void {
    const wasFailing = this.#failures > 0;
    this.#failures = 0;
    this.#successes++;
    const { successesUntilIn = DEFAULT_SUCCESSES } = this.#options;
    if (this.#isOut && this.#successes >= successesUntilIn) {
      this.#isOut = false;
      this.#owner.comeBack(`the health check succeeds again (${this.#successes} times)`);
    } else if (wasFailing && !this.#isOut) this.#owner.stays("");
  }

  #failed(failure: string): void {
    this.#successes = 0;
    this.#failures++;
    this.#lastFailure = failure;
    const { failuresUntilOut = DEFAULT_FAILURES } = this.#options;
    if (this.#isOut || this.#failures < failuresUntilOut) return;
    const hasOthers = this.#owner.hasOthers();
    if (hasOthers === true) {
      this.#isOut = true;
      this.#owner.leave(this.#failureText());
      return;
    }
    const why = hasOthers === null ? "it is not known whether others take calls" : "no other instance takes calls";
    this.#owner.stays(`${this.#failureText()}; it stays, for ${why}`);
  }

  #failureText(): string {
    return `the health check failed (${this.#lastFailure})`;
  }
}
