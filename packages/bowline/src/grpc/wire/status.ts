import { ErrorCode, errorCodeName, MAX_INT31 } from "../../http2/frames.ts";
import { FIELD_OVERHEAD_BYTES } from "../../http2/hpack/header-block.ts";
import { Code, toCode } from "../../rpc/code.ts";
import type { Metadata } from "../../rpc/metadata.ts";
import { type ErrorDetail, RpcError } from "../../rpc/rpc-error.ts";
import { decodeBase64, decodeMessage, encodeBase64, encodeMessage } from "./metadata-headers.ts";

/**
 * The end of a call: trailers to RpcError and back (gRPC PROTOCOL-HTTP2.md, "Trailers"), and RST_STREAM to RpcError.
 */

/** Bytes that the fields of a status may take together whatever the peer accepts, and its text at most. */
export const DEFAULT_STATUS_BYTES = 8192;

/** Fields of our own beside metadata and status, as RFC 9113 §6.5.2 counts them: `:status`, `content-type`, encodings. */
const OWN_FIELDS_BYTES = 512;
const DETAILS = "grpc-status-details-bin";
const STATUS = /^(?:0|[1-9][0-9]*)$/;
/** Characters of a peer's bad value that an error shows. */
const MAX_SHOWN = 40;
/** Stands for what was cut off. */
const CUT_MARK = "...";

/**
 * The error that trailers tell of; null for OK.
 *
 * `grpcStatus`, `grpcMessage` and `grpcDetails` are the values as they came. A status that is missing or no number
 * makes UNKNOWN with a text that says so (reason `protocol`); a number without a name is UNKNOWN with the peer's text.
 * Details that can't be read, or that belong to another code, are dropped and the error kept. Where details carry a
 * message of their own it counts, as with grpc-go: it is never cut off.
 */
export function statusError(
  grpcStatus: string | undefined,
  grpcMessage: string | undefined,
  grpcDetails: string | undefined,
  metadata?: () => Metadata,
): RpcError | null {
  if (grpcStatus === "0") return null;
  let text = decodeMessage(grpcMessage ?? "");
  const options = { origin: "remote", metadata: metadata?.() } as const;
  if (grpcStatus === undefined || !STATUS.test(grpcStatus)) {
    const what =
      grpcStatus === undefined ? "no grpc-status" : `the grpc-status ${JSON.stringify(grpcStatus.slice(0, MAX_SHOWN))}`;
    text = `the peer ended the call with ${what}${text === "" ? "" : `: ${text}`}`;
    return new RpcError(Code.UNKNOWN, text, { ...options, reason: "protocol" });
  }
  const number = Number(grpcStatus);
  const code = toCode(number);
  if (number !== code)
    text += `${text === "" ? "" : " "}(grpc-status ${grpcStatus.slice(0, MAX_SHOWN)} is not defined)`;
  const bytes = grpcDetails === undefined ? null : decodeBase64(grpcDetails);
  const status = bytes === null ? null : decodeStatus(bytes);
  if (status === null || status.code !== number) return new RpcError(code, text, options);
  return new RpcError(code, status.message === "" ? text : status.message, { ...options, details: status.details });
}

/**
 * Bytes for metadata and status in a header block to a peer that accepts lists of `maxListBytes` (its SETTINGS_MAX_HEADER_LIST_SIZE,
 * 2^31 - 1 if it has not said).
 */
export function listRoom(maxListBytes: number): number {
  return Math.max(0, maxListBytes - OWN_FIELDS_BYTES);
}

/**
 * Bytes for the fields of a status that goes to such a peer together with `metadataBytes` of metadata. Of large lists half is used: gRPC's C
 * core announces the bound beyond which it refuses for certain, and may refuse from half of it on.
 */
export function statusRoom(maxListBytes: number, metadataBytes: number): number {
  if (maxListBytes === MAX_INT31) return DEFAULT_STATUS_BYTES;
  const room = Math.max(0, listRoom(maxListBytes) - metadataBytes);
  return Math.min(room, Math.max(DEFAULT_STATUS_BYTES, room >> 1));
}

/** Bytes that code and text of `error` take, cut to `maxBytes`. */
export function statusTextBytes(error: RpcError | null, maxBytes: number): number {
  return listBytes(textFields(error, maxBytes));
}

/**
 * The fields that tell a peer of `error` (null: OK): `grpc-status`, `grpc-message`, `grpc-status-details-bin`.
 *
 * They take at most `maxBytes` by the count of RFC 9113 §6.5.2. If they would take more, the details are left out, all
 * of them; a text that is still too long is cut. grpc-go resets the stream instead, and code and text are lost with the
 * details.
 */
export function statusFields(error: RpcError | null, maxBytes: number = DEFAULT_STATUS_BYTES): [string, string][] {
  const fields = textFields(error, maxBytes);
  if (error === null || error.code === Code.OK || error.details.length === 0) return fields;
  const details = encodeBase64(encodeStatus({ code: error.code, message: error.text, details: error.details }));
  if (listBytes(fields) + fieldBytes(DETAILS, details) <= maxBytes) fields.push([DETAILS, details]);
  return fields;
}

/** Code and text. */
function textFields(error: RpcError | null, maxBytes: number): [string, string][] {
  if (error === null || error.code === Code.OK) return [["grpc-status", "0"]];
  const fields: [string, string][] = [["grpc-status", String(error.code)]];
  if (error.text === "") return fields;
  const most = Math.min(maxBytes, DEFAULT_STATUS_BYTES);
  const left = most - fieldBytes("grpc-status", fields[0][1]) - fieldBytes("grpc-message", "");
  fields.push(["grpc-message", cutMessage(error.text, Math.max(0, left))]);
  return fields;
}

function listBytes(fields: readonly (readonly [string, string])[]): number {
  return fields.reduce((bytes, [name, value]) => bytes + fieldBytes(name, value), 0);
}

function fieldBytes(name: string, value: string): number {
  return name.length + value.length + FIELD_OVERHEAD_BYTES;
}

/** The encoded text, of at most `maxBytes`, cut between characters. */
function cutMessage(text: string, maxBytes: number): string {
  // A character takes at least one byte, so what is cut here would not fit anyhow.
  const whole = encodeMessage(text.slice(0, maxBytes + 1));
  if (whole.length <= maxBytes) return whole;
  let kept = "";
  let bytes = CUT_MARK.length;
  for (const character of text) {
    // A space is counted as if it came last.
    bytes += encodeMessage(character).length;
    if (bytes > maxBytes) break;
    kept += character;
  }
  return encodeMessage(kept + CUT_MARK).slice(0, Math.max(0, maxBytes));
}

/** google.rpc.Status. */
export interface StatusMessage {
  readonly code: number;
  readonly message: string;
  readonly details: readonly ErrorDetail[];
}

/**
 * Encodes a google.rpc.Status (google/rpc/status.proto); written by hand, so that no schema is loaded for the rare
 * error with details.
 */
export function encodeStatus(status: StatusMessage): Uint8Array {
  const parts: Uint8Array[] = [];
  if (status.code !== 0) parts.push(Uint8Array.of(0x08, ...varint(status.code)));
  if (status.message !== "") parts.push(bytesField(0x12, Buffer.from(status.message, "utf8")));
  for (const { typeUrl, value } of status.details) {
    const any: Uint8Array[] = [];
    if (typeUrl !== "") any.push(bytesField(0x0a, Buffer.from(typeUrl, "utf8")));
    if (value.length > 0) any.push(bytesField(0x12, value));
    parts.push(bytesField(0x1a, Buffer.concat(any)));
  }
  return Buffer.concat(parts);
}

function bytesField(tag: number, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(tag, ...varint(bytes.length)), bytes]);
}

/** A number from 0 to 2^32 - 1. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return bytes;
}

/**
 * Decodes a google.rpc.Status, skipping fields that it does not know; null when it is malformed. The values share no
 * memory with `bytes`.
 */
export function decodeStatus(bytes: Uint8Array): StatusMessage | null {
  const status = { code: 0, message: "", details: [] as ErrorDetail[] };
  const isWhole = readFields(bytes, (tag, value) => {
    if (tag === 0x08) status.code = value as number;
    else if (tag === 0x12) status.message = utf8(value as Uint8Array);
    else if (tag === 0x1a) {
      const detail = decodeAny(value as Uint8Array);
      if (detail === null) return false;
      status.details.push(detail);
    }
    return true;
  });
  return isWhole ? status : null;
}

/** google.protobuf.Any. */
function decodeAny(bytes: Uint8Array): ErrorDetail | null {
  const any = { typeUrl: "", value: new Uint8Array(0) };
  const isWhole = readFields(bytes, (tag, value) => {
    if (tag === 0x0a) any.typeUrl = utf8(value as Uint8Array);
    else if (tag === 0x12) any.value = new Uint8Array(value as Uint8Array);
    return true;
  });
  return isWhole ? any : null;
}

function utf8(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}

/**
 * Calls `field` with tag and value of each field outside groups: an int32 for varints, bytes for the length-delimited,
 * undefined for others. False when the bytes are malformed or `field` says so.
 */
function readFields(
  bytes: Uint8Array,
  field: (tag: number, value: number | Uint8Array | undefined) => boolean,
): boolean {
  const reader = new WireReader(bytes);
  let depth = 0;
  while (reader.at < bytes.length) {
    const tag = reader.varint();
    const number = tag >>> 3;
    let value: number | Uint8Array | undefined;
    switch (tag & 7) {
      case 0:
        value = reader.varint() | 0;
        break;
      case 1:
        reader.take(8);
        break;
      case 2:
        value = reader.take(reader.varint());
        break;
      case 3:
        depth++;
        break;
      case 4:
        depth--;
        break;
      case 5:
        reader.take(4);
        break;
      default:
        return false;
    }
    if (reader.isBroken || number === 0 || depth < 0) return false;
    if (depth === 0 && !field(tag, value)) return false;
  }
  return depth === 0;
}

/** Reads the protobuf wire format; what runs over the end sets `isBroken`. */
class WireReader {
  at = 0;
  isBroken = false;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The low 32 bits of a varint. */
  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#bytes[this.at++];
      if (byte === undefined) break;
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    this.isBroken = true;
    return 0;
  }

  take(length: number): Uint8Array {
    const from = this.at;
    this.at += length;
    if (this.at > this.#bytes.length) this.isBroken = true;
    return this.#bytes.subarray(from, this.at);
  }
}

/**
 * The status of a call whose stream was reset with an HTTP/2 error code. Unknown codes are INTERNAL, as RFC 9113 §7
 * allows; codes that gRPC gives no status (STREAM_CLOSED, HTTP_1_1_REQUIRED) too, as in grpc-go. Source: gRPC
 * PROTOCOL-HTTP2.md, "Errors".
 */
export function resetToCode(code: number): Code {
  switch (code) {
    case ErrorCode.REFUSED_STREAM:
      return Code.UNAVAILABLE;
    case ErrorCode.CANCEL:
      return Code.CANCELLED;
    case ErrorCode.ENHANCE_YOUR_CALM:
      return Code.RESOURCE_EXHAUSTED;
    case ErrorCode.INADEQUATE_SECURITY:
      return Code.PERMISSION_DENIED;
    default:
      return Code.INTERNAL;
  }
}

/** What a reset means, where the code alone does not say it. */
const MEANINGS: Readonly<Record<number, string>> = {
  [ErrorCode.NO_ERROR]: "it ended the call without a status",
  [ErrorCode.REFUSED_STREAM]: "it did not process the call, which may be sent again",
  [ErrorCode.CANCEL]: "it cancelled the call",
  [ErrorCode.ENHANCE_YOUR_CALM]: "it takes no more of this side's traffic",
  [ErrorCode.INADEQUATE_SECURITY]: "the connection is not secure enough for the call",
  [ErrorCode.HTTP_1_1_REQUIRED]: "it wants HTTP/1.1 for this call",
};

/** What else is known of the end of a stream. */
export interface ResetCause {
  /** The bound of this side that was passed. */
  readonly limit?: string;
  /** Why the connection ended. */
  readonly connectionError?: Error;
}

/**
 * The error of a call whose stream has ended without trailers: lost with its connection (`connectionClosed`, whatever
 * the code), reset by the peer, or reset by this side because the peer broke HTTP/2 or passed a limit.
 */
export function resetError(code: number, byPeer: boolean, connectionClosed: boolean, cause: ResetCause = {}): RpcError {
  if (connectionClosed) {
    const { connectionError } = cause;
    const why = connectionError === undefined ? "" : `: ${connectionError.message}`;
    return new RpcError(Code.UNAVAILABLE, `the connection was lost before the call ended${why}`, {
      reason: "connection",
      cause: connectionError,
      sent: true,
    });
  }
  const name = errorCodeName(code);
  if (byPeer) {
    const meaning = MEANINGS[code];
    const text = `the peer reset the stream with ${name}${meaning === undefined ? "" : `: ${meaning}`}`;
    if (code === ErrorCode.REFUSED_STREAM) {
      return new RpcError(Code.UNAVAILABLE, text, { origin: "remote", reason: "refused", sent: false });
    }
    return new RpcError(resetToCode(code), text, { origin: "remote" });
  }
  if (code === ErrorCode.ENHANCE_YOUR_CALM) {
    const isStall = cause.limit === undefined || cause.limit === "stallTimeoutMs";
    const text = isStall
      ? "the peer did not read for too long (stallTimeoutMs)"
      : `the peer's headers are above ${cause.limit}`;
    return new RpcError(Code.RESOURCE_EXHAUSTED, text, { reason: "limit", sent: true });
  }
  return new RpcError(Code.INTERNAL, `the peer broke HTTP/2, so the stream was reset with ${name}`, {
    reason: "protocol",
    sent: true,
  });
}
