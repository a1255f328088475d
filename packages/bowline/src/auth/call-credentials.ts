import type { Clock } from "../rpc/clock.ts";
import { Metadata } from "../rpc/metadata.ts";
import { checkOptions, type OptionSpecs } from "../rpc/options.ts";
import { KeptToken, type TokenSource } from "./token-source.ts";

/** What is sent with a call to prove who makes it. Each is an object of its own: calls tell by it whether another has come. */
export interface Credential {
  readonly metadata: Metadata;
}

/**
 * Where a client's calls get what proves who they are. `bearerCredentials` and `appCredentials` make some.
 *
 * An RpcError that one's own throw ends the call as it stands. Anything else that they throw, or give that is no Credential, ends it with
 * INTERNAL.
 */
export interface CallCredentials {
  /** True: sent without TLS, too, where everybody on the way can read and use it. */
  readonly allowPlaintext: boolean;
  /** What to send now; null when it must be got first. */
  current(clock: Clock): Credential | null;
  /**
   * A new one, the same for all who ask meanwhile; outside of the call that is being served. A rejection ends the calls that wait, with
   * UNAVAILABLE unless it is an RpcError.
   */
  fresh(clock: Clock): Promise<Credential>;
  /** A server answered UNAUTHENTICATED to it. That call has ended: what this throws ends the next one. */
  refused(credential: Credential, clock: Clock): void;
}

/** How a bearer token is got and sent. */
export interface BearerCredentialsOptions {
  /** The token, or a function that gets one. It is asked when the first call needs it, and again before the token ends. */
  readonly token: string | TokenSource;
  /** A new token is got this long before the old one ends, in ms; at most half of its life before. Default 60,000. */
  readonly refreshBeforeMs?: number;
  /** Time for the function, in ms; then calls end with UNAVAILABLE. Default 10,000. */
  readonly timeoutMs?: number;
  /** Send it without TLS, too. Default false: `createClient` throws. */
  readonly allowPlaintext?: boolean;
}

/** An app and its token, as go-zero's clients send them. */
export interface AppCredentialsOptions {
  readonly app: string;
  readonly token: string;
  /** Send it without TLS, too, as go-zero does. Default false: `createClient` throws. */
  readonly allowPlaintext?: boolean;
}

const BEARER_SPECS: OptionSpecs = {
  token: { kind: "any" },
  refreshBeforeMs: { kind: "number", min: 0, max: 0x7fffffff, unit: "ms" },
  timeoutMs: { kind: "number", min: 1, max: 600_000, unit: "ms" },
  allowPlaintext: { kind: "boolean" },
};
const APP_SPECS: OptionSpecs = {
  app: { kind: "string" },
  // Of no kind: what is wrong with it must not be shown.
  token: { kind: "any" },
  allowPlaintext: { kind: "boolean" },
};

/**
 * Calls carry `authorization: Bearer TOKEN` (RFC 6750). A function is asked once for all calls that wait, and a second at the earliest
 * after it has failed: calls end with UNAVAILABLE then, or with UNAUTHENTICATED if it threw an RpcError with that code.
 *
 * @throws TypeError for a token that no header may hold; it is not repeated
 */
export function bearerCredentials(options: BearerCredentialsOptions): CallCredentials {
  checkOptions("bearerCredentials options", options, BEARER_SPECS);
  const { token, refreshBeforeMs = 60_000, timeoutMs = 10_000, allowPlaintext = false } = options;
  if (typeof token !== "function") return constant(bearerCredential("options.token", token), allowPlaintext);
  const kept = new KeptToken({
    source: token,
    refreshBeforeMs,
    timeoutMs,
    credential: (text) => bearerCredential("options.token()", text),
  });
  return {
    allowPlaintext,
    current: (clock) => kept.current(clock),
    fresh: (clock) => kept.fresh(clock),
    refused: (credential, clock) => kept.refused(credential, clock),
  };
}

/**
 * Calls carry the metadata `app` and `token`, as go-zero's servers want them.
 *
 * @throws TypeError for one that is empty or that no header may hold; the token is not repeated
 */
export function appCredentials(options: AppCredentialsOptions): CallCredentials {
  checkOptions("appCredentials options", options, APP_SPECS);
  const { app, token, allowPlaintext = false } = options;
  checkText("appCredentials options.app", app);
  checkText("appCredentials options.token", token);
  return constant({ metadata: new Metadata({ app, token }) }, allowPlaintext);
}

function bearerCredential(option: string, token: unknown): Credential {
  checkText(`bearerCredentials ${option}`, token);
  return { metadata: new Metadata({ authorization: `Bearer ${String(token)}` }) };
}

/** @throws TypeError that does not show the text */
function checkText(option: string, text: unknown): void {
  if (typeof text === "string" && /^[\x21-\x7e]+$/.test(text)) return;
  const what = typeof text === "string" ? "is empty, or has a space or a character outside ASCII" : `is ${typeof text}`;
  throw new TypeError(`${option} ${what}: give the text as it was issued, without a line end`);
}

function constant(credential: Credential, allowPlaintext: boolean): CallCredentials {
  return {
    allowPlaintext,
    current: () => credential,
    fresh: () => Promise.resolve(credential),
    refused: () => {},
  };
}
