import { DecodeResult, type HeaderEntry, HpackDecoder } from "../../../packages/bowline/src/http2/hpack/decoder.ts";
import { HpackEncoder } from "../../../packages/bowline/src/http2/hpack/encoder.ts";
import { RawHpackDecoder } from "../../../packages/bowline/src/testing/raw-hpack.ts";
import { readHpackStories } from "../../data/hpack/stories.ts";
import { type Framing, type FuzzTarget, fault } from "../engine/fuzz-target.ts";
import { strictness } from "../oracles/hpack-strictness.ts";

/** Block lengths stand in two octets before each block. */
const LENGTH_BYTES = 2;
const MAX_LIST_BYTES = 2048;
const MAX_FIELDS = 24;
const TABLE_BYTES = 4096;
const PROBE = Buffer.from("828684be0f0d0131", "hex");

/** Header blocks of one connection, each behind two octets of length; what a last length lies about is what there is. */
const blocks: Framing = {
  split(input) {
    const records: Buffer[] = [];
    for (let at = 0; at < input.length; ) {
      const length = at + 1 < input.length ? input.readUInt16BE(at) : 0;
      const to = Math.min(input.length, at + LENGTH_BYTES + length);
      records.push(input.subarray(at, to));
      at = to;
    }
    return records;
  },
  seal(record) {
    const block = record.subarray(LENGTH_BYTES);
    const head = Buffer.alloc(LENGTH_BYTES);
    head.writeUInt16BE(Math.min(block.length, 0xffff));
    return Buffer.concat([head, block]);
  },
};

function join(all: readonly Uint8Array[]): Buffer {
  return Buffer.concat(all.map((block) => blocks.seal(Buffer.concat([Buffer.alloc(LENGTH_BYTES), block]))));
}

/** An entry, a table of 60 octets, an entry that empties it, and the index of the first (RFC 7541 section 4.4). */
const TOO_LARGE_FOR_THE_TABLE = ["4001610162", `3f1dbe400163${"1e"}${"64".repeat(30)}`, "be"];
/** Five octets behind the prefix are the most, also when they say little. */
const LONG_INTEGERS = ["0f80808080000178", "8284"];

type Field = readonly [name: string, value: string];

function fieldsOf(decoder: HpackDecoder): Field[] {
  const prefix = decoder.hasPrefix ? (decoder.derived as readonly Field[]) : [];
  return [...prefix, ...Array.from({ length: decoder.count }, (_, i): Field => [decoder.name(i), decoder.value(i)])];
}

function newDecoder(): HpackDecoder {
  return new HpackDecoder({
    tableBytes: TABLE_BYTES,
    maxListBytes: MAX_LIST_BYTES,
    maxFields: MAX_FIELDS,
    tokens: new Map([["te", 1]]),
    derive: (entries: readonly HeaderEntry[]) => entries.map(({ name, value }): Field => [name, value]),
  });
}

/** What the small decoder of bowline/testing makes of the block. */
function independent(raw: RawHpackDecoder, block: Buffer): Field[] | Error {
  try {
    return raw.decode(block);
  } catch (error) {
    return error as Error;
  }
}

/** Both decoders read the block; false when the connection would have ended. */
function compare(decoder: HpackDecoder, raw: RawHpackDecoder, block: Buffer): boolean {
  // Octets around the block must not count.
  const chunk = Buffer.concat([Buffer.alloc(3, 0x82), block, Buffer.alloc(40, 0x82)]);
  const result = decoder.decode(chunk, 3, 3 + block.length);
  const expected = independent(raw, block);
  const tooStrict = strictness(block, TABLE_BYTES);
  if (result === DecodeResult.COMPRESSION_ERROR) {
    if (!(expected instanceof Error) && tooStrict === undefined) fault("refused a block that another decoder takes");
    return false;
  }
  if (expected instanceof Error) fault(`took a block that another decoder refuses: ${expected.message}`);
  if (tooStrict !== undefined) fault(`took a block with ${tooStrict}`);
  const listBytes = expected.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0);
  if (decoder.totalFields !== expected.length) fault(`counted ${decoder.totalFields} fields of ${expected.length}`);
  if (decoder.listBytes !== listBytes) fault(`counted ${decoder.listBytes} octets of ${listBytes}`);
  const isTooLarge = expected.length > MAX_FIELDS || listBytes > MAX_LIST_BYTES;
  if (isTooLarge !== (result === DecodeResult.TOO_LARGE)) fault(`called a block of ${listBytes} octets ${result}`);
  const seen = fieldsOf(decoder);
  if (!isTooLarge && JSON.stringify(seen) !== JSON.stringify(expected)) {
    fault(`read ${JSON.stringify(seen)} where another decoder reads ${JSON.stringify(expected)}`);
  }
  return true;
}

/** A prepared block of the product's own encoder, with insertions, must be read the same behind whatever came before. */
function ownBlock(): Buffer {
  const encoder = new HpackEncoder();
  const target = Buffer.alloc(200);
  let at = encoder.field(target, 0, ":path", "/peer.v1.Echo/Unary", 0);
  at = encoder.field(target, at, "x-trace", "aé", 0);
  return target.subarray(0, at);
}

function seeds(): Buffer[] {
  const stories = readHpackStories().filter(({ folder }) => folder !== "raw-data");
  const short = stories.filter((_, index) => index % 40 === 0);
  const appendixC = ["400a637573746f6d2d6b65790d637573746f6d2d686561646572", "040c2f73616d706c652f70617468", "82"];
  return [
    join(appendixC.map((hex) => Buffer.from(hex, "hex"))),
    join([ownBlock(), PROBE]),
    join(TOO_LARGE_FOR_THE_TABLE.map((hex) => Buffer.from(hex, "hex"))),
    join(LONG_INTEGERS.map((hex) => Buffer.from(hex, "hex"))),
    ...short.map(({ blocks: all }) => join(all.slice(0, 4).map(({ wire }) => wire))),
  ];
}

/** The decoder of header blocks, against another decoder that shares no code with it. */
export function hpackTarget(): FuzzTarget {
  return {
    name: "hpack",
    what: "HPACK decoder against the decoder of bowline/testing",
    covers: ["http2/hpack/"],
    maxBytes: 4096,
    tokens: [
      "20",
      "3fe11f",
      "3fe01f",
      "7f80",
      "ff8001",
      "be",
      "bf",
      "0f80808000",
      "41",
      "1f",
      "00",
      "84ffffffff",
      "8aeb",
      "0f80808080000178",
      "0f8080808080000178",
      "ff808080808000",
      "3f808080808000",
    ].map((hex) => Buffer.from(hex, "hex")),
    seeds: seeds(),
    framing: blocks,
    run(input) {
      const decoder = newDecoder();
      const raw = new RawHpackDecoder();
      for (const record of blocks.split(input)) {
        if (!compare(decoder, raw, record.subarray(LENGTH_BYTES))) return;
      }
      // In step still: a block that uses both tables and adds to one.
      compare(decoder, raw, PROBE);
      compare(decoder, raw, ownBlock());
    },
  };
}
