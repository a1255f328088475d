import { encodeLiterals, type HeaderList, rawContinuation, rawHeaders } from "bowline/testing";
import { ECHO_REQUEST, type Place, type Provocation, type ProvocationRow, withBody } from "../provocation.ts";

/** A literal that enters the dynamic table (RFC 7541 section 6.2.1). */
export function inserted(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.of(0x40), encodeLiterals([[name, value]]).subarray(1)]);
}

/** HEADERS of the call's own fields and of raw octets behind them. */
function withBlock(...more: readonly Uint8Array[]): (place: Place) => Buffer[] {
  return ({ id, fields }) => [rawHeaders(id, Buffer.concat([encodeLiterals(fields), ...more]))];
}

/** HEADERS of the call's own fields and of others behind them. */
function withFields(...more: HeaderList): (place: Place) => Buffer[] {
  return withBlock(encodeLiterals(more));
}

/** HEADERS in which some of the call's own fields are left out or replaced. */
function replaced(change: (fields: HeaderList) => HeaderList): (place: Place) => Buffer[] {
  return ({ id, fields }) => [rawHeaders(id, change(fields))];
}

const NOTHING = Buffer.alloc(0);
/** Index of the newest entry of the dynamic table, in one octet. */
const NEWEST = 0xbe;
const CALM = "ENHANCE_YOUR_CALM";
const TOO_MANY = { resets: CALM, counts: "maxHeaderFields" } as const;
const TOO_LARGE = { resets: CALM, counts: "maxHeaderListBytes" } as const;

const continuationFlood =
  (octets: number, count: number) =>
  ({ id, fields }: Place): Buffer[] => [
    rawHeaders(id, fields, { endHeaders: false }),
    ...Array.from({ length: count }, () => rawContinuation(id, Buffer.alloc(octets, 0x82), false)),
  ];

const row3: ProvocationRow = {
  row: 3,
  title: "CONTINUATION flood (CVE-2024-27316)",
  required:
    "connection ended after at most 8 CONTINUATION or 16 KiB (a client: 64 KiB) without an end, whichever comes first",
  provocations: [
    {
      what: "9 empty CONTINUATION",
      frames: continuationFlood(0, 9),
      outcome: { ends: CALM, names: "maxContinuationFrames" },
    },
    {
      what: "9 CONTINUATION of 1 octet",
      frames: continuationFlood(1, 9),
      outcome: { ends: CALM, names: "maxContinuationFrames" },
    },
    {
      what: "CONTINUATION of 16 KiB",
      frames: continuationFlood(16_384, 1),
      outcome: { ends: CALM, names: "maxHeaderBlockBytes" },
      role: "server",
    },
    {
      what: "4 CONTINUATION of 16 KiB each",
      frames: continuationFlood(16_384, 4),
      outcome: { ends: CALM, names: "maxHeaderBlockBytes" },
      role: "client",
    },
    {
      what: "8 CONTINUATION of 2 KiB each",
      frames: continuationFlood(2048, 8),
      outcome: { ends: CALM, names: "maxHeaderBlockBytes" },
      role: "server",
    },
    {
      what: "8 CONTINUATION of 8 KiB each",
      frames: continuationFlood(8192, 8),
      outcome: { ends: CALM, names: "maxHeaderBlockBytes" },
      role: "client",
    },
    {
      what: "another frame inside a header block",
      frames: ({ id, fields }) => [rawHeaders(id, fields, { endHeaders: false }), rawHeaders(id + 2, fields)],
      outcome: { ends: "PROTOCOL_ERROR" },
    },
  ],
};

const row5: ProvocationRow = {
  row: 5,
  title: "HPACK bomb of one big value (CVE-2016-6581)",
  required: "stream reset at 16 KiB decoded or as it came, tables in step",
  provocations: [
    {
      what: "one value of 3,800 bytes referred to 16,000 times",
      frames: withBlock(inserted("bomb", "b".repeat(3800)), Buffer.alloc(16_000 - 4_500, NEWEST)),
      outcome: TOO_MANY,
    },
    {
      what: "one value of 3,800 bytes referred to 5 times",
      frames: withBlock(inserted("bomb", "b".repeat(3800)), Buffer.alloc(5, NEWEST)),
      outcome: TOO_LARGE,
    },
    { what: "a value that just fits into a frame", frames: fullFrame, outcome: TOO_LARGE },
    {
      what: "a value of 17 KiB",
      frames: splitBlock([["big", "b".repeat(17_000)]]),
      outcome: { resets: CALM, counts: "maxHeaderBlockBytes" },
    },
    {
      what: "a value of 60 KiB",
      frames: splitBlock([["big", "b".repeat(60_000)]]),
      outcome: { ends: CALM, names: "maxHeaderBlockBytes" },
      role: "server",
    },
    {
      what: "a value of 60 KiB",
      frames: splitBlock([["big", "b".repeat(60_000)]]),
      outcome: { resets: CALM, counts: "maxHeaderBlockBytes" },
      role: "client",
    },
    {
      what: "a value of 100 KiB",
      frames: splitBlock([["big", "b".repeat(100_000)]]),
      outcome: { ends: CALM, names: "maxHeaderBlockBytes" },
    },
  ],
};

/** A block of 16 KiB as it comes: with the 32 octets that count for each field it is more than 16 KiB decoded. */
function fullFrame({ id, fields }: Place): Buffer[] {
  const rest = encodeLiterals([...fields, ["big", ""]]).length;
  // The value's length takes two octets more than that of nothing.
  return [rawHeaders(id, encodeLiterals([...fields, ["big", "b".repeat(16_384 - rest - 2)]]))];
}

/** Blocks above a frame's 16 KiB go in CONTINUATION. */
function splitBlock(more: HeaderList): (place: Place) => Buffer[] {
  return ({ id, fields }) => {
    const block = encodeLiterals([...fields, ...more]);
    const frames = [rawHeaders(id, block.subarray(0, 16_000), { endHeaders: false })];
    for (let at = 16_000; at < block.length; at += 16_000) {
      frames.push(rawContinuation(id, block.subarray(at, at + 16_000), at + 16_000 >= block.length));
    }
    return frames;
  };
}

const badBlock = (what: string, ...octets: number[]): Provocation => ({
  what,
  frames: withBlock(Buffer.from(octets)),
  outcome: { ends: "COMPRESSION_ERROR" },
});

const row7: ProvocationRow = {
  row: 7,
  title: "HPACK integers without end, indexes that are none (CVE-2023-33953)",
  required: "COMPRESSION_ERROR before anything is allocated",
  provocations: [
    badBlock("an integer with 12,000 octets of zero padding", 0xff, ...new Array<number>(12_000).fill(0x80), 0),
    badBlock("an integer of 6 octets", 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f),
    badBlock("a string of 4 GiB", 0, 0x7f, 0x80, 0xff, 0xff, 0xff, 0x0f),
    badBlock("a string longer than its block", 0, 0x05, 0x61),
    badBlock("a table size above the setting", 0x3f, 0xe2, 0x1f),
    badBlock("index 0", 0x80),
    badBlock("an index out of range", 0xff, 0x20),
    badBlock("a Huffman string that ends within a code", 0, 0x81, 0x00, 0x81, 0xfc),
    badBlock("Huffman padding of more than 7 bits", 0, 0x01, 0x61, 0x82, 0x1f, 0xff),
    badBlock("Huffman padding of zeros", 0, 0x01, 0x61, 0x81, 0x18),
    badBlock("a Huffman string with EOS", 0, 0x01, 0x61, 0x84, 0xff, 0xff, 0xff, 0xff),
    badBlock("a table size update behind a field", 0x20),
    { what: "8,000 table size updates", frames: sizeUpdates, outcome: { ends: "COMPRESSION_ERROR" } },
  ],
};

/** A block may begin with two at most: the lowest size since the last block, and the present one (RFC 7541 section 4.2). */
function sizeUpdates({ id, fields }: Place): Buffer[] {
  return [rawHeaders(id, Buffer.concat([Buffer.alloc(8000, 0x20), encodeLiterals(fields)]))];
}

const row8: ProvocationRow = {
  row: 8,
  title: "tables out of step after a bad block (CVE-2023-32731)",
  required: "a refused block is decoded to its end: what it inserted is found by the next",
  provocations: [
    {
      what: "an entry that came behind 101 fields is used by another stream",
      role: "server",
      frames: ({ id, fields }) => [
        rawHeaders(id, Buffer.concat([Buffer.alloc(101, 0x82), inserted("grpc-encoding", "nonsense")]), { end: true }),
        rawHeaders(id + 2, Buffer.concat([encodeLiterals(fields), Buffer.of(NEWEST)]), { end: true }),
      ],
      outcome: TOO_MANY,
    },
    {
      what: "an entry that came in a malformed block is used by its successor",
      role: "client",
      frames: ({ id, fields }) => [
        rawHeaders(id, Buffer.concat([encodeLiterals(fields), inserted("kept", "value"), Buffer.alloc(100, NEWEST)])),
      ],
      outcome: TOO_MANY,
    },
  ],
};

const INTERNAL = 13;
const MALFORMED = { resets: "PROTOCOL_ERROR" } as const;

/** A whole call, with one more field in front. */
function carryingField(name: string, value: string): (place: Place) => Buffer[] {
  return (place) => withBody(place, ECHO_REQUEST, [[name, value]]);
}

/** A client leaves out of the metadata what can't be read, as nobody may ask for it. */
const BAD_BINARY = { outcome: { status: INTERNAL, counts: "malformed-metadata" }, atClient: { status: 0 } } as const;

const row9: ProvocationRow = {
  row: 9,
  title: "bad base64 in -bin, odd values (CVE-2023-32732)",
  required: "the call alone ends, never the connection or the process",
  provocations: [
    { what: "base64 with spaces", frames: carryingField("a-bin", "x y z"), ...BAD_BINARY },
    { what: "base64 with octets above 127", frames: carryingField("a-bin", "\xff\xfe"), ...BAD_BINARY },
    { what: "base64 of an impossible length", frames: carryingField("a-bin", "abcde"), ...BAD_BINARY },
    {
      what: "a content-type of 8 KiB",
      frames: replaced((fields) => put(fields, "content-type", `application/${"x".repeat(8192)}`)),
      outcome: { status: 2 },
      role: "client",
    },
    {
      what: "an unknown grpc-encoding",
      frames: withFields(["grpc-encoding", "nonsense"]),
      outcome: { status: 12 },
      role: "server",
    },
  ],
};

function put(fields: HeaderList, name: string, value: string): HeaderList {
  return fields.map((field) => (field[0] === name ? ([name, value] as const) : field));
}

const row13: ProvocationRow = {
  row: 13,
  title: "header fields of no length (CVE-2019-9516)",
  required: "each counts 32 bytes and as a field",
  provocations: [
    {
      what: "600 fields without value",
      frames: withFields(...Array.from({ length: 600 }, () => ["a", ""] as const)),
      outcome: TOO_MANY,
    },
    {
      what: "3,000 fields without name and value",
      frames: withFields(...Array.from({ length: 3000 }, () => ["", ""] as const)),
      outcome: TOO_MANY,
    },
    { what: "a field without name", frames: withFields(["", "a"]), outcome: MALFORMED },
  ],
};

const malformedFields: [what: string, frames: Provocation["frames"], role?: "server" | "client"][] = [
  ["CR in a value", withFields(["a", "b\rc"])],
  ["LF in a value", withFields(["a", "b\nc: d"])],
  ["NUL in a value", withFields(["a", "b\0c"])],
  ["upper case in a name", withFields(["Abc", "d"])],
  ["a space in a name", withFields(["a b", "c"])],
  ["a colon in a name", withFields(["a:b", "c"])],
  ["a pseudo header behind a field", withFields([":path", "/peer.v1.Echo/Fail"])],
  ["an unknown pseudo header", replaced((fields) => [[":unknown", "a"], ...fields])],
  ["connection", withFields(["connection", "close"])],
  ["transfer-encoding", withFields(["transfer-encoding", "chunked"])],
  ["upgrade", withFields(["upgrade", "h2c"])],
  ["te that is not trailers", replaced((fields) => put(fields, "te", "gzip")), "server"],
  ["two :path", replaced((fields) => [[":path", "/a"], ...fields]), "server"],
  ["no :path", replaced((fields) => fields.filter(([name]) => name !== ":path")), "server"],
  ["no :scheme", replaced((fields) => fields.filter(([name]) => name !== ":scheme")), "server"],
  ["an empty :path", replaced((fields) => put(fields, ":path", "")), "server"],
  [
    "a :path without slash (CVE-2026-33186)",
    replaced((fields) => put(fields, ":path", "peer.v1.Echo/Unary")),
    "server",
  ],
  ["a host that differs from :authority", withFields(["host", "elsewhere"]), "server"],
  [":status in a request", replaced((fields) => [[":status", "200"], ...fields]), "server"],
  ["two :status", replaced((fields) => [[":status", "500"], ...fields]), "client"],
  ["no :status", replaced((fields) => fields.filter(([name]) => name !== ":status")), "client"],
  ["a :status that is no number", replaced((fields) => put(fields, ":status", "2x0")), "client"],
];

const row19: ProvocationRow = {
  row: 19,
  title: "header injection (RFC 9113 section 8)",
  required: "PROTOCOL_ERROR on the stream alone",
  provocations: malformedFields.map(([what, frames, role]) => ({ what, frames, role, outcome: MALFORMED })),
};

const row24: ProvocationRow = {
  row: 24,
  title: "metadata too large or too many, absurd deadlines",
  required: "stream refused at 100 fields or 16 KiB; odd timeouts clamped or refused",
  provocations: [
    {
      what: "101 fields",
      frames: withFields(...Array.from({ length: 101 }, (_, i) => [`a${i}`, "b"] as const)),
      outcome: TOO_MANY,
    },
    {
      what: "fields of 16 KiB together",
      frames: withFields(...Array.from({ length: 80 }, (_, i) => [`a${i}`, "b".repeat(170)] as const)),
      outcome: TOO_LARGE,
    },
    {
      what: "a deadline in the past",
      frames: withFields(["grpc-timeout", "0n"]),
      outcome: { status: 4 },
      role: "server",
    },
    {
      what: "a deadline of 11,000 years",
      frames: withFields(["grpc-timeout", "99999999H"]),
      outcome: "ignored",
      role: "server",
    },
    {
      what: "a deadline of 9 digits",
      frames: withFields(["grpc-timeout", "100000000H"]),
      outcome: { status: INTERNAL, counts: "malformed-timeout" },
      role: "server",
    },
    {
      what: "a deadline below zero",
      frames: withFields(["grpc-timeout", "-1S"]),
      outcome: { status: INTERNAL, counts: "malformed-timeout" },
      role: "server",
    },
  ],
};

const row6: ProvocationRow = {
  row: 6,
  title: "HTTP/2 bomb: fields of one octet each (CVE-2026-49975)",
  required: "at most 100 fields, cookie crumbs counted",
  provocations: [
    {
      what: "16,000 references of one octet",
      frames: ({ id }) => [rawHeaders(id, Buffer.alloc(16_000, 0x82))],
      outcome: TOO_MANY,
    },
    {
      what: "101 cookie crumbs",
      frames: withBlock(inserted("cookie", "a"), Buffer.alloc(100, NEWEST)),
      outcome: TOO_MANY,
    },
    { what: "an empty block", frames: ({ id }) => [rawHeaders(id, NOTHING)], outcome: MALFORMED },
  ],
};

/** Rows about header blocks. */
export const headerRows: readonly ProvocationRow[] = [row3, row5, row6, row7, row8, row9, row13, row19, row24];
