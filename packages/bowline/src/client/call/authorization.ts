import type { CallCredentials, Credential } from "../../auth/call-credentials.ts";
import { Code } from "../../rpc/code.ts";
import { Metadata } from "../../rpc/metadata.ts";
import { RpcError } from "../../rpc/rpc-error.ts";
import type { Call } from "./call.ts";
import { keptRequest } from "./request-source.ts";

/** What is sent of a call with credentials: the user's own metadata, and theirs where that says nothing. */
class AuthorizedMetadata extends Metadata {
  readonly own: Metadata | null;
  readonly credential: Credential;
  /** A call is sent anew once for being unauthenticated. */
  readonly isAnew: boolean;
  /** False where the user's own metadata say all that the credentials do: a refusal is not theirs. */
  readonly isCredentialSent: boolean;

  constructor(own: Metadata | null, credential: Credential, isAnew: boolean) {
    super(own ?? undefined);
    for (const [key, value] of credential.metadata) if (own === null || !own.has(key)) this.append(key, value);
    this.isCredentialSent = this.size > (own?.size ?? 0);
    this.own = own;
    this.credential = credential;
    this.isAnew = isAnew;
  }
}

/**
 * Gives the call its credentials. True when they are there, and it may be sent; else they are got, and it is dispatched when they have
 * come, or it has ended. Behind all interceptors: none sees them. Once more when the call has waited: what it had may have ended meanwhile.
 */
export function authorize(call: Call, credentials: CallCredentials): boolean {
  const current = currentFor(call, credentials);
  if (call.isOver) return false;
  if (current !== null) {
    carry(call, current);
    return true;
  }
  try {
    call.request = keptRequest(call.method, call.request);
  } catch (error) {
    call.cancel(RpcError.from(error));
    return false;
  }
  if (call.isWaiting) call.channel.forget(call);
  credentials.fresh(call.channel.clock).then(
    (credential) => {
      if (call.isOver) return;
      carry(call, credential);
      call.dispatch();
    },
    (error: unknown) => call.cancel(failureOf(error)),
  );
  return false;
}

/** What is there now; what that throws ends the call. */
function currentFor(call: Call, credentials: CallCredentials): Credential | null {
  try {
    return credentials.current(call.channel.clock);
  } catch (error) {
    call.cancel(failureOf(error));
    return null;
  }
}

function carry(call: Call, credential: Credential): void {
  const sent = call.requestMetadata;
  if (!(sent instanceof AuthorizedMetadata)) call.requestMetadata = new AuthorizedMetadata(sent, credential, false);
  else if (sent.credential !== credential) {
    call.requestMetadata = new AuthorizedMetadata(sent.own, credential, sent.isAnew);
  }
}

/**
 * True when an attempt that a server did not authenticate is to be made anew: another credential has come meanwhile, no handler has run,
 * and it is the first time. That no handler has run is certain of an idempotent method in effect, and of any by `www-authenticate`
 * beside the status, which a handler does not pass on.
 */
export function authorizeAnew(call: Call, error: RpcError, credentials: CallCredentials): boolean {
  const sent = call.requestMetadata;
  if (!isRefusal(error) || !isOurs(sent) || sent.isAnew) return false;
  const isSafe = call.method.idempotency !== "unknown" || error.metadataIfAny?.has("www-authenticate") === true;
  const current = isSafe ? currentFor(call, credentials) : null;
  if (current === null || current === sent.credential) return false;
  call.requestMetadata = new AuthorizedMetadata(sent.own, current, true);
  return true;
}

/** The end of a call: credentials hear that a server did not take them. */
export function authorizationEnded(call: Call, error: RpcError | null, credentials: CallCredentials): void {
  const sent = call.requestMetadata;
  if (error === null || !isRefusal(error) || !isOurs(sent)) return;
  credentials.refused(sent.credential, call.channel.clock);
}

function isOurs(sent: Metadata | null): sent is AuthorizedMetadata {
  return sent instanceof AuthorizedMetadata && sent.isCredentialSent;
}

function isRefusal(error: RpcError): boolean {
  return error.code === Code.UNAUTHENTICATED && error.origin === "remote";
}

/** An error of its own for each call that waited. */
function failureOf(error: unknown): RpcError {
  const { code, text, cause } = RpcError.from(error);
  return new RpcError(code, text, { reason: "credentials", cause, sent: false });
}
