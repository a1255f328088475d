import type { Clock, Timer } from "../../rpc/clock.ts";
import type { Random } from "../../rpc/random.ts";
import { LOST_RETRY } from "../remote/retry.ts";

/** What an {@link Outage} needs of the client whose outage it is. */
export interface OutageContext {
  readonly clock: Clock;
  readonly random: Random;
  /** Whether Consul can be asked again. May reject for no. */
  isOver(signal: AbortSignal): Promise<boolean>;
}

/**
 * Finds out when Consul can be asked again, by one small question each 0.25 s or so for all of a process that wait for that: they need not
 * ask so often themselves.
 */
export class Outage {
  readonly #context: OutageContext;
  readonly #waiting = new Set<() => void>();
  readonly #closing = new AbortController();
  #isLooking = false;
  #wasSeen = false;
  #timer: Timer | null = null;

  constructor(context: OutageContext) {
    this.#context = context;
  }

  /**
   * Calls `back` once when the outage is over; never if none is seen: then something else is the matter, and trying again soon is no help.
   * `wasSeen`: there was one, however soon Consul answers.
   */
  wait(back: () => void, wasSeen: boolean = false): void {
    if (this.#closing.signal.aborted) return;
    this.#waiting.add(back);
    if (!this.#isLooking) this.#lookIn();
    this.#wasSeen = wasSeen || (this.#isLooking && this.#wasSeen);
    this.#isLooking = true;
  }

  /** Undoes `wait`. */
  forget(back: () => void): void {
    this.#waiting.delete(back);
  }

  close(): void {
    this.#closing.abort();
    this.#timer?.cancel();
    this.#waiting.clear();
  }

  #lookIn(): void {
    const { clock, random } = this.#context;
    this.#timer = clock.setTimeout(() => void this.#look(), random() * LOST_RETRY.baseMs);
  }

  async #look(): Promise<void> {
    const isOver = this.#waiting.size === 0 || (await this.#context.isOver(this.#closing.signal).catch(() => false));
    if (this.#closing.signal.aborted) return;
    if (!isOver) {
      this.#wasSeen = true;
      return this.#lookIn();
    }
    this.#isLooking = false;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    if (this.#wasSeen) for (const back of waiting) back();
  }
}
