import { FieldMode, fieldBound, type HpackEncoder } from "../../http2/hpack/encoder.ts";
import { FIELD_OVERHEAD_BYTES } from "../../http2/hpack/header-block.ts";
import { type BlockWriter, PreparedBlock, VaryingName } from "../../http2/hpack/prepared-block.ts";
import type { Metadata } from "../../rpc/metadata.ts";
import { type SpanIds, TRACEPARENT_BYTES, writeSpan } from "../../rpc/trace-context.ts";
import { metadataFields } from "./metadata-headers.ts";
import { timeoutBound, writeTimeout } from "./timeout.ts";

const TIMEOUT = new VaryingName(0, "grpc-timeout", timeoutBound);
const TRACEPARENT = new VaryingName(1, "traceparent", TRACEPARENT_BYTES);
/** Values of these never enter a table, here or further on (RFC 7541 §7.1.3). */
const SECRET: ReadonlySet<string> = new Set(["authorization", "cookie", "proxy-authorization"]);

/** What a channel's requests have in common. */
export interface RequestConstants {
  /** `http` or `https`. */
  readonly scheme: string;
  readonly authority: string;
  readonly userAgent: string;
  /** `grpc-accept-encoding`; empty for none. */
  readonly acceptEncoding: string;
  /** `grpc-encoding` of our messages; empty for identity. */
  readonly encoding: string;
}

/**
 * The headers of a method's requests: a constant run, prepared once a connection, and behind it what differs in each call.
 */
export class RequestHeaders {
  /** Most octets that `write` needs. */
  readonly maxBytes: number;
  readonly #constant: PreparedBlock;
  /** The same with another encoding. */
  readonly #inEncoding: (encoding: string) => RequestHeaders;
  /** Those that were asked for, by encoding. */
  #variants: Map<string, RequestHeaders> | null = null;

  /** `nextSlot` numbers the blocks of all that use one connection: 0, 1, 2, … */
  constructor(nextSlot: () => number, path: string, subtype: string, constants: RequestConstants) {
    const fields: (readonly [string, string])[] = [
      [":method", "POST"],
      [":scheme", constants.scheme],
      [":path", path],
      [":authority", constants.authority],
      ["te", "trailers"],
      ["content-type", `application/grpc+${subtype}`],
      ["user-agent", constants.userAgent],
    ];
    if (constants.acceptEncoding !== "") fields.push(["grpc-accept-encoding", constants.acceptEncoding]);
    if (constants.encoding !== "") fields.push(["grpc-encoding", constants.encoding]);
    this.#constant = new PreparedBlock(nextSlot(), fields);
    this.#inEncoding = (encoding) => {
      if (encoding === constants.encoding) return this;
      return new RequestHeaders(nextSlot, path, subtype, { ...constants, encoding });
    };
    this.maxBytes = this.#constant.maxBytes + TIMEOUT.maxBytes + TRACEPARENT.maxBytes;
  }

  /** The headers of requests whose `grpc-encoding` is another one, empty for none; made once. Only for names of known compressions. */
  withEncoding(encoding: string): RequestHeaders {
    this.#variants ??= new Map();
    let headers = this.#variants.get(encoding);
    if (headers === undefined) {
      headers = this.#inEncoding(encoding);
      this.#variants.set(encoding, headers);
    }
    return headers;
  }

  /** Starts a request's block: deadline unless `timeoutMs` is negative, trace unless `span` has no ids. */
  write(writer: BlockWriter, target: Buffer, at: number, timeoutMs: number, span: SpanIds): number {
    let to = writer.block(this.#constant, target, at);
    if (timeoutMs >= 0) to = writeTimeout(target, writer.name(TIMEOUT, target, to), timeoutMs);
    if ((span.spanA | span.spanB) !== 0) {
      to = writer.name(TRACEPARENT, target, to);
      target[to] = TRACEPARENT_BYTES;
      to = writeSpan(target, to + 1, span);
    }
    return to;
  }
}

/** What metadata count for in a header list (RFC 9113 §6.5.2). */
export function metadataListBytes(metadata: Metadata | null): number {
  if (metadata === null) return 0;
  let bytes = 0;
  for (const [name, value] of metadata) {
    bytes += name.length + FIELD_OVERHEAD_BYTES;
    bytes += typeof value === "string" ? value.length : Math.ceil((value.length * 4) / 3);
  }
  return bytes;
}

/** Most octets that `writeMetadata` needs. */
export function metadataBound(metadata: Metadata | null): number {
  if (metadata === null) return 0;
  let bytes = 0;
  for (const [name, value] of metadata) {
    bytes += fieldBound(name, "") + (typeof value === "string" ? value.length : Math.ceil((value.length * 4) / 3));
  }
  return bytes;
}

/** Adds metadata to a block. Its values vary from call to call, so none enters the table. */
export function writeMetadata(encoder: HpackEncoder, target: Buffer, at: number, metadata: Metadata): number {
  let to = at;
  for (const [name, value] of metadataFields(metadata)) {
    to = encoder.field(target, to, name, value, SECRET.has(name) ? FieldMode.NEVER : FieldMode.PLAIN);
  }
  return to;
}

/** Adds plain fields to a block. */
export function writeFields(
  encoder: HpackEncoder,
  target: Buffer,
  at: number,
  fields: readonly (readonly [string, string])[],
): number {
  let to = at;
  for (const [name, value] of fields) to = encoder.field(target, to, name, value, FieldMode.PLAIN);
  return to;
}

/** Most octets that `writeFields` needs. */
export function fieldsBound(fields: readonly (readonly [string, string])[]): number {
  let bytes = 0;
  for (const [name, value] of fields) bytes += fieldBound(name, value);
  return bytes;
}
