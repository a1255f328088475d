import type { Metadata } from "../rpc/metadata.ts";
import { checkOptions, type OptionSpecs } from "../rpc/options.ts";
import { type AuthenticationRequest, type Authenticator, type Identity, unauthenticated } from "./authenticator.ts";

/** Of whom a token is. */
export interface TokenOwner {
  /** A name that stands for one caller; rules call it `bearer:NAME`. */
  readonly name: string;
  /** What else the token says. */
  readonly claims?: Readonly<Record<string, unknown>>;
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
}

const SPECS: OptionSpecs = { verify: { kind: "function" }, scheme: { kind: "string" } };
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
  const identityOf = (owner: TokenOwner | null | undefined): Identity => {
    if (owner === null || owner === undefined) throw unauthenticated("the bearer token is not valid");
    return { scheme, name: owner.name, names: [`${scheme}:${owner.name}`], claims: owner.claims ?? {} };
  };
  return {
    scheme,
    required: 'a bearer token is required: send the metadata "authorization: Bearer TOKEN"',
    challenge: "Bearer",
    authenticate(request) {
      const token = bearerToken(request.metadata);
      if (token === null) return null;
      const owner = verify(token, request);
      return owner instanceof Promise ? owner.then(identityOf) : identityOf(owner);
    },
  };
}

/** The token of a call; null without one. @throws RpcError UNAUTHENTICATED for one that can't be read, and for several */
function bearerToken(metadata: Metadata): string | null {
  const values = metadata.getAll("authorization");
  if (values.length === 0) return null;
  if (values.length > 1) throw unauthenticated("authorization was sent more than once");
  const value = String(values[0]);
  const prefix = PREFIX.exec(value);
  if (prefix === null) return null;
  const token = value.slice(prefix[0].length).trimEnd();
  if (!TOKEN.test(token)) throw unauthenticated("the bearer token is malformed");
  return token;
}
