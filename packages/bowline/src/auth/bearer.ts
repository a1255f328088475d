import type { Metadata } from "../rpc/metadata.ts";
import { checkOptions, type OptionSpecs } from "../rpc/options.ts";
import {
  type AuthenticationRequest,
  type Authenticator,
  type Identity,
  isThenable,
  unauthenticated,
} from "./authenticator.ts";
import { checkTokenCache, frozenCopy, type TokenCacheOptions, VerifiedTokens } from "./verified-tokens.ts";

/** Of whom a token is. */
export interface TokenOwner {
  /** A name that stands for one caller; rules call it `bearer:NAME`. */
  readonly name: string;
  /** What else the token says. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** How long the token still holds, in ms; only the option `cache` asks for it. Absent: it has no end of its own. */
  readonly expiresInMs?: number;
}

/** How bearer tokens are checked. */
export interface BearerOptions {
  /**
   * Whose token it is; null or undefined for one that is not valid. Compare secrets with `sameSecret`. What it throws ends the call: an RpcError as it
   * stands, anything else with UNAVAILABLE.
   */
  readonly verify: (
    token: string,
    request: AuthenticationRequest,
  ) => TokenOwner | null | undefined | Promise<TokenOwner | null | undefined>;
  /** How rules and `identity.scheme` call it. Default `bearer`. */
  readonly scheme?: string;
  /**
   * Remembers tokens that `verify` has taken, with an `expiresInMs` or as the options say; give `{}` for the defaults. Then what
   * `verify` gives must depend on the token alone. `claims` are shared among calls, as a copy of their objects and lists that nobody can
   * change. Default: it is asked for each call.
   */
  readonly cache?: TokenCacheOptions;
}

const SPECS: OptionSpecs = { verify: { kind: "function" }, scheme: { kind: "string" }, cache: { kind: "object" } };
/** RFC 6750 §2.1, `b64token`. */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;
const PREFIX = /^bearer +/i;

/**
 * Callers show a token: `authorization: Bearer …` (RFC 6750). No token is UNAUTHENTICATED, and so are one that `verify` does not know,
 * one with characters that tokens don't have, and more than one `authorization`.
 *
 * @throws TypeError when `verify` is missing
 */
export function bearer(options: BearerOptions): Authenticator {
  checkOptions("bearer options", options, SPECS);
  if (typeof options?.verify !== "function") {
    throw new TypeError("bearer options.verify is missing: give a function from token to { name }, or null");
  }
  const { verify, scheme = "bearer" } = options;
  if (!/^[\w-]+$/.test(scheme)) throw new TypeError(`bearer options.scheme is ${JSON.stringify(scheme)}: give a word`);
  if (options.cache !== undefined) checkTokenCache("bearer options.cache", options.cache);
  const cache = options.cache === undefined ? null : new VerifiedTokens(options.cache);
  const identityOf = (owner: Found): Identity => {
    if (owner === null || owner === undefined) throw unauthenticated("the bearer token is not valid");
    return { scheme, name: owner.name, names: [`${scheme}:${owner.name}`], claims: owner.claims ?? {} };
  };
  const identify = (token: string, request: AuthenticationRequest): Identity | Promise<Identity> => {
    const key = cache?.keyOf(token) ?? null;
    const known = cache === null || key === null ? null : cache.find(key);
    if (known !== null) return known;
    if (!TOKEN.test(token)) throw unauthenticated("the bearer token is malformed");
    if (cache === null || key === null) return settled(verify(token, request), identityOf);
    return settled(verify(token, request), (owner) => {
      const identity = frozenCopy(identityOf(owner));
      cache.keep(key, identity, owner?.expiresInMs);
      return identity;
    });
  };
  return {
    scheme,
    required: 'a bearer token is required: send the metadata "authorization: Bearer TOKEN"',
    challenge: "Bearer",
    authenticate(request) {
      const token = bearerToken(request.metadata);
      return token === null ? null : identify(token, request);
    },
  };
}

type Found = TokenOwner | null | undefined;

/** What follows from an owner, without a promise unless there is one. */
function settled(owner: Found | Promise<Found>, then: (owner: Found) => Identity): Identity | Promise<Identity> {
  return isThenable(owner) ? Promise.resolve(owner).then(then) : then(owner);
}

/** The token of a call as it stands; null without one. @throws RpcError UNAUTHENTICATED for several */
function bearerToken(metadata: Metadata): string | null {
  const values = metadata.getAll("authorization");
  if (values.length === 0) return null;
  if (values.length > 1) throw unauthenticated("authorization was sent more than once");
  const value = String(values[0]);
  const prefix = PREFIX.exec(value);
  if (prefix === null) return null;
  return value.slice(prefix[0].length).trimEnd();
}
