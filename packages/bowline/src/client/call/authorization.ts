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

/** Gives the call its credentials and sends it; at once when they are there. Behind all interceptors: none sees them. */
export function authorize(call: Call, credentials: CallCredentials): void {
  const { clock } = call.channel;
  const current = credentials.current(clock);
  if (current !== null) return send(call, current);
  try {
    call.request = keptRequest(call.method, call.request);
  } catch (error) {
    return call.cancel(RpcError.from(error));
  }
  credentials.fresh(clock).then(
    (credential) => {
      if (!call.isOver) send(call, credential);
    },
    (error: unknown) => call.cancel(failureOf(error)),
  );
}

function send(call: Call, credential: Credential): void {
  call.requestMetadata = new AuthorizedMetadata(call.requestMetadata, credential, false);
  call.dispatch();
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
  const current = isSafe ? credentials.current(call.channel.clock) : null;
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
