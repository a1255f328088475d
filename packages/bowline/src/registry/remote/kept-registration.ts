import { retryBackoffMs } from "../../resilience/backoff.ts";
import type { Clock, Timer } from "../../rpc/clock.ts";
import type { Random } from "../../rpc/random.ts";
import { checkChange } from "../instance/instance.ts";
import type { Instance, Registration } from "../registry.ts";
import { LOST_RETRY, REMOVE_RETRY } from "./retry.ts";

/** One instance's entry in a registry's product, by its protocol. Calls never overlap. */
export interface RemoteEntry {
  /** How often it was found to be gone, and put again, by itself. Missing where only `renew` finds that out. */
  readonly losses?: number;
  /**
   * Set by who keeps it, and called by the entry when what failed before can be done now: the next try does not wait any longer. With
   * `isDoubtful` the next renewal doesn't either: the product may have lost it.
   */
  onBack?: (isDoubtful?: boolean) => void;
  /** Writes it, in place of what is there. */
  put(instance: Instance): Promise<void>;
  /** Keeps it alive. False: the product does not know it any more. */
  renew(): Promise<boolean>;
  /** Takes it out; resolves too if it was not there. */
  remove(): Promise<void>;
  /** True after a removal that failed, where those who watch are told nevertheless that it is gone. Missing where that can't be. */
  readonly isHidden?: boolean;
}

/** How an entry is kept. */
export interface KeptRegistrationOptions {
  /** Begins messages: `consul registry`. */
  readonly owner: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Between two renewals, in ms. */
  readonly renewMs: number;
  /** How long after `close` the entry is still tried to be taken out, in ms: by then it has expired by itself. */
  readonly expiryMs: number;
  /** True for errors that trying again can't mend: a wrong token, a value that the product refuses. */
  isFinal(error: Error): boolean;
  readonly report: (error: Error) => void;
  /** Called when the registration is closed, or its first attempt has failed for good. */
  readonly onClose: () => void;
}

/** Many that started together shall not renew together. */
const RENEW_JITTER = 0.1;

/**
 * Keeps an instance in a registry's product as it is wanted, until it is closed.
 *
 * `pending` — it could not be written, or was found to be gone; it is tried again after a random time below 0.5 s, 1 s, 2 s … 5 s.
 * `registered` — at the last renewal it was there. `closed` — to be taken out, for good.
 */
export class KeptRegistration implements Registration {
  readonly #entry: RemoteEntry;
  readonly #options: KeptRegistrationOptions;
  #wanted: Instance;
  #written: Instance | null = null;
  #state: "pending" | "registered" | "closed" = "pending";
  #timer: Timer | null = null;
  /** Ends when all passes asked for so far are done; never rejects. */
  #passes: Promise<void> = Promise.resolve();
  #waitingPasses = 0;
  /** The product may have lost it since the pass under way has looked. */
  #isDoubted = false;
  #failures = 0;
  #losses = 0;
  #lastReport = "";
  #closing: Promise<void> | null = null;
  /** Until when it is tried to take the entry out. */
  #removeUntil = Number.POSITIVE_INFINITY;
  /** Nothing tries that any more. */
  readonly #end: PromiseWithResolvers<void> = Promise.withResolvers();
  #isAbandoned = false;
  /** Nobody is to be told that it stays: another takes its place, or it was waited for long enough. */
  #isLeft = false;

  constructor(entry: RemoteEntry, instance: Instance, options: KeptRegistrationOptions) {
    this.#entry = entry;
    entry.onBack = (isDoubtful = false) => {
      if (this.#closing !== null || !(isDoubtful || this.#state === "pending")) return;
      this.#isDoubted = isDoubtful;
      this.#passIn(0);
    };
    this.#wanted = instance;
    this.#options = options;
  }

  get state(): "pending" | "registered" | "closed" {
    return this.#state;
  }

  get losses(): number {
    return this.#losses + (this.#entry.losses ?? 0);
  }

  /** The first attempt. Rejects if it failed for good; that is all then. */
  async start(): Promise<void> {
    try {
      await this.#reconcile();
    } catch (error) {
      if (!this.#options.isFinal(error as Error)) {
        this.#report(error as Error);
        return;
      }
      this.#closing ??= Promise.resolve();
      this.#state = "closed";
      this.#timer?.cancel();
      this.#timer = null;
      this.#ended();
      throw error;
    }
  }

  /** Resolves when the product has it. Rejects if it can't be written now; it is tried again. */
  async update(change: Partial<Pick<Instance, "weight" | "state" | "tags">>): Promise<void> {
    if (this.#closing !== null) throw this.#closedError();
    const { weight, state, tags } = this.#wanted;
    const next = { weight: change.weight ?? weight, state: change.state ?? state, tags: change.tags ?? tags };
    checkChange(next);
    this.#wanted = { ...this.#wanted, ...next };
    await this.#reconcile();
    if (this.#closing !== null) throw this.#closedError();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = null;
    this.#state = "closed";
    // A pass may be writing at this moment: the removal comes behind it.
    await this.#passes;
    try {
      await this.#entry.remove();
    } catch (error) {
      // Nobody waits for a product that is away; but what it still has is not left there while this process lives.
      if (!this.#options.isFinal(error as Error)) {
        this.#removeUntil = Math.min(this.#removeUntil, this.#options.clock.fresh() + this.#options.expiryMs);
        return this.#removeLater(error as Error);
      }
      this.#report(error as Error);
    }
    this.#ended();
  }

  #removeLater(error: Error): void {
    const { clock, random } = this.#options;
    const delayMs = retryBackoffMs(0, random, REMOVE_RETRY);
    if (clock.fresh() + delayMs > this.#removeUntil || (this.#isAbandoned && this.#entry.isHidden === true)) {
      if (!this.#isLeft && this.#entry.isHidden !== true) this.#report(this.#stayError(error));
      return this.#ended();
    }
    this.#timer = clock.setTimeout(() => this.#remove(), delayMs);
  }

  #remove(): void {
    this.#timer = null;
    this.#entry.remove().then(
      () => this.#ended(),
      (error: Error) => this.#removeLater(error),
    );
  }

  #ended(): void {
    this.#end.resolve();
    this.#options.onClose();
  }

  /**
   * Ends what `close` has begun: resolves when nothing tries to take the entry out any more, so that another may be put there. Goes on
   * trying for `graceMs`, default 0, while those who watch are not told that it is gone.
   */
  async abandon(graceMs: number = 0): Promise<void> {
    this.#isAbandoned = true;
    this.#isLeft ||= graceMs === 0;
    this.#removeUntil = this.#options.clock.fresh() + graceMs;
    await this.close();
    if (this.#timer !== null) {
      this.#timer.cancel();
      if (graceMs > 0 && this.#entry.isHidden !== true) this.#remove();
      else this.#ended();
    }
    await this.#end.promise;
  }

  /** One pass behind another: each makes true what is wanted when its turn comes. */
  #reconcile(): Promise<void> {
    this.#waitingPasses++;
    const pass = this.#passes.then(() => this.#pass());
    this.#passes = pass.then(
      () => this.#passed(),
      (error: Error) => this.#failed(error),
    );
    return pass;
  }

  async #pass(): Promise<void> {
    if (this.#closing !== null) return;
    this.#isDoubted = false;
    if (this.#written !== null && this.#written === this.#wanted) {
      if (await this.#entry.renew()) return;
      this.#losses++;
      this.#written = null;
      if (this.#closing !== null) return;
      this.#state = "pending";
    }
    const wanted = this.#wanted;
    await this.#entry.put(wanted);
    this.#written = wanted;
  }

  #passed(): void {
    this.#failures = 0;
    this.#lastReport = "";
    this.#waitingPasses--;
    if (this.#closing !== null) return;
    this.#state = "registered";
    const { renewMs, random } = this.#options;
    this.#passIn(this.#isDoubted ? 0 : renewMs * (1 - RENEW_JITTER * random()));
  }

  #failed(error: Error): void {
    this.#waitingPasses--;
    if (this.#closing !== null) return;
    this.#state = "pending";
    if (this.#failures++ > 0 || this.#written !== null) this.#report(error);
    this.#passIn(this.#retryDelay());
  }

  #passIn(delayMs: number): void {
    this.#timer?.cancel();
    if (this.#waitingPasses > 0) return;
    this.#timer = this.#options.clock.setTimeout(() => {
      this.#reconcile().catch(() => {
        // Reported by the pass.
      });
    }, delayMs);
  }

  /** Full jitter: what lost its registry together does not come back together. */
  #retryDelay(): number {
    return retryBackoffMs(this.#failures, this.#options.random, LOST_RETRY);
  }

  #report(error: Error): void {
    if (error.message === this.#lastReport) return;
    this.#lastReport = error.message;
    this.#options.report(error);
  }

  #stayError(cause: Error): Error {
    const text = `${this.#options.owner}: ${this.#wanted.id} could not be taken out, and expires by itself`;
    return new Error(`${text}: ${cause.message}`, { cause });
  }

  #closedError(): Error {
    return new Error(`${this.#options.owner}: ${this.#wanted.id} is closed and can't be updated; register it again`);
  }
}
