import { gzipSync } from "node:zlib";
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
      role: "server",
    },
    { what: "less than content-length", frames: withLength("100", ECHO_REQUEST), outcome: MALFORMED, role: "server" },
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
      role: "server",
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

const RESOURCE_EXHAUSTED = 8;
const INTERNAL = 13;

const row21: ProvocationRow = {
  row: 21,
  title: "lying message lengths and flags (CVE-2024-37168)",
  required: "judged at the prefix, before anything is buffered",
  provocations: [
    {
      what: "a message of 4 GiB announced",
      frames: begun((id) => [rawData(id, grpcHead(0xffffffff))]),
      outcome: { status: RESOURCE_EXHAUSTED },
    },
    {
      what: "one byte above the limit announced",
      frames: begun((id) => [rawData(id, grpcHead(4 * 2 ** 20 + 1))]),
      outcome: { status: RESOURCE_EXHAUSTED },
    },
    { what: "flag 2", frames: carrying(grpcHead(1, 2), Buffer.of(0)), outcome: { status: INTERNAL } },
    { what: "flag 255", frames: carrying(grpcHead(1, 255), Buffer.of(0)), outcome: { status: INTERNAL } },
    {
      what: "compressed without an encoding",
      frames: carrying(grpcHead(1, 1), Buffer.of(0)),
      outcome: { status: INTERNAL },
    },
    {
      what: "a prefix in five frames",
      frames: begun((id) =>
        [...ECHO_REQUEST].map((byte, i) => rawData(id, Buffer.of(byte), { end: i === ECHO_REQUEST.length - 1 })),
      ),
      outcome: { status: 0 },
      role: "server",
    },
    { what: "a message that is cut", frames: carrying(ECHO_REQUEST.subarray(0, 6)), outcome: { status: INTERNAL } },
    { what: "two messages for one", frames: carrying(ECHO_REQUEST, ECHO_REQUEST), outcome: { status: 12 } },
  ],
};

/** 64 MiB of zeros, 1,000 times smaller. */
const BOMB = gzipSync(Buffer.alloc(64 * 2 ** 20));
const GZIP: HeaderList = [["grpc-encoding", "gzip"]];

const row22: ProvocationRow = {
  row: 22,
  title: "compression bomb, 1,000:1",
  required: "inflation stops at the limit of a message: RESOURCE_EXHAUSTED",
  provocations: [
    {
      what: "64 MiB in 64 KiB of gzip",
      frames: (place) => withBody(place, grpcMessage(BOMB, true), GZIP),
      outcome: { status: RESOURCE_EXHAUSTED },
    },
    {
      what: "gzip that is none",
      frames: (place) => withBody(place, grpcMessage(Buffer.alloc(100, 7), true), GZIP),
      outcome: { status: INTERNAL },
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
    protobuf("5,000 nested groups without end", Buffer.concat(times(5000, () => GROUP)), { status: INTERNAL }),
    protobuf("a varint of 11 octets", Buffer.from([0x10, ...new Array<number>(10).fill(0xff), 1]), {
      status: INTERNAL,
    }),
    protobuf("a length beyond the message", Buffer.of(0x0a, 0xff, 0xff, 0x03), { status: INTERNAL }),
    protobuf("a field number of 0", Buffer.of(0, 1), { status: INTERNAL }),
    protobuf("an end of a group that never began", Buffer.of(0xa4, 0x06), { status: INTERNAL }),
    protobuf("5,000 unknown fields", Buffer.concat(times(5000, (i) => Buffer.of(0xa0, 0x06, i & 0x7f))), { status: 0 }),
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

function protobuf(what: string, bytes: Buffer, outcome: Provocation["outcome"]): Provocation {
  return { what, frames: (place) => withBody(place, grpcMessage(bytes)), outcome };
}

/** Rows about what DATA carry. */
export const bodyRows: readonly ProvocationRow[] = [row20, row21, row22, row23];
