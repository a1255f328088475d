import { Code, codeName, toCode } from "./code.ts";
import { Metadata, type MetadataInit } from "./metadata.ts";

/** One entry of google.rpc.Status.details: a message of any type in its encoded form. */
export interface ErrorDetail {
  /** As in google.protobuf.Any, e.g. `type.googleapis.com/google.rpc.BadRequest`. */
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

/**
 * Why Bowline itself ended or refused a call; absent when the peer's handler decided.
 *
 * - `cancelled` the caller's signal or a parent call ended it
 * - `deadline` time ran out on this side
 * - `refused` the peer said that it did not process it (REFUSED_STREAM, GOAWAY)
 * - `connection` connecting failed or the connection broke
 * - `no-endpoint` the target has no usable endpoint
 * - `closed` the channel or server is closed
 * - `limit` a bound of this side or the peer's was reached; the message names it
 * - `protocol` the peer broke HTTP/2 or gRPC
 * - `codec` a message could not be encoded or decoded
 * - `credentials` they are missing, wrong, not enough, or could not be got
 * - `unimplemented` no such service, method, encoding or cardinality
 * - `handler` a handler threw something that is no RpcError
 */
export type RpcErrorReason =
  | "cancelled"
  | "deadline"
  | "refused"
  | "connection"
  | "no-endpoint"
  | "closed"
  | "limit"
  | "protocol"
  | "codec"
  | "credentials"
  | "unimplemented"
  | "handler";

/** What may be said of an error beside its code and message. */
export interface RpcErrorOptions {
  /** Sent as trailers by a server, read from them by a client. A `Metadata` is taken as it is, anything else copied into one. */
  metadata?: MetadataInit;
  details?: readonly ErrorDetail[];
  cause?: unknown;
  /** Default `local`. */
  origin?: "local" | "remote";
  reason?: RpcErrorReason;
  /** Path of the method, `/user.v1.UserService/GetUser`. */
  method?: string;
  /** The instance (or address) that the last attempt went to. */
  instance?: string;
  /** Number of the last attempt, from 1; 0 when none was made. */
  attempt?: number;
  /** False when it is certain that the peer's handler never saw the request. Default true for remote errors, else false. */
  sent?: boolean;
}

const BRAND = Symbol.for("bowline.RpcError");
const NO_DETAILS: readonly ErrorDetail[] = Object.freeze([]);

/**
 * The one error of a call, on both sides.
 *
 * A handler throws it to end a call with a status; a client's promise or iterator rejects with it, whatever went wrong.
 * `message` starts with the code in brackets, so that a bare log line is useful; `text` is what crosses the wire.
 *
 * @throws TypeError for a code that is none of {@link Code}: peers would hear of something else; for metadata and details that can't be sent
 */
export class RpcError extends Error {
  override readonly name: string = "RpcError";
  readonly code: Code;
  /** The message without the code: grpc-message on the wire. */
  readonly text: string;
  readonly origin: "local" | "remote";
  readonly reason: RpcErrorReason | undefined;
  readonly details: readonly ErrorDetail[];
  method: string | undefined;
  instance: string | undefined;
  attempt: number;
  sent: boolean;
  #metadata: Metadata | undefined;

  constructor(code: Code, text: string, options: RpcErrorOptions = {}) {
    if (toCode(code) !== code) throw wrongCode(code);
    super(`[${codeName(code)}] ${text}`, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    // What was thrown elsewhere may have no message; that must not hide this error.
    this.text = String(text);
    this.origin = options.origin ?? "local";
    this.reason = options.reason;
    this.details = options.details === undefined ? NO_DETAILS : checkedDetails(options.details);
    this.method = options.method;
    this.instance = options.instance;
    this.attempt = options.attempt ?? 0;
    this.sent = options.sent ?? this.origin === "remote";
    const { metadata } = options;
    this.#metadata = metadata === undefined || metadata instanceof Metadata ? metadata : new Metadata(metadata);
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** Trailers of the call: what a server sends beside the status, what a client received. Empty until used. */
  get metadata(): Metadata {
    this.#metadata ??= new Metadata();
    return this.#metadata;
  }

  /** The trailers if there are any; spares making an empty object. */
  get metadataIfAny(): Metadata | undefined {
    return this.#metadata;
  }

  /** True for an RpcError of this or another copy of the package. */
  static is(value: unknown): value is RpcError {
    return typeof value === "object" && value !== null && BRAND in value;
  }

  /** The value itself if it is an RpcError; an AbortError becomes CANCELLED, anything else UNKNOWN with `value` as cause. */
  static from(value: unknown): RpcError {
    // A call writes on its error what it belongs to.
    if (RpcError.is(value)) return Object.isFrozen(value) ? new RpcError(value.code, value.text, value) : value;
    if (value instanceof Error && (value.name === "AbortError" || value.name === "TimeoutError")) {
      return new RpcError(Code.CANCELLED, value.message, { cause: value, reason: "cancelled" });
    }
    const text = value instanceof Error ? value.message : textOf(value);
    return new RpcError(Code.UNKNOWN, text, { cause: value, reason: "handler" });
  }
}

/** Whatever was thrown as text: objects without a prototype have none. */
function textOf(value: unknown): string {
  try {
    return String(value);
  } catch {
    return "something that can't be shown was thrown";
  }
}

function wrongCode(code: unknown): TypeError {
  const shown = typeof code === "string" ? JSON.stringify(code) : String(code);
  return new TypeError(`RpcError: the code is ${shown}; give a number from 0 to 16, such as Code.NOT_FOUND`);
}

/** A message of protobuf looks like a detail to who does not know that it must be encoded. */
function checkedDetails(details: readonly ErrorDetail[]): readonly ErrorDetail[] {
  const make = "make details with errorDetail(Schema, …) or badRequest(…) of bowline/grpc/error-details";
  if (!Array.isArray(details)) throw new TypeError(`RpcError: details is no array; ${make}`);
  for (const [index, detail] of details.entries()) {
    const { typeUrl, value } = (detail ?? {}) as Partial<ErrorDetail>;
    if (typeof typeUrl === "string" && value instanceof Uint8Array) continue;
    throw new TypeError(`RpcError: details[${index}] is no { typeUrl: string, value: Uint8Array }; ${make}`);
  }
  return details;
}
