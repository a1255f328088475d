import { DialError } from "../../net/dial-error.ts";
import { RpcError } from "../../rpc/rpc-error.ts";
import { HttpError } from "../http/http-error.ts";

/**
 * What a failure means for whoever asked.
 *
 * - `unreachable` no server answers, or the one that does can't now: try again
 * - `starting` the server says that it will be able to soon
 * - `credentials` user, password or keys are wrong or missing
 * - `permission` they may not do this
 * - `unregistered` the server does not know the connection any more: another one is needed
 * - `refused` Nacos will never take what was sent
 */
export type NacosFault = "unreachable" | "starting" | "credentials" | "permission" | "unregistered" | "refused";

/** What went wrong with Nacos, in words that name the setting to change. */
export class NacosError extends Error {
  override readonly name: string = "NacosError";
  readonly fault: NacosFault;

  constructor(fault: NacosFault, text: string, options: { cause?: unknown } = {}) {
    super(`nacos registry: ${text}`, options.cause === undefined ? undefined : { cause: options.cause });
    this.fault = fault;
  }

  /** True when nothing listens there, or a server that is starting: trying again soon costs little. */
  get isAway(): boolean {
    const { cause, fault } = this;
    if (cause instanceof AggregateError) return cause.errors.every((each: NacosError) => each.isAway);
    return (
      fault === "starting" || (RpcError.is(cause) && cause.cause instanceof DialError && cause.cause.kind === "refused")
    );
  }

  /** True when trying again can't mend it. */
  get isPermanent(): boolean {
    return this.fault === "credentials" || this.fault === "permission" || this.fault === "refused";
  }
}

/** `NacosException.NO_RIGHT` and its neighbour of HTTP. */
const NO_RIGHT: ReadonlySet<number> = new Set([401, 403]);
/** `NacosException.INVALID_SERVER_STATUS`. */
const STARTING = 300;
/** `NacosException.UN_REGISTER`. */
const UNREGISTERED = 301;
/** `NacosException.INVALID_PARAM` and `CLIENT_INVALID_PARAM`. */
const INVALID: ReadonlySet<number> = new Set([400, -400]);
/** Texts of Nacos for a request that can't be taken, whatever number stands beside them. */
const INVALID_TEXT = /Param '[^']*' is illegal|Param '[^']*' is required|instance format invalid/i;
/** Texts of Nacos's own authorities, for a token or a user that is none. */
const NOT_WHO = /token (invalid|expired)|user not found|unknown user|bad credentials|username or password/i;

/** Longest text of a server that a message repeats. */
const MAX_TEXT = 200;

/** The error of a response whose `resultCode` is not 200. `what` is what was tried: `registering "user.rpc"`. */
export function refusal(what: string, host: string, errorCode: number, message: string): NacosError {
  const text = `${what}: ${host} answered ${errorCode} (${shortened(message)})`;
  if (errorCode === STARTING) return new NacosError("starting", text);
  if (errorCode === UNREGISTERED) return new NacosError("unregistered", text);
  if (NO_RIGHT.has(errorCode)) {
    return NOT_WHO.test(message)
      ? new NacosError("credentials", `${text}; check the options user and password, or accessKey and secretKey`)
      : new NacosError("permission", `${text}; give the user the right to read and write in this namespace`);
  }
  if (INVALID.has(errorCode) || INVALID_TEXT.test(message)) {
    return new NacosError("refused", `${text}; Nacos takes at most 1024 characters of metadata, and plain names only`);
  }
  return new NacosError("unreachable", text);
}

/** True for the answer to a token that another login may mend. */
export function isStaleToken(error: unknown): boolean {
  return error instanceof NacosError && (error.fault === "credentials" || error.fault === "permission");
}

/** What an error of a gRPC call means. */
export function explainRpc(error: unknown, what: string, host: string): NacosError {
  if (error instanceof NacosError) return error;
  const text = RpcError.is(error) ? error.text : String(error);
  const advice =
    RpcError.is(error) && error.origin === "remote"
      ? ""
      : "; check the options hosts and tls, and that Nacos 2 or 3 runs there (its gRPC port is the main port + 1000)";
  return new NacosError("unreachable", `${what} at ${host}: ${text}${advice}`, { cause: error });
}

/** What an error of the HTTP API means. */
export function explainHttp(error: unknown): NacosError {
  if (error instanceof NacosError) return error;
  const text = (error instanceof Error ? error.message : String(error)).replace(/^nacos registry: /, "");
  if (!(error instanceof HttpError)) return new NacosError("unreachable", text, { cause: error });
  const { status } = error;
  if (NO_RIGHT.has(status)) {
    const advice = "check the options user and password, or accessKey and secretKey, and the user's rights";
    return new NacosError(NOT_WHO.test(error.text) ? "credentials" : "permission", `${text}; ${advice}`, {
      cause: error,
    });
  }
  const isRefused = error.kind === "status" && (status === 400 || INVALID_TEXT.test(error.text));
  return new NacosError(isRefused ? "refused" : "unreachable", text, { cause: error });
}

function shortened(message: string): string {
  const line = message.replace(/[\p{Cc}\s]+/gu, " ").trim();
  return line.length > MAX_TEXT ? `${line.slice(0, MAX_TEXT)}…` : line || "without a word";
}
