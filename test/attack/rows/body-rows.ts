import { brotliCompressSync, constants, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { grpcMessage, type HeaderList, rawData, rawHeaders } from "bowline/testing";
import { ECHO_REQUEST, type Place, type Provocation, type ProvocationRow, withBody } from "../provocation.ts";

function begun(more: (id: number) => readonly Buffer[]): (place: Place) => Buffer[] {
  return ({ id, fields }) => [rawHeaders(id, fields), ...more(id)];
}

/** A call whose body is just this. */
function carrying(...pieces: readonly Buffer[]): (place: Place) => Buffer[] {
  return (place) => withBody(place, Buffer.concat(pieces));
}

function times(count: number, make: (i: number) => Buffer): Buffer[] {
  return Array.from({ length: count }, (_, i) => make(i));
}

function grpcHead(bytes: number, flag = 0): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flag;
  head.writeUInt32BE(bytes, 1);
  return head;
}

const MALFORMED = { resets: "PROTOCOL_ERROR" } as const;
const withLength =
  (length: string, ...data: Buffer[]) =>
  ({ id, fields }: Place): Buffer[] => [
    rawHeaders(id, [...fields, ["content-length", length]]),
    ...data.map((bytes, i) => rawData(id, bytes, { end: i === data.length - 1 })),
  ];

const row20: ProvocationRow = {
  row: 20,
  title: "body that contradicts content-length or the end of the stream (CVE-2021-21295)",
  required: "reset, never two meanings",
  provocations: [
    {
      what: "more than content-length",
      frames: ({ id, fields }) => [rawHeaders(id, [...fields, ["content-length", "3"]]), rawData(id, ECHO_REQUEST)],
      outcome: MALFORMED,
    },
    { what: "less than content-length", frames: withLength("100", ECHO_REQUEST), outcome: MALFORMED },
    {
      what: "two content-lengths",
      frames: ({ id, fields }) => [rawHeaders(id, [...fields, ["content-length", "8"], ["content-length", "9"]])],
      outcome: MALFORMED,
    },
    { what: "a content-length that is no number", frames: withLength("8x"), outcome: MALFORMED },
    {
      what: "content-length with END_STREAM",
      frames: ({ id, fields }) => [rawHeaders(id, [...fields, ["content-length", "8"]], { end: true })],
      outcome: MALFORMED,
    },
    {
      what: "DATA after END_STREAM",
      frames: ({ id, fields }) => [
        rawHeaders(id, fields),
        rawData(id, ECHO_REQUEST.subarray(0, 2), { end: true }),
        rawData(id, ECHO_REQUEST, { end: true }),
      ],
      outcome: { status: 13 },
      role: "server",
    },
  ],
};

const TOO_LARGE = { status: 8, counts: "maxReceiveBytes" } as const;
const INTERNAL = 13;
const BROKEN = { status: INTERNAL, counts: "malformed-message" } as const;
const UNDECODABLE = { status: INTERNAL, counts: "undecodable-message" } as const;

const row21: ProvocationRow = {
  row: 21,
  title: "lying message lengths and flags (CVE-2024-37168)",
  required: "judged at the prefix, before anything is buffered",
  provocations: [
    {
      what: "a message of 4 GiB announced",
      frames: begun((id) => [rawData(id, grpcHead(0xffffffff))]),
      outcome: TOO_LARGE,
    },
    {
      what: "one byte above the limit announced",
      frames: begun((id) => [rawData(id, grpcHead(4 * 2 ** 20 + 1))]),
      outcome: TOO_LARGE,
    },
    { what: "flag 2", frames: carrying(grpcHead(1, 2), Buffer.of(0)), outcome: BROKEN },
    { what: "flag 255", frames: carrying(grpcHead(1, 255), Buffer.of(0)), outcome: BROKEN },
    {
      what: "compressed without an encoding",
      frames: carrying(grpcHead(1, 1), Buffer.of(0)),
      outcome: BROKEN,
    },
    {
      what: "a prefix in five frames",
      frames: begun((id) =>
        [...ECHO_REQUEST].map((byte, i) => rawData(id, Buffer.of(byte), { end: i === ECHO_REQUEST.length - 1 })),
      ),
      outcome: { status: 0 },
      role: "server",
    },
    { what: "a message that is cut", frames: carrying(ECHO_REQUEST.subarray(0, 6)), outcome: BROKEN },
    {
      what: "two messages for one",
      frames: carrying(ECHO_REQUEST, ECHO_REQUEST),
      outcome: { status: 12, counts: "malformed-message" },
    },
  ],
};

/** 16 MiB of zeros. */
const ZEROS = Buffer.alloc(16 * 2 ** 20);
const GZIP: HeaderList = [["grpc-encoding", "gzip"]];

/** 1,000 times smaller or more; made when first asked for, as that takes a while. */
const bombs: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
  gzip: gzipSync,
  deflate: deflateSync,
  // These with the largest window that decoders must take. The best quality of br would take this process ten seconds.
  br: (bytes) =>
    brotliCompressSync(bytes, {
      params: { [constants.BROTLI_PARAM_QUALITY]: 3, [constants.BROTLI_PARAM_LGWIN]: 24 },
    }),
  zstd: (bytes) => zstdCompressSync(bytes, { params: { [constants.ZSTD_c_windowLog]: 23 } }),
};
const made = new Map<string, Buffer>();

function bomb(encoding: string): Buffer {
  const known = made.get(encoding) ?? bombs[encoding](ZEROS);
  made.set(encoding, known);
  return known;
}

/** A call or an answer of one message that inflates to 16 MiB. */
export function bombFrames(place: Place, encoding: string): Buffer[] {
  return withBody(place, grpcMessage(bomb(encoding), true), [["grpc-encoding", encoding]]);
}

/** A call or an answer of one message as it should be, compressed. */
export function honestFrames(place: Place, encoding: string): Buffer[] {
  return withBody(place, grpcMessage(bombs[encoding](ECHO_REQUEST.subarray(5)), true), [["grpc-encoding", encoding]]);
}

const row22: ProvocationRow = {
  row: 22,
  title: "compression bombs of all encodings, 1,000:1 and more",
  required: "inflation stops at the limit of a message: RESOURCE_EXHAUSTED",
  provocations: [
    ...Object.keys(bombs).map(
      (encoding): Provocation => ({
        what: `16 MiB in ${encoding}`,
        frames: (place) => bombFrames(place, encoding),
        outcome: TOO_LARGE,
      }),
    ),
    ...Object.keys(bombs).map(
      (encoding): Provocation => ({
        what: `16 MiB in ${encoding}, as one message of a stream`,
        frames: (place) => bombFrames(place, encoding),
        outcome: TOO_LARGE,
        method: "ClientStream",
        role: "server",
      }),
    ),
    {
      what: "gzip that is none",
      frames: (place) => withBody(place, grpcMessage(Buffer.alloc(100, 7), true), GZIP),
      outcome: UNDECODABLE,
    },
  ],
};

/** A tag (wire type 3: a group begins) of field 100. */
const GROUP = Buffer.of(0xa3, 0x06);

const row23: ProvocationRow = {
  row: 23,
  title: "protobuf bombs (CVE-2024-7254, CVE-2026-55407)",
  required: "depth 100; refused or decoded, never a crash",
  provocations: [
    protobuf("5,000 nested groups without end", Buffer.concat(times(5000, () => GROUP)), UNDECODABLE),
    protobuf("a varint of 11 octets", Buffer.from([0x10, ...new Array<number>(10).fill(0xff), 1]), UNDECODABLE),
    protobuf("a length beyond the message", Buffer.of(0x0a, 0xff, 0xff, 0x03), UNDECODABLE),
    protobuf("a field number of 0", Buffer.of(0, 1), UNDECODABLE),
    protobuf("an end of a group that never began", Buffer.of(0xa4, 0x06), UNDECODABLE),
    protobuf("5,000 unknown fields", Buffer.concat(times(5000, (i) => Buffer.of(0xa0, 0x06, i & 0x7f))), { status: 0 }),
    {
      what: "JSON that is nested 100,000 deep",
      frames: (place) => withJson(place, `{"payload":${"[".repeat(100_000)}`),
      outcome: UNDECODABLE,
      role: "server",
    },
    {
      what: "JSON that is nested 5,000 deep in unknown fields",
      frames: (place) => withJson(place, `{"x":${'{"x":'.repeat(5000)}1${"}".repeat(5000)}}`),
      outcome: { status: 0 },
      role: "server",
    },
    {
      what: "JSON with 1e308 for a uint32",
      frames: (place) => withJson(place, '{"count":1e308}'),
      method: "ServerStream",
      outcome: UNDECODABLE,
      role: "server",
    },
    {
      what: "JSON with a key twice",
      frames: (place) => withJson(place, '{"payload":"AA==","payload":"AAAA"}'),
      outcome: UNDECODABLE,
      role: "server",
    },
    {
      ...protobuf("3,000 keys of a map, __proto__ among them", Buffer.concat(times(3000, mapEntry)), { status: 0 }),
      method: "Headers",
      role: "server",
    },
  ],
};

function mapEntry(i: number): Buffer {
  const key = Buffer.from(i % 2 === 0 ? "__proto__" : "constructor");
  return Buffer.concat([Buffer.of(0x1a, key.length + 2, 0x0a, key.length), key]);
}

/** A call in ProtoJSON. */
function withJson(place: Place, json: string): Buffer[] {
  const fields = place.fields.map(([name, value]) => [name, name === "content-type" ? JSON_TYPE : value] as const);
  return withBody({ ...place, fields }, grpcMessage(Buffer.from(json)));
}

const JSON_TYPE = "application/grpc+json";

function protobuf(what: string, bytes: Buffer, outcome: Provocation["outcome"]): Provocation {
  return { what, frames: (place) => withBody(place, grpcMessage(bytes)), outcome };
}

/** Rows about what DATA carry. */
export const bodyRows: readonly ProvocationRow[] = [row20, row21, row22, row23];
