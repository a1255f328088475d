import type { LinkPeer } from "../http2/link.ts";
import { Code } from "../rpc/code.ts";
import type { Metadata } from "../rpc/metadata.ts";
import { RpcError } from "../rpc/rpc-error.ts";

/** Who calls, as an {@link Authenticator} has proven it. */
export interface Identity {
  /** How it was proven: `bearer`, `jwt`, `mtls`, `app`, or a word of your own. */
  readonly scheme: string;
  /** The name within that scheme. */
  readonly name: string;
  /**
   * What rules may call it: `app:billing`, `jwt:user-7`, `URI:spiffe://shop/user`. Each begins with what it is, so that nobody takes
   * the name of another by proving himself in another way.
   */
  readonly names: readonly string[];
  /** What else was proven: the claims of a token, scopes. Empty when nothing was. */
  readonly claims: Readonly<Record<string, unknown>>;
}

/** A call whose caller is to be found out: its headers are here, its body is not decoded. */
export interface AuthenticationRequest {
  /** `/user.v1.UserService/GetUser` */
  readonly method: string;
  /** What the client sent, without the headers that belong to gRPC. */
  readonly metadata: Metadata;
  readonly peer: LinkPeer;
  /** Aborted when nobody waits for the call any more. */
  readonly signal: AbortSignal;
}

/** What a server does for its authenticators. */
export interface AuthenticatorHost {
  /** Logs a warning. It must hold nothing of a secret, nor of what was sent. */
  warn(safeText: string): void;
}

/** One way to prove who calls. `bearer`, `mutualTls`, `appToken` and `jwt` make some. */
export interface Authenticator {
  readonly scheme: string;
  /** What a caller without credentials is told: `a bearer token is required`. */
  readonly required: string;
  /**
   * The value of `www-authenticate` beside a refusal (RFC 9110 §11.6.1); a client takes it for the word that no handler ran. Absent:
   * none.
   */
  readonly challenge?: string;
  /** True when callers show it as certificate: the server must ask for one. Default false. */
  readonly usesCertificate?: boolean;
  /**
   * Who calls; null when the call has no credentials of this kind. An RpcError ends the call as it stands; anything else that is thrown
   * ends it with UNAVAILABLE, and is logged without its message, which may hold the secret. The text `safeText` that it has is logged.
   */
  authenticate(request: AuthenticationRequest): Identity | null | Promise<Identity | null>;
  /** What must be there before the server starts, such as an optional package; a rejection ends the start. */
  open?(host: AuthenticatorHost): Promise<void>;
}

/** UNAUTHENTICATED, reason `credentials`. The text reaches the caller: it must not repeat what he sent. */
export function unauthenticated(text: string): RpcError {
  return new RpcError(Code.UNAUTHENTICATED, text, { reason: "credentials" });
}

/** Credentials can't be checked: `safeText` says why in the server's log. It must hold nothing of a secret, nor of what was sent. */
export function uncheckable(safeText: string, cause?: unknown): Error {
  return Object.assign(new Error(safeText, { cause }), { safeText });
}

/** True for promises of all kinds: those of other realms, and queries that begin when somebody waits for them. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
