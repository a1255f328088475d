import { type InContext, lastingContext } from "../rpc/call-context.ts";
import type { Clock, Timer } from "../rpc/clock.ts";
import { Code } from "../rpc/code.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import type { Credential } from "./call-credentials.ts";

/** A token and how long it holds; without a time, until a server refuses it. */
export interface ExpiringToken {
  readonly token: string;
  /** From now on, in ms; OAuth's `expires_in` × 1000. */
  readonly expiresInMs?: number;
}

/** Gets a token. `signal` is aborted when it takes too long. */
export type TokenSource = (request: {
  readonly signal: AbortSignal;
}) => string | ExpiringToken | Promise<string | ExpiringToken>;

/** How a source is used. */
export interface KeptTokenOptions {
  readonly source: TokenSource;
  /** A new token is got this long before the old one ends, in ms; at most half of its life before. */
  readonly refreshBeforeMs: number;
  /** Time for the source, in ms. */
  readonly timeoutMs: number;
  /** What is sent of a token. @throws TypeError when it can't be sent; the message must not hold it */
  credential(token: string): Credential;
}

/** After a failure, and after a refusal of a token this young, the source is left in peace for so long, in ms. */
const PAUSE_MS = 1000;

interface Kept {
  readonly credential: Credential;
  readonly gotAt: number;
  /** From here on a new one is got while this one is still used. */
  readonly refreshAt: number;
  readonly expiresAt: number;
}

/** The token of a source, got once for all calls that want it, and anew before it ends. All times are the clock's. */
export class KeptToken {
  readonly #options: KeptTokenOptions;
  readonly #inContext: InContext = lastingContext();
  #kept: Kept | null = null;
  #pending: Promise<Credential> | null = null;
  /** Calls wait for what is pending: the timer that ends it would let the process end first. */
  #hold: Timer | null = null;
  #failure: RpcError | null = null;
  /** No earlier than this the source is asked again after a failure. */
  #askAgainAt = Number.NEGATIVE_INFINITY;

  constructor(options: KeptTokenOptions) {
    this.#options = options;
  }

  /** What to send now; null when it must be got first. */
  current(clock: Clock): Credential | null {
    const kept = this.#kept;
    const now = clock.now();
    if (kept === null || now >= kept.expiresAt) return null;
    // What fails in the background is told to nobody as long as the old one holds.
    if (now >= kept.refreshAt && now >= this.#askAgainAt) this.#refresh(clock).catch(() => {});
    return kept.credential;
  }

  /** A new one, the same for all who ask meanwhile. Rejects with an RpcError UNAUTHENTICATED or UNAVAILABLE. */
  fresh(clock: Clock): Promise<Credential> {
    const pending = this.#refresh(clock);
    if (this.#pending !== null) this.#hold ??= clock.hold?.() ?? null;
    return pending;
  }

  #refresh(clock: Clock): Promise<Credential> {
    if (this.#pending !== null) return this.#pending;
    if (this.#failure !== null && clock.now() < this.#askAgainAt) return Promise.reject(this.#failure);
    // It is for all calls: the one that needs it first must not end it.
    const pending = this.#inContext(() => this.#get(clock)).finally(() => {
      this.#pending = null;
      this.#hold?.cancel();
      this.#hold = null;
    });
    this.#pending = pending;
    return pending;
  }

  /** A server did not take it: the next call gets a new one, unless it is that new that another would be no better. */
  refused(credential: Credential, clock: Clock): void {
    const kept = this.#kept;
    if (kept?.credential === credential && clock.now() - kept.gotAt >= PAUSE_MS) this.#kept = null;
  }

  async #get(clock: Clock): Promise<Credential> {
    try {
      const kept = this.#keep(await this.#ask(clock), clock);
      this.#kept = kept;
      this.#failure = null;
      return kept.credential;
    } catch (error) {
      this.#failure = failureOf(error);
      this.#askAgainAt = clock.now() + PAUSE_MS;
      throw this.#failure;
    }
  }

  async #ask(clock: Clock): Promise<string | ExpiringToken> {
    const { source, timeoutMs } = this.#options;
    const controller = new AbortController();
    let timer = { cancel: (): void => {} };
    const timeout = new Promise<never>((_resolve, reject) => {
      timer = clock.setTimeout(() => {
        controller.abort();
        reject(unavailable(`the token source gave nothing within ${timeoutMs} ms`));
      }, timeoutMs);
    });
    try {
      return await Promise.race([source({ signal: controller.signal }), timeout]);
    } finally {
      timer.cancel();
    }
  }

  #keep(given: string | ExpiringToken, clock: Clock): Kept {
    const { token, expiresInMs: lifeMs = Number.POSITIVE_INFINITY } =
      typeof given === "string" ? { token: given } : (given ?? {});
    if (typeof token !== "string" || token === "") throw unavailable("the token source gave no token");
    if (!(lifeMs > 0)) throw unavailable("the token source gave a token that has expired already");
    const now = clock.now();
    const earlyMs = Math.min(this.#options.refreshBeforeMs, lifeMs / 2);
    const refreshAt = lifeMs === Number.POSITIVE_INFINITY ? lifeMs : now + lifeMs - earlyMs;
    return { credential: this.#credential(token), gotAt: now, refreshAt, expiresAt: now + lifeMs };
  }

  #credential(token: string): Credential {
    try {
      return this.#options.credential(token);
    } catch (error) {
      throw unavailable(error instanceof Error ? error.message : "the token can't be sent");
    }
  }
}

/** UNAVAILABLE, reason `credentials`. */
function unavailable(text: string): RpcError {
  return new RpcError(Code.UNAVAILABLE, text, { reason: "credentials" });
}

/** The message of what a source threw may hold its secret and stays in the cause: the text may travel on to a caller. */
function failureOf(error: unknown): RpcError {
  if (RpcError.is(error) && error.reason === "credentials") return error;
  const code = RpcError.is(error) && error.code === Code.UNAUTHENTICATED ? error.code : Code.UNAVAILABLE;
  const name = error instanceof Error && /^\w{1,60}$/.test(error.name) ? error.name : typeof error;
  const text = `the token source failed (${name}): no credentials to send`;
  return new RpcError(code, text, { reason: "credentials", cause: error });
}
