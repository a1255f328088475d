import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DecodeResult, HpackDecoder } from "./decoder.ts";
import { FieldMode, fieldBound, HpackEncoder, writeInteger } from "./encoder.ts";
import { huffmanBytes, huffmanDecode, huffmanDecodedBytes, huffmanEncode, maxDecodedBytes } from "./huffman.ts";

type Field = readonly [name: string, value: string, mode?: FieldMode];

const tokens = new Map<string, number>();

function newDecoder(): HpackDecoder {
  return new HpackDecoder({
    tokens,
    derive: (fields) => fields.map(({ name, value }) => [name, value]),
    maxFields: 1000,
    maxListBytes: 1 << 20,
  });
}

function encode(encoder: HpackEncoder, ...fields: Field[]): Buffer {
  const target = Buffer.alloc(20 + fields.reduce((sum, [name, value]) => sum + fieldBound(name, value), 0));
  let at = encoder.begin(target, 0);
  for (const [name, value, mode] of fields) at = encoder.field(target, at, name, value, mode ?? FieldMode.INSERT);
  return target.subarray(0, at);
}

/** Names, values, and "sensitive" where it is; or the failure. */
function decode(decoder: HpackDecoder, block: Buffer): string[][] {
  const result = decoder.decode(block, 0, block.length);
  if (result !== DecodeResult.OK) return [[`result ${result}`]];
  const list = decoder.hasPrefix ? [...(decoder.derived as string[][])] : [];
  for (let i = 0; i < decoder.count; i++) {
    list.push([decoder.name(i), decoder.value(i), ...(decoder.isSensitive(i) ? ["sensitive"] : [])]);
  }
  return list;
}

const latin1 = fc
  .array(fc.integer({ min: 0, max: 255 }), { maxLength: 60 })
  .map((octets) => String.fromCharCode(...octets));
const anyText = fc.oneof(
  fc.string({ unit: "binary-ascii", maxLength: 60 }),
  latin1,
  fc.constantFrom("", "200", "POST", "trailers"),
);
const anyName = fc.oneof(
  fc.constantFrom(":status", ":path", "te", "x-a", "x-b", "grpc-timeout", "content-length"),
  latin1,
);
const anyMode = fc.constantFrom(FieldMode.INSERT, FieldMode.INSERT_NAME, FieldMode.PLAIN, FieldMode.NEVER);

describe("HpackEncoder", () => {
  it("what it writes decodes to the same, through any change of the peer's table size", () => {
    const block = fc.record({
      settings: fc.array(fc.oneof(fc.constantFrom(0, 100, 4096, 65_536), fc.nat(5000)), { maxLength: 3 }),
      fields: fc.array(fc.tuple(anyName, anyText, anyMode), { maxLength: 12 }),
    });
    void fc.assert(
      fc.property(fc.array(block, { maxLength: 15 }), (blocks) => {
        const encoder = new HpackEncoder();
        const decoder = newDecoder();
        for (const { settings, fields } of blocks) {
          for (const bytes of settings) {
            encoder.setMaxTableBytes(bytes);
            decoder.setLimit(bytes);
          }
          // An empty block could not carry an update that is due.
          const list: Field[] = fields.length > 0 ? fields : [["x-a", "1"]];
          const expected = list.map(([name, value, mode]) =>
            mode === FieldMode.NEVER ? [name, value, "sensitive"] : [name, value],
          );
          expect(decode(decoder, encode(encoder, ...list))).toEqual(expected);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it("keeps within fieldBound, with size updates due as well", () => {
    void fc.assert(
      fc.property(anyName, anyText, anyMode, fc.nat(9000), (name, value, mode, bytes) => {
        const encoder = new HpackEncoder();
        encode(encoder, ["k", "v".repeat(3000)]);
        encoder.setMaxTableBytes(bytes);
        expect(encoder.field(Buffer.alloc(2000), 0, name, value, mode)).toBeLessThanOrEqual(fieldBound(name, value));
      }),
    );
  });

  it("writes one octet for what is in a table", () => {
    const encoder = new HpackEncoder();
    expect([...encode(encoder, [":method", "POST"], [":scheme", "http"], [":status", "200"])]).toEqual([
      0x83, 0x86, 0x88,
    ]);
    encode(encoder, ["te", "trailers"], ["content-type", "application/grpc+proto"], ["te", "other"]);
    for (const mode of [FieldMode.INSERT, FieldMode.INSERT_NAME, FieldMode.PLAIN]) {
      expect([...encode(encoder, ["te", "trailers", mode], ["te", "other", mode])]).toEqual([0xc0, 0xbe]);
    }
    expect(encoder.tableCount).toBe(3);
  });

  it("inserts until the peer's table is full and then never again, so that what was encoded stays valid", () => {
    const encoder = new HpackEncoder();
    const decoder = newDecoder();
    const fields = Array.from({ length: 200 }, (_, i): Field => [`x-${i}`, `${i}`.repeat(3)]);
    expect(decode(decoder, encode(encoder, ...fields))).toEqual(fields);
    const { version, tableCount } = encoder;
    expect(tableCount).toBeGreaterThan(90);
    const kept = encode(encoder, ...fields.slice(0, 50));
    expect(kept.length).toBeLessThanOrEqual(100);
    for (let round = 0; round < 3; round++) {
      expect(decode(decoder, encode(encoder, ["x-new", `${round}`], [":path", `/${round}`]))).toEqual([
        ["x-new", `${round}`],
        [":path", `/${round}`],
      ]);
      expect(decode(decoder, kept)).toEqual(fields.slice(0, 50));
    }
    expect([encoder.version, encoder.tableCount]).toEqual([version, tableCount]);
  });

  it("a name is inserted once, with its first value, if that is not long", () => {
    const encoder = new HpackEncoder();
    encode(encoder, ["x-long", "v".repeat(200), FieldMode.INSERT_NAME]);
    expect(encoder.hasName("x-long")).toBe(false);
    for (let i = 0; i < 100; i++)
      encode(encoder, ["grpc-timeout", `${i}m`, FieldMode.INSERT_NAME], [":path", `/${i}`, FieldMode.INSERT_NAME]);
    expect(encoder.tableCount).toBe(1);
    expect([encoder.hasName("grpc-timeout"), encoder.hasName(":path"), encoder.hasName("x-none")]).toEqual([
      true,
      true,
      false,
    ]);
    // The value that varies is not looked up: only its name is used again.
    expect([...encode(encoder, ["grpc-timeout", "0m", FieldMode.PLAIN])]).toEqual([0x0f, 62 - 15, 2, 0x30, 0x6d]);
  });

  it("a secret enters no table and is looked up in none", () => {
    const encoder = new HpackEncoder();
    expect(encode(encoder, [":method", "POST", FieldMode.NEVER])[0]).toBe(0x12);
    encode(encoder, ["authorization", "secret", FieldMode.INSERT]);
    expect(encode(encoder, ["authorization", "secret", FieldMode.NEVER]).toString("latin1")).toContain("secret");
    expect(encoder.tableCount).toBe(1);
  });

  it("Huffman code is for what is inserted, when it is shorter; all else stays as it is", () => {
    const encoder = new HpackEncoder();
    expect(encode(encoder, ["x-a", "aaaaaaaa", FieldMode.PLAIN]).toString("latin1")).toContain("aaaaaaaa");
    expect(encode(encoder, ["x-a", "aaaaaaaa", FieldMode.INSERT]).toString("latin1")).not.toContain("aaaaaaaa");
    expect(encode(encoder, ["x-b", "~~~~", FieldMode.INSERT]).toString("latin1")).toContain("~~~~");
  });

  it("literalName is a literal without its value, and grows stale with the version", () => {
    const encoder = new HpackEncoder();
    const decoder = newDecoder();
    const write = (name: string): Buffer => Buffer.concat([encoder.literalName(name), Buffer.of(2), Buffer.from("5m")]);
    expect(decode(decoder, write("x-a"))).toEqual([["x-a", "5m"]]);
    expect(encoder.literalName(":path")).toEqual(Uint8Array.of(0x04));
    decode(decoder, encode(encoder, ["x-a", "1m"]));
    expect(encoder.literalName("x-a")).toEqual(Uint8Array.of(0x0f, 62 - 15));
    const { version } = encoder;
    decode(decoder, encode(encoder, ["x-b", "1m"]));
    expect(encoder.version).toBeGreaterThan(version);
    expect(decode(decoder, write("x-a"))).toEqual([["x-a", "5m"]]);
  });
});

describe("setMaxTableBytes", () => {
  function updates(encoder: HpackEncoder): number[] {
    const target = Buffer.alloc(20);
    return [...target.subarray(0, encoder.begin(target, 0))];
  }

  it("says nothing of more than 4096, which we don't use", () => {
    const encoder = new HpackEncoder();
    encoder.setMaxTableBytes(65_536);
    expect([encoder.hasPendingUpdate, encoder.version]).toEqual([false, 0]);
    expect(updates(encoder)).toEqual([]);
  });

  it("keeps entries that still fit, and drops all when they don't", () => {
    const encoder = new HpackEncoder();
    encode(encoder, ["k", "1"], ["l", "1"]); // 68 octets
    encoder.setMaxTableBytes(68);
    expect([encoder.hasPendingUpdate, encoder.tableCount]).toEqual([true, 2]);
    expect(updates(encoder)).toEqual([0x3f, 37]);
    expect(updates(encoder)).toEqual([]);
    encoder.setMaxTableBytes(67);
    expect(encoder.tableCount).toBe(0);
    expect(updates(encoder)).toEqual([0x20, 0x3f, 36]);
  });

  it("tells of the lowest bound between two blocks, then of the last", () => {
    const encoder = new HpackEncoder();
    encoder.setMaxTableBytes(20);
    encoder.setMaxTableBytes(0);
    encoder.setMaxTableBytes(30);
    expect(updates(encoder)).toEqual([0x20, 0x3e]);
    encoder.setMaxTableBytes(20);
    encoder.setMaxTableBytes(30);
    expect(updates(encoder)).toEqual([0x34, 0x3e]);
    encoder.setMaxTableBytes(0);
    expect(updates(encoder)).toEqual([0x20]);
  });

  it("the first field writes what is due by itself", () => {
    const encoder = new HpackEncoder();
    encoder.setMaxTableBytes(10);
    const target = Buffer.alloc(100);
    const end = encoder.field(target, 0, ":method", "GET", FieldMode.INSERT);
    expect([...target.subarray(0, encoder.field(target, end, ":method", "POST", FieldMode.INSERT))]).toEqual([
      0x2a, 0x82, 0x83,
    ]);
    expect(encoder.hasPendingUpdate).toBe(false);
  });
});

it("integers are written as in RFC 7541 appendix C.1", () => {
  const write = (pattern: number, mask: number, value: number): number[] => {
    const target = new Uint8Array(8);
    return [...target.subarray(0, writeInteger(target, 0, pattern, mask, value))];
  };
  expect(write(0, 0x1f, 10)).toEqual([0x0a]);
  expect(write(0, 0x1f, 1337)).toEqual([0x1f, 0x9a, 0x0a]);
  expect(write(0, 0xff, 42)).toEqual([0x2a]);
  expect(write(0x80, 0x7f, 127)).toEqual([0xff, 0x00]);
  expect(write(0, 0x7f, 0x7fffffff)).toEqual([0x7f, 0x80, 0xff, 0xff, 0xff, 0x07]);
});

describe("Huffman code", () => {
  function coded(text: string): Buffer {
    const target = Buffer.alloc(text.length * 4 + 1);
    return target.subarray(0, huffmanEncode(text, target, 0));
  }

  function decoded(code: Uint8Array): string | number {
    const target = Buffer.alloc(maxDecodedBytes(code.length) + 1);
    const end = huffmanDecode(code, 0, code.length, target, 0);
    return end < 0 ? end : target.toString("latin1", 0, end);
  }

  it("is that of RFC 7541 appendix B, in its rare and long codes too", () => {
    // Octet, code, its bits. The rest follows from the order of the code, and the vectors know what is frequent.
    for (const [octet, code, bits] of [
      [0, 0x1ff8, 13],
      [1, 0x7fffd8, 23],
      [9, 0xffffea, 24],
      [10, 0x3ffffffc, 30],
      [13, 0x3ffffffd, 30],
      [22, 0x3ffffffe, 30],
      [92, 0x7fff0, 19],
      [127, 0xffffffc, 28],
      [128, 0xfffe6, 20],
      [161, 0x1fffdd, 21],
      [195, 0x7fff1, 19],
      [206, 0xfffff1, 24],
      [209, 0x1fffe3, 21],
      [249, 0xffffffe, 28],
      [255, 0x3ffffee, 26],
    ]) {
      const text = code
        .toString(2)
        .padStart(bits, "0")
        .padEnd(Math.ceil(bits / 8) * 8, "1");
      const octets = text.match(/.{8}/g)?.map((part) => Number.parseInt(part, 2));
      expect([octet, ...coded(String.fromCharCode(octet))]).toEqual([octet, ...(octets ?? [])]);
    }
  });

  it("any text comes back, wherever it is in a buffer", () => {
    void fc.assert(
      fc.property(fc.oneof(latin1, fc.string({ unit: "binary-ascii", maxLength: 200 })), fc.nat(3), (text, before) => {
        const code = coded(text);
        expect(code.length).toBe(huffmanBytes(text));
        expect(decoded(code)).toBe(text);
        const padded = Buffer.concat([Buffer.alloc(before, 0x55), code, Buffer.of(0x55)]);
        expect(huffmanDecodedBytes(padded, before, before + code.length)).toBe(text.length);
        const target = Buffer.alloc(text.length + before + 1);
        expect(huffmanDecode(padded, before, before + code.length, target, before)).toBe(text.length + before);
        expect(target.toString("latin1", before, text.length + before)).toBe(text);
      }),
      { numRuns: 2000 },
    );
  });

  it("of bytes at random, those are taken that encode again to themselves", () => {
    const octets = fc.oneof(
      fc.uint8Array({ maxLength: 12 }),
      fc.array(fc.constantFrom(0xff, 0xfe, 0x00, 0x1f, 0xf8), { maxLength: 8 }).map((list) => Uint8Array.from(list)),
    );
    void fc.assert(
      fc.property(octets, (code) => {
        const text = decoded(code);
        const count = huffmanDecodedBytes(code, 0, code.length);
        if (typeof text === "number") expect(count).toBe(-1);
        else expect([count, ...coded(text)]).toEqual([text.length, ...code]);
      }),
      { numRuns: 5000 },
    );
  });
});
