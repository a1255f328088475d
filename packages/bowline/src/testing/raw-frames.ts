import { encodeLiterals, type HeaderList } from "./raw-hpack.ts";

/** What a client says first (RFC 9113 section 3.4). */
export const PREFACE: Buffer = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

const FRAME_NAMES = [
  "DATA",
  "HEADERS",
  "PRIORITY",
  "RST_STREAM",
  "SETTINGS",
  "PUSH_PROMISE",
  "PING",
  "GOAWAY",
  "WINDOW_UPDATE",
  "CONTINUATION",
] as const;

/** Frame types of RFC 9113 section 6; `UNKNOWN` is any other. */
export type RawFrameName = (typeof FRAME_NAMES)[number] | "UNKNOWN";

/** Flags of frames; `END_STREAM` and `ACK` are one bit. */
export const RawFlag = { END_STREAM: 0x1, ACK: 0x1, END_HEADERS: 0x4, PADDED: 0x8, PRIORITY: 0x20 } as const;

/** Identifiers of settings (RFC 9113 section 6.5.2). */
export const RawSetting = {
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
} as const;

/** The name of a frame type on the wire. */
export function rawFrameName(type: number): RawFrameName {
  return FRAME_NAMES[type] ?? "UNKNOWN";
}

/** A frame with whatever is given: nothing is checked, `length` may be told to lie. */
export function rawFrame(
  type: RawFrameName | number,
  flags: number,
  streamId: number,
  payload: Uint8Array = Buffer.alloc(0),
  length: number = payload.length,
): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(length, 0, 3);
  header[3] = typeof type === "number" ? type : FRAME_NAMES.indexOf(type as (typeof FRAME_NAMES)[number]) & 0xff;
  header[4] = flags;
  header.writeUInt32BE(streamId >>> 0, 5);
  return Buffer.concat([header, payload]);
}

/** What HEADERS may say beside its fields. */
export interface RawHeadersOptions {
  /** END_STREAM. Default false. */
  readonly end?: boolean;
  /** END_HEADERS. Default true; false wants a `continuation`. */
  readonly endHeaders?: boolean;
  /** Bytes of padding; PADDED is set when given. */
  readonly padding?: number;
  /** The priority fields; PRIORITY is set when given. `weight` 1 to 256, default 16. */
  readonly priority?: { readonly dependsOn: number; readonly exclusive?: boolean; readonly weight?: number };
}

/** HEADERS with literal fields, or with a block given as bytes. */
export function rawHeaders(streamId: number, fields: HeaderList | Uint8Array, options: RawHeadersOptions = {}): Buffer {
  const { end = false, endHeaders = true, padding, priority } = options;
  const parts: Uint8Array[] = [];
  if (padding !== undefined) parts.push(Buffer.of(padding));
  if (priority !== undefined) parts.push(priorityFields(priority));
  parts.push(fields instanceof Uint8Array ? fields : encodeLiterals(fields));
  if (padding !== undefined) parts.push(Buffer.alloc(padding));
  const flags =
    (end ? RawFlag.END_STREAM : 0) |
    (endHeaders ? RawFlag.END_HEADERS : 0) |
    (padding === undefined ? 0 : RawFlag.PADDED) |
    (priority === undefined ? 0 : RawFlag.PRIORITY);
  return rawFrame("HEADERS", flags, streamId, Buffer.concat(parts));
}

function priorityFields(priority: NonNullable<RawHeadersOptions["priority"]>): Buffer {
  const fields = Buffer.alloc(5);
  fields.writeUInt32BE((priority.dependsOn | (priority.exclusive ? 0x80000000 : 0)) >>> 0, 0);
  fields[4] = (priority.weight ?? 16) - 1;
  return fields;
}

/** CONTINUATION; `endHeaders` default true. */
export function rawContinuation(streamId: number, block: HeaderList | Uint8Array, endHeaders: boolean = true): Buffer {
  const payload = block instanceof Uint8Array ? block : encodeLiterals(block);
  return rawFrame("CONTINUATION", endHeaders ? RawFlag.END_HEADERS : 0, streamId, payload);
}

/** DATA; padded when `padding` is given. */
export function rawData(
  streamId: number,
  bytes: Uint8Array,
  options: { readonly end?: boolean; readonly padding?: number } = {},
): Buffer {
  const end = options.end ? RawFlag.END_STREAM : 0;
  if (options.padding === undefined) return rawFrame("DATA", end, streamId, bytes);
  const payload = Buffer.concat([Buffer.of(options.padding), bytes, Buffer.alloc(options.padding)]);
  return rawFrame("DATA", end | RawFlag.PADDED, streamId, payload);
}

/** SETTINGS with pairs of identifier ({@link RawSetting}) and value, in order. */
export function rawSettings(pairs: readonly (readonly [id: number, value: number])[] = []): Buffer {
  const payload = Buffer.alloc(pairs.length * 6);
  pairs.forEach(([id, value], index) => {
    payload.writeUInt16BE(id, index * 6);
    payload.writeUInt32BE(value >>> 0, index * 6 + 2);
  });
  return rawFrame("SETTINGS", 0, 0, payload);
}

/** RST_STREAM. */
export function rawReset(streamId: number, code: number): Buffer {
  return rawFrame("RST_STREAM", 0, streamId, uint32(code));
}

/** PING with 8 bytes, or its acknowledgement. */
export function rawPing(opaque: Uint8Array = Buffer.alloc(8), isAck: boolean = false): Buffer {
  return rawFrame("PING", isAck ? RawFlag.ACK : 0, 0, opaque);
}

/** GOAWAY. */
export function rawGoaway(lastStreamId: number, code: number, debug: string = ""): Buffer {
  return rawFrame("GOAWAY", 0, 0, Buffer.concat([uint32(lastStreamId), uint32(code), Buffer.from(debug)]));
}

/** WINDOW_UPDATE; stream 0 = the connection. */
export function rawWindowUpdate(streamId: number, increment: number): Buffer {
  return rawFrame("WINDOW_UPDATE", 0, streamId, uint32(increment));
}

/** A gRPC message behind its 5-byte prefix. */
export function grpcMessage(bytes: Uint8Array, isCompressed: boolean = false): Buffer {
  return Buffer.concat([Buffer.of(isCompressed ? 1 : 0), uint32(bytes.length), bytes]);
}

/** The fields that a gRPC request begins with; `more` go behind them. */
export function grpcRequestFields(path: string, more: HeaderList = []): HeaderList {
  return [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "raw-peer"],
    ["te", "trailers"],
    ["content-type", "application/grpc"],
    ...more,
  ];
}

/** The fields that a gRPC response begins with; `more` go behind them. */
export function grpcResponseFields(more: HeaderList = []): HeaderList {
  return [[":status", "200"], ["content-type", "application/grpc"], ...more];
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0, 0);
  return bytes;
}
