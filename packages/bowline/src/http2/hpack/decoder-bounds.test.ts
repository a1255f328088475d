import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decode, type Field, inserted, list, newDecoder, text } from "../../../test/hpack-blocks.ts";
import { DecodeResult } from "./decoder.ts";
import { FieldMode, fieldBound, HpackEncoder } from "./encoder.ts";
import { fields as results } from "./header-block.ts";

const { OK, COMPRESSION_ERROR, TOO_LARGE } = DecodeResult;

describe("blocks over a bound", () => {
  /** A block over a bound, and what the dynamic table must hold behind it, newest first. */
  const cases: [string, Buffer, Field[]][] = [
    ["a large raw value", Buffer.concat([Buffer.of(0x04), text("v".repeat(900)), inserted("k", "1")]), [["k", "1"]]],
    [
      "a large coded value",
      Buffer.concat([Buffer.of(0x04), text("v".repeat(900), true), inserted("k", "1")]),
      [["k", "1"]],
    ],
    [
      "a large name",
      Buffer.concat([Buffer.of(0x00), text("v".repeat(900)), text("1"), inserted("k", "1")]),
      [["k", "1"]],
    ],
    [
      "too many crumbs",
      Buffer.concat([...new Array<Buffer>(20).fill(Buffer.of(0x0f, 0x11, 0)), inserted("k", "1")]),
      [["k", "1"]],
    ],
    [
      "a large inserted value, coded, with its name in code",
      Buffer.concat([Buffer.of(0x40), text("n".repeat(50), true), text("v".repeat(900), true), Buffer.of(0xbe)]),
      [["n".repeat(50), "v".repeat(900)]],
    ],
    ["an insertion larger than the table", Buffer.concat([inserted("k", "1"), inserted("n", "v".repeat(5000))]), []],
    [
      "a coded insertion larger than any buffer",
      Buffer.concat([inserted("k", "1"), Buffer.of(0x40), text("n"), text("0".repeat(50_000), true)]),
      [],
    ],
    [
      "a coded name larger than any buffer, then an insertion",
      Buffer.concat([
        Buffer.of(0x00),
        text("0".repeat(50_000), true),
        text("v", true),
        Buffer.of(0x40),
        text("k", true),
        text("1", true),
      ]),
      [["k", "1"]],
    ],
  ];

  it.each(cases)("%s: TOO_LARGE, and the tables stay in step", (_, block, table) => {
    const decoder = newDecoder({ maxListBytes: 600, maxFields: 12 });
    decode(decoder, inserted("old", "1"));
    for (let round = 0; round < 2; round++) {
      expect(decode(decoder, block)).toBe(TOO_LARGE);
      expect([decoder.count, decoder.hasPrefix]).toEqual([0, false]);
      expect(decoder.totalFields > 12 || decoder.listBytes > 600).toBe(true);
      table.forEach(([name, value], age) => {
        const result = decode(decoder, 0x80 | (62 + age));
        if (name.length + value.length + 32 > 600) expect(result).toBe(TOO_LARGE);
        else expect([result, ...list(decoder)]).toEqual([OK, [name, value]]);
      });
      if (table.length === 0) expect(decode(decoder, 0x80 | 62)).toBe(COMPRESSION_ERROR);
    }
  });

  it("broken Huffman code is found beyond a bound too", () => {
    const decoder = newDecoder({ maxListBytes: 100 });
    expect(decode(decoder, 0x04, text("v".repeat(200)), 0x04, 0x84, 0xff, 0xff, 0xff, 0xff)).toBe(COMPRESSION_ERROR);
    const long = text("0".repeat(50_000), true);
    long[long.length - 1] = 0;
    expect(decode(decoder, 0x04, long.fill(0xff, long.length - 8))).toBe(COMPRESSION_ERROR);
  });

  it("whatever is too large, a second decoder without bounds and this one agree on all blocks that are not", () => {
    const field = fc.tuple(
      fc.constantFrom("a", "b", "cookie", ":path", "n".repeat(40)),
      fc.oneof(fc.constantFrom("", "1", "/", "gzip, deflate"), fc.string({ unit: "binary-ascii", maxLength: 80 })),
      fc.constantFrom(FieldMode.INSERT, FieldMode.INSERT_NAME, FieldMode.PLAIN, FieldMode.NEVER),
    );
    void fc.assert(
      fc.property(fc.array(fc.array(field, { maxLength: 12 }), { maxLength: 12 }), (blocks) => {
        const encoder = new HpackEncoder();
        const bounded = newDecoder({ maxListBytes: 300, maxFields: 5 });
        const unbounded = newDecoder({ maxListBytes: 100_000, maxFields: 100 });
        for (const fields of blocks) {
          const wire = Buffer.alloc(fields.reduce((sum, [name, value]) => sum + fieldBound(name, value), 0));
          let end = 0;
          for (const [name, value, mode] of fields) end = encoder.field(wire, end, name, value, mode);
          expect(unbounded.decode(wire, 0, end)).toBe(OK);
          const all = list(unbounded);
          expect(all).toEqual(fields.map(([name, value]) => [name, value]));
          const isLarge = unbounded.totalFields > 5 || unbounded.listBytes > 300;
          expect(bounded.decode(wire, 0, end)).toBe(isLarge ? TOO_LARGE : OK);
          expect(list(bounded)).toEqual(isLarge ? [] : all);
          expect(bounded.listBytes).toBe(unbounded.listBytes);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe("bombs of 16 KiB", () => {
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc") as () => void;
  const BLOCK_OCTETS = 16_384;

  function heapBytes(): number {
    collectGarbage();
    collectGarbage();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  }

  /** Bytes that each of 50 decoders holds on to after all blocks. */
  function retainedBytes(blocks: readonly Buffer[]): number {
    const before = heapBytes();
    const decoders = Array.from({ length: 50 }, () => newDecoder());
    for (const decoder of decoders) for (const block of blocks) decoder.decode(block, 0, block.length);
    const after = heapBytes();
    expect(decoders.every((decoder) => decoder.totalFields > 0)).toBe(true);
    return (after - before) / decoders.length;
  }

  function filled(unit: Buffer, head: Buffer = Buffer.alloc(0)): Buffer {
    return Buffer.concat([
      head,
      Buffer.alloc(BLOCK_OCTETS - head.length - ((BLOCK_OCTETS - head.length) % unit.length), unit),
    ]);
  }

  it("references to one large entry cost nothing: 16,000 of them stand for 64 MB (row 6)", () => {
    const bomb = Buffer.concat([inserted("k", "v".repeat(4000)), Buffer.alloc(12_000, 0xbe)]);
    const decoder = newDecoder();
    const before = process.memoryUsage().heapUsed;
    expect(decoder.decode(bomb, 0, bomb.length)).toBe(TOO_LARGE);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(1_000_000);
    expect(decoder.totalFields).toBe(12_001);
    expect(decoder.listBytes).toBe(12_001 * 4033);
  });

  it.each([
    ["a table full of one value, and references", () => filled(Buffer.of(0xbe), inserted("k", "v".repeat(4000))), 8000],
    ["cookie crumbs", () => filled(Buffer.of(0x60, 0)), 12_000],
    ["inserted names", (round: number) => filled(inserted(`x-${round % 10}`, "")), 20_000],
    ["names in full", (round: number) => filled(Buffer.concat([Buffer.of(0), text(`x-${round}`), text("")])), 4000],
    [
      "one name of 16 KiB",
      (round: number) => Buffer.concat([Buffer.of(0), text(`${round}`.padEnd(16_300, "n")), text("")]),
      4000,
    ],
  ])("%s: a decoder keeps a table's worth of memory", (_, block, maxBytes) => {
    const blocks = Array.from({ length: 10 }, (_, round) => block(round));
    // The first time is for what the process keeps.
    retainedBytes(blocks);
    expect(retainedBytes(blocks)).toBeLessThan(maxBytes);
  });

  it("large names in full are not remembered", () => {
    const decoder = newDecoder({ tokens: new Map() });
    const blocks = Array.from({ length: 300 }, (_, i) =>
      Buffer.concat([Buffer.of(0), text(`${i}`.padEnd(8000, "n")), text("")]),
    );
    const before = heapBytes();
    for (const block of blocks) expect(decoder.decode(block, 0, block.length)).toBe(OK);
    expect(heapBytes() - before).toBeLessThan(300_000);
  });

  it("fields beyond the bound are not kept in the result", () => {
    const decoder = newDecoder({ maxListBytes: 1 << 20 });
    const block = Buffer.concat(Array.from({ length: 9000 }, () => Buffer.of(0x01, 0)));
    expect(decoder.decode(block, 0, block.length)).toBe(TOO_LARGE);
    expect(results.entries.length).toBeLessThanOrEqual(results.starts.length);
  });

  it("runs of indexes that never come again fill the cache once", () => {
    const decoder = newDecoder();
    decode(decoder, 0x82);
    const block = Buffer.alloc(30);
    const fill = (seed: number): void => {
      for (let i = 0; i < block.length; i++) block[i] = 0x80 | (1 + ((seed * (i + 7) + i * i) % 61));
    };
    for (let seed = 0; seed < 500; seed++) {
      fill(seed);
      decoder.decode(block, 0, block.length);
    }
    // What else runs in this process may grow meanwhile, but not each time.
    const growths = [500, 5000, 9500].map((from) => {
      const before = heapBytes();
      for (let seed = from; seed < from + 4500; seed++) {
        fill(seed);
        decoder.decode(block, 0, block.length);
      }
      return heapBytes() - before;
    });
    expect(Math.min(...growths)).toBeLessThan(100_000);
  });
});
