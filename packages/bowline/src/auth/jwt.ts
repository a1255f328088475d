import type { Clock } from "../rpc/clock.ts";
import { checkOptions, type OptionSpecs } from "../rpc/options.ts";
import { type Authenticator, type AuthenticatorHost, unauthenticated, uncheckable } from "./authenticator.ts";
import { bearer, type TokenOwner } from "./bearer.ts";
import { checkKeySet, fetchKeySet, type JsonWebKeySet, nameOf, placeOf } from "./key-set.ts";
import {
  checkPublishedKeys,
  type FindKey,
  type OnStale,
  type PublishedKeyOptions,
  PublishedKeys,
} from "./published-keys.ts";
import { checkTokenCache, type TokenCacheOptions } from "./verified-tokens.ts";

export type { JsonWebKeySet } from "./key-set.ts";
export type { PublishedKeyOptions } from "./published-keys.ts";

/** Which tokens are taken. */
export interface JwtOptions {
  /** Where the issuer publishes its keys; https, or http on this machine. They are got when first needed, and again as `keys` says. */
  readonly jwksUrl?: string;
  /** How long the keys of `jwksUrl` are kept. */
  readonly keys?: PublishedKeyOptions;
  /** The keys themselves, instead. */
  readonly jwks?: JsonWebKeySet;
  /** Who issues the tokens: `iss` must be one of these. */
  readonly issuer: string | readonly string[];
  /** Whom they are for: `aud` must have one of these. Without it a token for another service would open this one. */
  readonly audience: string | readonly string[];
  /** How far clocks may differ, in ms. Default 5000. */
  readonly clockToleranceMs?: number;
  /** Signatures that are taken. Default: RS, PS and ES with 256, 384 and 512 bits, and EdDSA. Never `none`, nor those of shared secrets (HS). */
  readonly algorithms?: readonly string[];
  /** The claim that names the caller. Default `sub`. */
  readonly nameClaim?: string;
  /**
   * How long a token that has passed is taken without being verified again: until its `exp`, and never longer than this says. False: not
   * at all. Default: `{}`, a minute. A key that was withdrawn opens as long as `keys` says, and this beside.
   */
  readonly cache?: TokenCacheOptions | false;
}

/** What is used of the package jose. */
export interface Jose {
  createLocalJWKSet(jwks: unknown): FindKey;
  jwtVerify(token: string, keys: unknown, options: JoseVerifyOptions): Promise<{ payload: Record<string, unknown> }>;
}

/** Options of jose's `jwtVerify`. */
export interface JoseVerifyOptions {
  readonly issuer: string[];
  readonly audience: string[];
  readonly algorithms: string[];
  /** In seconds. */
  readonly clockTolerance: number;
  readonly requiredClaims: string[];
}

const SPECS: OptionSpecs = {
  jwksUrl: { kind: "string" },
  keys: { kind: "object" },
  jwks: { kind: "object" },
  issuer: { kind: "any" },
  audience: { kind: "any" },
  clockToleranceMs: { kind: "number", min: 0, max: 600_000, unit: "ms" },
  algorithms: { kind: "array" },
  nameClaim: { kind: "string" },
  cache: { kind: "any" },
};

const ALGORITHMS = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
];
/** The failure of jose that holds all keys that a token may be signed with. */
const SEVERAL_KEYS = "ERR_JWKS_MULTIPLE_MATCHING_KEYS";
/** The key that a token was verified by is not the one that it was signed with. */
const OTHER_KEY = "ERR_JWS_SIGNATURE_VERIFICATION_FAILED";
/** Failures of jose that are not the token's fault: keys that can't be used. */
const NO_KEYS: ReadonlySet<string> = new Set(["ERR_JWKS_INVALID", "ERR_JOSE_GENERIC"]);

/**
 * Callers show a JSON Web Token as bearer token (RFC 7519, RFC 8725); the package `jose` verifies it: signature, `iss`, `aud`, `exp`,
 * `nbf`. Rules call the caller `jwt:` and its `sub`; `identity.claims` has all claims.
 *
 * A token that does not pass is UNAUTHENTICATED; while keys can't be had, calls end with UNAVAILABLE. Without the package the start of
 * the server rejects, and names the command that installs it. `load` is for tests: what to use instead of the package.
 *
 * @throws TypeError or RangeError naming what is wrong with the options
 */
export function jwt(options: JwtOptions, load: () => Promise<unknown> = () => import("jose")): Authenticator {
  const verifyOptions = checked(options);
  const { nameClaim = "sub" } = options;
  let opening: Promise<(token: string) => Promise<Record<string, unknown>>> | undefined;
  /** The server that was started last with this. */
  let host: AuthenticatorHost | undefined;
  const open = async (): Promise<(token: string) => Promise<Record<string, unknown>>> => {
    const jose = await loadJose(load);
    const keys = findKey(jose, options, (safeText) => host?.warn(safeText));
    return async (token) => {
      const { payload } = await jose.jwtVerify(token, keys, verifyOptions).catch((error: unknown) => {
        if (codeOf(error) !== SEVERAL_KEYS) throw error;
        return verifyByAny(jose, token, error as AsyncIterable<unknown>, verifyOptions);
      });
      return payload;
    };
  };
  const opened = (): Promise<(token: string) => Promise<Record<string, unknown>>> => (opening ??= open());
  const verify = async (token: string): Promise<TokenOwner> => {
    const read = await opened();
    const claims = await read(token).catch((error: unknown) => {
      throw refusalOf(error, options);
    });
    const name = claims[nameClaim];
    if (typeof name !== "string" || name === "") throw unauthenticated(`the token's ${nameClaim} is no name`);
    // biome-ignore lint/nursery/noJsRestrictedProperties: `exp` is wall time, which a Clock does not have
    return { name, claims, expiresInMs: Number(claims.exp) * 1000 - Date.now() };
  };
  const cache = options.cache === false ? undefined : (options.cache ?? {});
  const start = async (server: AuthenticatorHost): Promise<void> => {
    host = server;
    await opened();
  };
  return { ...bearer({ scheme: "jwt", verify, cache }), open: start };
}

function checked(options: JwtOptions): JoseVerifyOptions {
  checkOptions("jwt options", options, SPECS);
  checkCache(options?.cache);
  const { jwksUrl, jwks, clockToleranceMs = 5000, algorithms = ALGORITHMS, nameClaim = "sub" } = options ?? {};
  if ((jwksUrl === undefined) === (jwks === undefined)) {
    throw new TypeError("jwt options: give jwksUrl or jwks, where the issuer's public keys are, and not both");
  }
  if (jwksUrl !== undefined) checkUrl(jwksUrl);
  if (jwks !== undefined) checkKeySet("jwt options.jwks", jwks);
  if (options.keys !== undefined) checkPublishedKeys("jwt options.keys", options.keys);
  if (options.keys !== undefined && jwks !== undefined) {
    throw new TypeError("jwt options.keys is about the keys of jwksUrl: leave it out beside jwks");
  }
  for (const each of algorithms) {
    if (ALGORITHMS.includes(each)) continue;
    const why = "only signatures by private keys are taken";
    throw new TypeError(`jwt options.algorithms has ${JSON.stringify(each)}: ${why}, ${ALGORITHMS.join(", ")}`);
  }
  if (algorithms.length === 0) throw new TypeError("jwt options.algorithms is empty: name one, or leave it out");
  return {
    issuer: texts("issuer", options.issuer),
    audience: texts("audience", options.audience),
    algorithms: [...algorithms],
    clockTolerance: clockToleranceMs / 1000,
    requiredClaims: ["exp", nameClaim],
  };
}

function checkCache(cache: JwtOptions["cache"] | undefined): void {
  if (cache !== false && cache !== undefined) checkTokenCache("jwt options.cache", cache);
}

/** Whoever can change the keys on their way can make tokens. */
function checkUrl(text: string): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isLocal = url?.protocol === "http:" && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  if (url === undefined || (url.protocol !== "https:" && !isLocal)) {
    throw new TypeError("jwt options.jwksUrl must begin with https://, or be http:// on this machine");
  }
  if (url.username === "" && url.password === "") return;
  throw new TypeError("jwt options.jwksUrl has a user or a password, which are not sent: leave them out");
}

function texts(option: string, given: string | readonly string[] | undefined): string[] {
  const all = [given ?? []].flat();
  if (all.length > 0 && all.every((each) => typeof each === "string" && each !== "")) return [...all];
  throw new TypeError(`jwt options.${option} is missing: say whose tokens are taken, and for whom they must be issued`);
}

/** How jose finds the key of a token. */
function findKey(jose: Jose, { jwksUrl, jwks, keys }: JwtOptions, warn: (safeText: string) => void): FindKey {
  if (jwksUrl === undefined) return jose.createLocalJWKSet(jwks);
  const url = new URL(jwksUrl);
  const get = async (clock: Clock): Promise<FindKey> => jose.createLocalJWKSet(await fetchKeySet(url, clock));
  const onStale: OnStale = (error, ageMs, leftMs) => {
    const { safeText = `the keys of ${placeOf(url)} can't be used: ${nameOf(error)}` } = error as { safeText?: string };
    warn(`${safeText}; those that were got ${seconds(ageMs)} ago are used, for ${seconds(leftMs)} more at most`);
  };
  return new PublishedKeys(get, keys, onStale).find;
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}

async function loadJose(load: () => Promise<unknown>): Promise<Jose> {
  try {
    return (await load()) as Jose;
  } catch (cause) {
    throw new Error("bowline/auth/jwt needs the package jose, which is not installed: npm install jose", { cause });
  }
}

/** By the one of `several` keys that has signed the token. It does not say which, and while an issuer changes keys more than one may have. */
async function verifyByAny(
  jose: Jose,
  token: string,
  several: AsyncIterable<unknown>,
  options: JoseVerifyOptions,
): Promise<{ payload: Record<string, unknown> }> {
  let refusal: unknown = several;
  for await (const key of several) {
    try {
      return await jose.jwtVerify(token, key, options);
    } catch (error) {
      if (codeOf(error) !== OTHER_KEY) throw error;
      refusal = error;
    }
  }
  throw refusal;
}

function codeOf(error: unknown): unknown {
  return (error as { readonly code?: unknown } | null | undefined)?.code;
}

/** What a caller is told of a failure of jose: its kind, never what was in the token. Anything but a bad token is for the log. */
function refusalOf(error: unknown, { jwksUrl }: JwtOptions): unknown {
  const { code, claim, safeText } = (error ?? {}) as { readonly [key in "code" | "claim" | "safeText"]?: unknown };
  if (safeText !== undefined) return error;
  if (typeof code !== "string" || !/^ERR_(JWT|JWS|JWKS|JOSE)_/.test(code) || NO_KEYS.has(code)) {
    const place = jwksUrl === undefined ? "jwt options.jwks" : placeOf(new URL(jwksUrl));
    return uncheckable(`the keys of ${place} can't be used: ${nameOf(error)}`, error);
  }
  if (code === "ERR_JWT_EXPIRED") return unauthenticated("the token has expired");
  const isNamed = code === "ERR_JWT_CLAIM_VALIDATION_FAILED" && typeof claim === "string" && /^\w{1,40}$/.test(claim);
  return unauthenticated(isNamed ? `the token's ${claim} is missing or not the right one` : "the token is not valid");
}
