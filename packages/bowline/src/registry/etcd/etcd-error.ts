import { Code } from "../../rpc/code.ts";
import { RpcError } from "../../rpc/rpc-error.ts";

/**
 * What a failure means for whoever asked.
 *
 * - `unreachable` no member answers, or the one that does can't decide now: try again
 * - `credentials` user or password is wrong or missing
 * - `permission` the user may not touch these keys
 * - `lease` the lease is gone: another one is needed
 * - `compacted` what was asked for is history that etcd has dropped: read anew
 * - `too-large` the answer is larger than this side takes: ask for less
 * - `refused` etcd will never take what was sent
 */
export type EtcdFault = "unreachable" | "credentials" | "permission" | "lease" | "compacted" | "too-large" | "refused";

/** What went wrong with etcd, in words that name the setting to change. */
export class EtcdError extends Error {
  override readonly name: string = "EtcdError";
  readonly fault: EtcdFault;
  /** It may have taken effect all the same, now or later. */
  readonly isUncertain: boolean;

  constructor(fault: EtcdFault, text: string, options: { cause?: unknown; isUncertain?: boolean } = {}) {
    super(`etcd registry: ${text}`, options.cause === undefined ? undefined : { cause: options.cause });
    this.fault = fault;
    this.isUncertain = options.isUncertain ?? false;
  }

  /** The same of something else: `before`, in the message, becomes `after`. */
  about(before: string, after: string): EtcdError {
    const text = this.message.replace(/^etcd registry: /, "").replace(before, () => after);
    return new EtcdError(this.fault, text, { cause: this.cause, isUncertain: this.isUncertain });
  }

  /** True when trying again can't mend it. */
  get isPermanent(): boolean {
    return this.fault === "credentials" || this.fault === "permission" || this.fault === "refused";
  }
}

/** The texts of etcd's errors, `api/v3rpc/rpctypes`; codes alone don't tell them apart. */
const COMPACTED = "required revision has been compacted";
const FUTURE = "required revision is a future revision";
const NO_LEASE = "requested lease not found";
const TOO_LARGE = "request is too large";
const WRONG_PASSWORD = "authentication failed";
const NO_USER = "user name is empty";
const NO_SPACE = "database space exceeded";
const NO_PERMISSION = "permission denied";
/** The token is unknown to the member, or older than a change of the rights. */
const STALE_TOKEN = /invalid auth token|revision of auth store is old/;
const AUTH_NOT_ENABLED = "authentication is not enabled";

/** True when another token may be all that is needed. */
export function isStaleToken(text: string): boolean {
  return STALE_TOKEN.test(text);
}

/** True for the answer of an etcd without users to somebody who brings one. */
export function isWithoutAuth(error: unknown): boolean {
  return RpcError.is(error) && error.text.includes(AUTH_NOT_ENABLED);
}

/** What an error of a call means. `what` is what was tried: `reading the keys of "user.rpc/"`. */
export function explainEtcdError(error: unknown, what: string, host: string): EtcdError {
  if (error instanceof EtcdError) return error;
  if (!RpcError.is(error)) {
    return new EtcdError("unreachable", `${what} at ${host} failed: ${String(error)}`, { cause: error });
  }
  const { text } = error;
  const make = (fault: EtcdFault, advice: string): EtcdError =>
    new EtcdError(fault, `${what}: ${text}${advice}`, { cause: error });
  if (text.includes(COMPACTED) || text.includes(FUTURE)) return make("compacted", "");
  if (text.includes(NO_LEASE)) return make("lease", "");
  if (text.includes(TOO_LARGE))
    return make("refused", "; the instance has too many tags, or etcd's --max-request-bytes is too low");
  if (text.includes(WRONG_PASSWORD)) return make("credentials", " (check the options user and password)");
  if (text.includes(NO_USER)) return make("credentials", "; this etcd wants a user: set the options user and password");
  if (text.includes(NO_PERMISSION)) return make("permission", "");
  if (text.includes(NO_SPACE))
    return make("unreachable", "; raise --quota-backend-bytes or compact and defragment, then etcdctl alarm disarm");
  if (error.code === Code.RESOURCE_EXHAUSTED && error.reason === "limit") return make("too-large", "");
  if (error.code === Code.UNIMPLEMENTED) {
    const advice =
      "what answers there is no etcd v3: check the option hosts (clients' port is 2379, 2380 is for members)";
    return new EtcdError("unreachable", `${what} at ${host}: ${text}; ${advice}`, { cause: error });
  }
  const isUncertain = error.sent || error.code === Code.DEADLINE_EXCEEDED;
  const advice = error.origin === "remote" ? "" : "; check the options hosts and tls, and that etcd runs there";
  return new EtcdError("unreachable", `${what} at ${host}: ${text}${advice}`, { cause: error, isUncertain });
}
