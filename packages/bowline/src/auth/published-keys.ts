import { type InContext, lastingContext } from "../rpc/call-context.ts";
import { type Clock, systemClock } from "../rpc/clock.ts";
import { checkOptions, type OptionSpecs } from "../rpc/options.ts";

/** How the keys that an issuer publishes are kept. */
export interface PublishedKeyOptions {
  /**
   * Age in ms from which on keys are got again before they are used: so long a key that was withdrawn still opens. At half of it they are
   * got in the background, when a token is verified. Default 300,000.
   */
  readonly maxAgeMs?: number;
  /** While the issuer gives none, keys are used until they have this age in ms; never below `maxAgeMs`. Default 3,600,000. */
  readonly maxAgeInOutageMs?: number;
  /**
   * A token whose key is not among those that are there has keys got again, unless they are younger than this, in ms: anybody can send
   * such tokens. Default 5000.
   */
  readonly cooldownMs?: number;
  /** The clock of ages. Default: the process's. */
  readonly clock?: Clock;
}

const SPECS: OptionSpecs = {
  maxAgeMs: { kind: "number", min: 1, max: 86_400_000, unit: "ms" },
  maxAgeInOutageMs: { kind: "number", min: 0, max: 604_800_000, unit: "ms" },
  cooldownMs: { kind: "number", min: 1, max: 86_400_000, unit: "ms" },
  clock: { kind: "object", methods: ["now", "setTimeout"], example: "a VirtualClock" },
};

/** `owner` is how the options are called in errors. @throws TypeError or RangeError naming the option that is wrong */
export function checkPublishedKeys(owner: string, options: PublishedKeyOptions): void {
  checkOptions(owner, options, SPECS);
}

/** After a failure the issuer is left in peace for so long, in ms. */
const PAUSE_MS = 1000;
/** No call waits for an issuer that has failed so short a time ago, in ms: more than its time to answer and a pause. */
const OUTAGE_MS = 10_000;

/** In a long outage it is told again after so long, in ms. */
const REMINDER_MS = 300_000;

/** Told that keys could not be got anew; those that were got `ageMs` ago are used for `leftMs` more. */
export type OnStale = (error: unknown, ageMs: number, leftMs: number) => void;

/** The key of a token, by the token's header; what jose takes for keys. Rejects with jose's error for none, and for several. */
export type FindKey = (header: unknown, token: unknown) => Promise<unknown>;

interface Kept {
  readonly find: FindKey;
  readonly gotAt: number;
}

/** The keys of an issuer, got once for all calls that want them. No timer: an issuer whose tokens nobody shows is not asked. */
export class PublishedKeys {
  readonly #get: (clock: Clock) => Promise<FindKey>;
  readonly #clock: Clock;
  readonly #maxAgeMs: number;
  readonly #maxAgeInOutageMs: number;
  readonly #cooldownMs: number;
  readonly #onStale: OnStale | undefined;
  readonly #inContext: InContext = lastingContext();
  #kept: Kept | null = null;
  #pending: Promise<Kept> | null = null;
  /** Of the last time that the issuer was asked; null after a success. */
  #failure: { readonly error: unknown; readonly at: number } | null = null;
  /** When `onStale` was told last in this outage. */
  #toldAt = Number.NEGATIVE_INFINITY;

  /** `get` asks the issuer. Takes options that {@link checkPublishedKeys} has let pass. */
  constructor(get: (clock: Clock) => Promise<FindKey>, options: PublishedKeyOptions = {}, onStale?: OnStale) {
    this.#get = get;
    this.#onStale = onStale;
    this.#clock = options.clock ?? systemClock;
    this.#maxAgeMs = options.maxAgeMs ?? 300_000;
    this.#maxAgeInOutageMs = Math.max(this.#maxAgeMs, options.maxAgeInOutageMs ?? 3_600_000);
    this.#cooldownMs = options.cooldownMs ?? 5000;
  }

  /** Rejects with what `get` did while there are no keys, or none for this token: it may be signed by a new one. */
  readonly find: FindKey = async (header, token) => {
    const kept = await this.#current();
    try {
      return await kept.find(header, token);
    } catch (error) {
      const isUnknown = (error as { readonly code?: unknown } | null)?.code === "ERR_JWKS_NO_MATCHING_KEY";
      const newer = isUnknown ? await this.#newerThan(kept) : kept;
      if (newer === kept) throw error;
      return newer.find(header, token);
    }
  };

  async #current(): Promise<Kept> {
    const kept = this.#kept;
    const ageMs = kept === null ? Number.POSITIVE_INFINITY : this.#ageMs(kept);
    if (kept === null || ageMs >= this.#maxAgeInOutageMs) return this.#fresh();
    if (ageMs < this.#maxAgeMs / 2) return kept;
    const fresh = this.#fresh().catch(() => kept);
    return ageMs < this.#maxAgeMs || this.#failedWithin(OUTAGE_MS) ? kept : fresh;
  }

  async #newerThan(kept: Kept): Promise<Kept> {
    if (this.#kept !== kept && this.#kept !== null) return this.#kept;
    return this.#pending === null && this.#ageMs(kept) < this.#cooldownMs ? kept : this.#fresh();
  }

  #fresh(): Promise<Kept> {
    if (this.#pending !== null) return this.#pending;
    if (this.#failedWithin(PAUSE_MS)) return Promise.reject(this.#failure?.error);
    // They are for all calls: no single one's context goes along.
    const pending = this.#inContext(() => this.#ask()).finally(() => {
      this.#pending = null;
    });
    this.#pending = pending;
    return pending;
  }

  async #ask(): Promise<Kept> {
    // Before the issuer has answered it may withdraw a key.
    const gotAt = this.#clock.now();
    try {
      this.#kept = { find: await this.#get(this.#clock), gotAt };
      this.#failure = null;
      this.#toldAt = Number.NEGATIVE_INFINITY;
      return this.#kept;
    } catch (error) {
      this.#failure = { error, at: this.#clock.now() };
      this.#tell(error);
      throw error;
    }
  }

  /** Calls go on with the keys that are there, and nobody would know. Without any they fail, and that is told of them. */
  #tell(error: unknown): void {
    const now = this.#clock.now();
    const ageMs = this.#kept === null ? Number.POSITIVE_INFINITY : this.#ageMs(this.#kept);
    if (ageMs >= this.#maxAgeInOutageMs || now - this.#toldAt < REMINDER_MS) return;
    this.#toldAt = now;
    this.#onStale?.(error, ageMs, this.#maxAgeInOutageMs - ageMs);
  }

  #failedWithin(ms: number): boolean {
    return this.#failure !== null && this.#clock.now() - this.#failure.at < ms;
  }

  #ageMs({ gotAt }: Kept): number {
    return this.#clock.now() - gotAt;
  }
}
