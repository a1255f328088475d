import { hash, randomBytes } from "node:crypto";
import { type Clock, systemClock } from "../rpc/clock.ts";
import { checkOptions, type OptionSpecs } from "../rpc/options.ts";
import type { Identity } from "./authenticator.ts";

/** How tokens that have been verified are remembered, so that the next calls with them cost a digest. */
export interface TokenCacheOptions {
  /** Tokens at most; the one that was not shown for longest makes room. Default 5000. */
  readonly maxTokens?: number;
  /**
   * Longest time in ms that a token is taken without being verified again, however long it holds: so long a token that was withdrawn
   * meanwhile still opens. Default 60,000.
   */
  readonly maxAgeMs?: number;
  /** Tokens without an end of their own are remembered too, for `maxAgeMs`. Default false. */
  readonly withoutEnd?: boolean;
  /** The clock of ages. Default: the process's. */
  readonly clock?: Clock;
}

const SPECS: OptionSpecs = {
  maxTokens: { kind: "number", min: 1, max: 1_000_000, isWhole: true, unit: "tokens" },
  maxAgeMs: { kind: "number", min: 1, max: 86_400_000, unit: "ms" },
  withoutEnd: { kind: "boolean" },
  clock: { kind: "object", methods: ["now"], example: "a VirtualClock" },
};

/** `owner` is how the options are called in errors. @throws TypeError or RangeError naming the option that is wrong */
export function checkTokenCache(owner: string, options: TokenCacheOptions): void {
  checkOptions(owner, options, SPECS);
}

/** Longer tokens are verified each time: what one takes in memory follows from its length. */
const MAX_TOKEN_CHARACTERS = 4096;

interface Verified {
  readonly identity: Identity;
  /** Monotonic ms. */
  readonly until: number;
}

/**
 * Who showed which token, as it was verified. Tokens themselves are not kept: a key is the SHA-256 of a token behind octets that are
 * drawn when the process starts, so that nobody can choose what is compared with what.
 */
export class VerifiedTokens {
  readonly #clock: Clock;
  readonly #maxTokens: number;
  readonly #maxAgeMs: number;
  readonly #withoutEnd: boolean;
  readonly #salt: string = randomBytes(16).toString("hex");
  /** By key, the one that was shown last at the end. */
  readonly #verified: Map<string, Verified> = new Map();

  /** Takes options that {@link checkTokenCache} has let pass. */
  constructor(options: TokenCacheOptions) {
    this.#clock = options.clock ?? systemClock;
    this.#maxTokens = options.maxTokens ?? 5000;
    this.#maxAgeMs = options.maxAgeMs ?? 60_000;
    this.#withoutEnd = options.withoutEnd ?? false;
  }

  /** Tokens that are remembered, those too whose time is over and that were not shown since. */
  get size(): number {
    return this.#verified.size;
  }

  /** What a token is remembered by; null for one that is not, because of its length. */
  keyOf(token: string): string | null {
    return token.length > MAX_TOKEN_CHARACTERS ? null : hash("sha256", this.#salt + token, "base64");
  }

  /** Who showed the token of this key; null when it must be verified. */
  find(key: string): Identity | null {
    const found = this.#verified.get(key);
    if (found === undefined) return null;
    this.#verified.delete(key);
    if (this.#clock.now() >= found.until) return null;
    this.#verified.set(key, found);
    return found.identity;
  }

  /** Remembers a token that holds for `expiresInMs` more ms; undefined: without an end. */
  keep(key: string, identity: Identity, expiresInMs: number | undefined): void {
    const holdsMs = expiresInMs ?? (this.#withoutEnd ? Number.POSITIVE_INFINITY : 0);
    if (!(holdsMs > 0)) return;
    this.#verified.delete(key);
    if (this.#verified.size >= this.#maxTokens) this.#forgetOldest();
    this.#verified.set(key, { identity, until: this.#clock.now() + Math.min(holdsMs, this.#maxAgeMs) });
  }

  #forgetOldest(): void {
    for (const oldest of this.#verified.keys()) {
      this.#verified.delete(oldest);
      return;
    }
  }
}

/** A copy that nobody can change, of plain objects and lists however deep they are; anything else in them is not copied. */
export function frozenCopy<T extends object>(value: T): T {
  const copies = new Map<object, Record<string, unknown>>();
  const copyOf = (each: unknown): unknown => {
    if (!isPlain(each)) return each;
    const known = copies.get(each);
    if (known !== undefined) return known;
    const copy = (Array.isArray(each) ? [...each] : { ...each }) as Record<string, unknown>;
    copies.set(each, copy);
    return copy;
  };
  const top = copyOf(value) as T;
  // It grows while it is gone through.
  for (const copy of copies.values()) {
    for (const [key, part] of Object.entries(copy)) copy[key] = copyOf(part);
    Object.freeze(copy);
  }
  return top;
}

function isPlain(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return Array.isArray(value) || prototype === Object.prototype || prototype === null;
}
