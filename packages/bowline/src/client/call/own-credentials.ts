import type { CallCredentials, Credential } from "../../auth/call-credentials.ts";
import { callStorage } from "../../rpc/call-context.ts";
import type { Clock } from "../../rpc/clock.ts";
import { Code } from "../../rpc/code.ts";
import { Metadata } from "../../rpc/metadata.ts";
import { RpcError } from "../../rpc/rpc-error.ts";

/** Credentials of the user's own, kept at arm's length: what they throw, or give that is none, ends a call and nothing else. */
export function guardCredentials(credentials: CallCredentials): CallCredentials {
  return new GuardedCredentials(credentials);
}

class GuardedCredentials implements CallCredentials {
  readonly allowPlaintext: boolean;
  readonly #own: CallCredentials;
  /** What `refused` threw: its call has ended, and the next one tells of it. */
  #fault: RpcError | null = null;

  constructor(own: CallCredentials) {
    this.#own = own;
    this.allowPlaintext = own.allowPlaintext;
  }

  /** @throws RpcError what the user's threw, or INTERNAL */
  current(clock: Clock): Credential | null {
    const fault = this.#fault;
    this.#fault = null;
    if (fault !== null) throw fault;
    let credential: Credential | null;
    try {
      credential = this.#own.current(clock);
    } catch (error) {
      throw faultOf(error, Code.INTERNAL, "threw in current");
    }
    return credential === null ? null : checked("current", credential);
  }

  /** Rejects with an RpcError: what the user's failed with, UNAVAILABLE, or INTERNAL. */
  async fresh(clock: Clock): Promise<Credential> {
    let credential: Credential;
    try {
      // It is for all calls: the deadline of the one that is being served must not end it.
      credential = await callStorage.exit(() => this.#own.fresh(clock));
    } catch (error) {
      throw faultOf(error, Code.UNAVAILABLE, "could not be got");
    }
    return checked("fresh", credential);
  }

  refused(credential: Credential, clock: Clock): void {
    try {
      this.#own.refused(credential, clock);
    } catch (error) {
      this.#fault = faultOf(error, Code.INTERNAL, "threw in refused");
    }
  }
}

function checked(method: string, credential: Credential): Credential {
  if (credential?.metadata instanceof Metadata) return credential;
  const text = `${method}() of the credentials gave what is none: give { metadata: new Metadata({ … }) }`;
  throw new RpcError(Code.INTERNAL, text, { reason: "credentials" });
}

/** An RpcError as it stands. The message of anything else may hold a secret and stays in the cause: the text may travel on to a caller. */
function faultOf(error: unknown, code: Code, what: string): RpcError {
  if (RpcError.is(error) && error.code !== Code.OK) return error;
  const name = error instanceof Error && /^\w{1,60}$/.test(error.name) ? error.name : typeof error;
  return new RpcError(code, `the credentials ${what} (${name})`, { reason: "credentials", cause: error });
}
