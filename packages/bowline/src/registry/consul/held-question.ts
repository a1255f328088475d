import type { Clock, Timer } from "../../rpc/clock.ts";
import { HttpError } from "../http/http-error.ts";
import { REFUSED_RETRY } from "../remote/retry.ts";
import type { Outage } from "./outage.ts";

/** An answer to a question that may be held. */
export interface HeldAnswer {
  /** `X-Consul-Index`; `0` if it can't be used. */
  readonly index: string;
}

/** What a {@link HeldQuestion} is about. */
export interface HeldQuestionOptions<T extends HeldAnswer> {
  readonly clock: Clock;
  readonly outage: Outage;
  /** How long it is to be held now, in ms. */
  waitMs(): number;
  /** Asks; held until the index is beyond this one, `0` at once. Rejects with HttpError. */
  ask(index: string, waitMs: number, signal: AbortSignal): Promise<T>;
  /** How things are. */
  found?(answer: T): void;
  /** Something has ended what it was held for, but there may be an answer later. */
  broken?(): void;
}

/** Between the answer to a question and the one before, in ms; twice as long each time where one that is held is answered too soon. */
const MIN_INTERVAL_MS = 1000;
const MAX_INTERVAL_MS = 10_000;

/**
 * A question that is asked in turn for an answer at once, and to be held until there is another:
 * https://developer.hashicorp.com/consul/api-docs/features/blocking. What a question was held for may be answered from what is no more.
 */
export class HeldQuestion<T extends HeldAnswer> {
  readonly #options: HeldQuestionOptions<T>;
  /** What is asked now, or was asked last. */
  #asking: AbortController | null = null;
  #timer: Timer | null = null;
  #intervalMs = MIN_INTERVAL_MS;
  /** In a row, without a question that was held to its end. */
  #failures = 0;

  constructor(options: HeldQuestionOptions<T>) {
    this.#options = options;
  }

  /** Nothing happens where it is asked already. */
  begin(): void {
    if (this.#asking === null) this.#ask("0");
  }

  /** Asks anew as soon as Consul can be asked. */
  askAfresh(): void {
    if (this.#asking === null) return;
    this.#stop();
    this.#asking = new AbortController();
    this.#failures = 0;
    this.#options.outage.wait(this.#askAgain, true);
  }

  end(): void {
    this.#stop();
    this.#asking = null;
    this.#intervalMs = MIN_INTERVAL_MS;
    this.#failures = 0;
  }

  #stop(): void {
    this.#timer?.cancel();
    this.#options.outage.forget(this.#askAgain);
    this.#asking?.abort();
  }

  readonly #askAgain = (): void => this.#ask("0");

  #ask(index: string): void {
    const { clock, ask } = this.#options;
    const waitMs = this.#options.waitMs();
    const asking = new AbortController();
    this.#asking = asking;
    const askedAt = clock.fresh();
    ask(index, waitMs, asking.signal).then(
      (answer) => {
        if (this.#asking === asking) this.#answered(index, answer, clock.fresh() - askedAt, waitMs);
      },
      (error: unknown) => {
        if (this.#asking === asking) this.#failed(index, error);
      },
    );
  }

  #askIn(delayMs: number): void {
    this.#timer = this.#options.clock.setTimeout(this.#askAgain, Math.max(0, delayMs));
  }

  #answered(asked: string, answer: T, heldMs: number, waitMs: number): void {
    if (asked === "0" && answer.index !== "0") this.#ask(answer.index);
    else {
      this.#failures = 0;
      this.#askIn(this.#intervalMs - heldMs);
      const isTooSoon = asked === "0" || (heldMs < waitMs && BigInt(answer.index) <= BigInt(asked));
      this.#intervalMs = isTooSoon ? Math.min(MAX_INTERVAL_MS, 2 * this.#intervalMs) : MIN_INTERVAL_MS;
    }
    if (asked === "0") this.#options.found?.(answer);
  }

  #failed(asked: string, error: unknown): void {
    const { outage, broken } = this.#options;
    if (!(error instanceof HttpError && error.isTransient)) return this.#askIn(REFUSED_RETRY.baseMs);
    const before = this.#failures++;
    // An agent that can be asked may need a while longer for what a question that is held is answered from, or be asked too much.
    if (before === 0) outage.wait(this.#askAgain, true);
    else this.#askIn(Math.min(MAX_INTERVAL_MS, MIN_INTERVAL_MS * 2 ** (before - 1)));
    if (asked !== "0" || before === 0) broken?.();
  }
}
