import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decode, type Field, fieldOf, inserted, list, newDecoder, text } from "../../../test/hpack-blocks.ts";
import { DecodeResult, type HeaderEntry, type HpackDecoderOptions } from "./decoder.ts";

const { OK, COMPRESSION_ERROR, TOO_LARGE } = DecodeResult;

describe("fields", () => {
  it("says of each where its value is", () => {
    const decoder = newDecoder();
    expect(
      decode(decoder, 0x04, text("/raw"), 0x04, text("/coded", true), 0x44, text("/kept"), 0x84, 0x14, text("/x")),
    ).toBe(OK);
    expect(list(decoder).map(([, value]) => value)).toEqual(["/raw", "/coded", "/kept", "/", "/x"]);
    expect([0, 1, 2, 3, 4].map((i) => decoder.isIndexed(i))).toEqual([false, false, true, true, false]);
    expect([0, 1, 2, 3, 4].map((i) => decoder.isSensitive(i))).toEqual([false, false, false, false, true]);
    expect([0, 1, 2, 3, 4].map((i) => decoder.rawStart(i) >= 0)).toEqual([true, false, false, false, true]);
    const start = decoder.rawStart(0);
    expect(decoder.rawBuffer.toString("latin1", start, start + decoder.rawLength(0))).toBe("/raw");
    expect([decoder.token(0), decoder.name(0), decoder.count]).toEqual([3, ":path", 5]);
  });

  it("reads only its part of the buffer", () => {
    const decoder = newDecoder();
    const block = Buffer.concat([Buffer.of(0x82), Buffer.of(0x04), text("/a"), Buffer.of(0x82)]);
    expect(decoder.decode(block, 1, 5)).toBe(OK);
    expect(list(decoder)).toEqual([[":path", "/a"]]);
    expect(decoder.decode(block, 1, 4)).toBe(COMPRESSION_ERROR);
  });

  it("keeps every octet, 0 to 255, in names and values", () => {
    const all = Array.from({ length: 256 }, (_, octet) => String.fromCharCode(octet)).join("");
    const decoder = newDecoder();
    for (const isCoded of [false, true]) {
      expect(decode(decoder, 0x00, text(all, isCoded), text(all, isCoded))).toBe(OK);
      expect(list(decoder)).toEqual([[all, all]]);
      expect([decoder.totalFields, decoder.listBytes]).toEqual([1, 256 + 256 + 32]);
    }
  });

  it("counts empty names and values as 32 octets (attack row 13)", () => {
    const decoder = newDecoder({ maxListBytes: 320 });
    expect(decode(decoder, ...new Array<Buffer>(10).fill(Buffer.of(0, 0, 0)))).toBe(OK);
    expect([decoder.listBytes, decoder.totalFields]).toEqual([320, 10]);
    expect(decode(decoder, ...new Array<Buffer>(11).fill(Buffer.of(0, 0, 0)))).toBe(TOO_LARGE);
  });

  it("an insertion that the table has no room for is a plain literal", () => {
    const decoder = newDecoder();
    expect(decode(decoder, 0x20, 0x58, text("private"))).toBe(OK);
    expect(list(decoder)).toEqual([["cache-control", "private"]]);
    expect([decoder.isIndexed(0), decoder.isSensitive(0), decoder.rawStart(0)]).toEqual([false, false, 3]);
  });

  it("still holds while another decoder with larger bounds is made", () => {
    const decoder = newDecoder();
    decode(decoder, 0x04, text("/raw"), 0x04, text("/coded", true));
    newDecoder({ maxFields: 5000, maxListBytes: 1 << 20 });
    expect(list(decoder)).toEqual([
      [":path", "/raw"],
      [":path", "/coded"],
    ]);
  });

  it("gives the same entry for a name in full, its token included, without mixing up names", () => {
    const decoder = newDecoder();
    const names = Array.from({ length: 3000 }, (_, i) => (i === 0 ? "grpc-timeout" : `x-${i}`));
    for (const name of [...names, ...names]) {
      expect(decode(decoder, 0x00, text(name), text("1m"))).toBe(OK);
      expect([decoder.name(0), decoder.token(0)]).toEqual([name, name === "grpc-timeout" ? 8 : 0]);
    }
  });
});

describe("broken blocks", () => {
  it.each([
    ["index 0", [0x80]],
    ["an index behind the tables", [0x80 | 62]],
    ["a name index behind the tables", [0x7e, 1, 0x61]],
    ["a block that ends in an integer", [0xff]],
    ["an integer of 6 octets behind its prefix", [0x0f, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00, 0x00]],
    ["an integer above 2^31-1", [0x0f, 0xf1, 0xff, 0xff, 0xff, 0x07, 0x00]],
    ["endless zero padding", [0x0f, ...new Array<number>(1000).fill(0x80), 0x00]],
    ["a name without value", [0x00, 1, 0x61]],
    ["a literal that ends behind its first octet", [0x00]],
    ["a value longer than the block", [0x04, 5, 0x2f]],
    ["a value of 4 GiB", [0x04, 0x7f, 0x80, 0xff, 0xff, 0xff, 0x0f]],
    ["a Huffman-coded name longer than the block", [0x00, 0x85, 0x1f]],
    ["EOS in Huffman code", [0x04, 0x84, 0xff, 0xff, 0xff, 0xff]],
    ["padding of 8 bits", [0x04, 0x82, 0x1f, 0xff]],
    ["padding of zeros", [0x04, 0x81, 0x18]],
    ["a Huffman code that breaks off", [0x04, 0x82, 0xff, 0xfe]],
    ["a size update behind a field", [0x82, 0x20]],
    ["three size updates", [0x20, 0x20, 0x20]],
    ["a size update above our setting", [0x3f, 0xe2, 0x1f]],
  ])("%s is a COMPRESSION_ERROR", (_, octets) => {
    const decoder = newDecoder();
    expect(decode(decoder, ...octets)).toBe(COMPRESSION_ERROR);
    expect([decoder.count, decoder.hasPrefix, decoder.derived]).toEqual([0, false, null]);
    // The same behind a block that lets the cache work.
    decode(decoder, 0x82);
    expect(decode(decoder, ...octets)).toBe(COMPRESSION_ERROR);
  });

  it("integers may have 5 octets behind their prefix and reach 2^31-1", () => {
    const decoder = newDecoder();
    expect(decode(decoder, 0x04, 0x7f, 0x82, 0x80, 0x80, 0x80, 0x00, "/".repeat(129))).toBe(OK);
    expect(list(decoder)).toEqual([[":path", "/".repeat(129)]]);
  });

  it("padding of 0 to 7 ones is taken", () => {
    const decoder = newDecoder();
    // "0" to "00000000" end at each of the eight bits, 5 bits a symbol.
    for (let length = 1; length <= 8; length++) {
      expect(decode(decoder, 0x01, text("0".repeat(length), true))).toBe(OK);
      expect(decoder.value(0)).toBe("0".repeat(length));
    }
  });

  it("bytes at random, one block after the other, give a result and never throw", () => {
    const block = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      // Octets that mean something most often.
      fc.array(fc.constantFrom(0x00, 0x01, 0x0f, 0x20, 0x3f, 0x40, 0x7f, 0x82, 0xbe, 0xbf, 0xff, 0x81, 0x61), {
        maxLength: 200,
      }),
    );
    void fc.assert(
      fc.property(fc.array(block, { maxLength: 8 }), fc.nat(4096), (blocks, limit) => {
        const decoder = newDecoder({ maxListBytes: 1000, maxFields: 20 });
        blocks.forEach((octets, i) => {
          if (i === 3) decoder.setLimit(limit);
          const result = decode(decoder, Uint8Array.from(octets));
          expect([OK, COMPRESSION_ERROR, TOO_LARGE]).toContain(result);
          expect(list(decoder).length).toBe(result === OK ? decoder.totalFields : 0);
          if (result === OK) expect(decoder.listBytes).toBeLessThanOrEqual(1000);
        });
      }),
      { numRuns: 3000 },
    );
  });
});

describe("table size", () => {
  it("after lowering, the next block must begin with an update within the lowest bound, and may then rise", () => {
    for (const [block, result] of [
      [[0x82], COMPRESSION_ERROR],
      [[], COMPRESSION_ERROR],
      [[0x3f, 0x45, 0x82], COMPRESSION_ERROR], // 100
      [[0x3f, 0x2d, 0x82], OK], // 76
      [[0x20, 0x3f, 0x45, 0x82], OK], // 0, then 100
      [[0x20, 0x3f, 0xe1, 0x1f, 0x82], COMPRESSION_ERROR], // 0, then 4096
    ] as const) {
      const decoder = newDecoder();
      decoder.setLimit(76);
      decoder.setLimit(100);
      expect(decode(decoder, ...block)).toBe(result);
      if (result === OK) expect(decode(decoder, 0x82)).toBe(OK);
    }
  });

  it("raising it, or lowering it to what the table has at most already, asks for no update", () => {
    const decoder = newDecoder();
    decoder.setLimit(65_536);
    expect(decode(decoder, 0x82)).toBe(OK);
    expect(decode(decoder, 0x3f, 0xe1, 0xff, 0x03)).toBe(OK); // 65,536
    decoder.setLimit(65_536);
    expect(decode(decoder, 0x82)).toBe(OK);
  });

  it("a smaller setting binds only when it was acknowledged", () => {
    const decoder = newDecoder({ tableBytes: 0 });
    expect(decode(decoder, 0x3f, 0xe1, 0x1f)).toBe(OK); // 4096
    expect(decode(decoder, inserted("a", "1"))).toBe(OK);
    expect(decode(decoder, 0x80 | 62)).toBe(OK);
    decoder.setLimit(0);
    expect(decode(decoder, 0x20, inserted("a", "1"))).toBe(OK);
    expect(list(decoder)).toEqual([["a", "1"]]);
    expect(decode(decoder, 0x80 | 62)).toBe(COMPRESSION_ERROR);
  });

  it("an update evicts the oldest at once", () => {
    const decoder = newDecoder();
    for (const name of ["a", "b", "c"]) decode(decoder, inserted(name, "1"));
    expect(decode(decoder, 0x3f, 0x26, 0xbe, 0xbf)).toBe(OK); // 69, just enough for two
    expect(list(decoder)).toEqual([
      ["c", "1"],
      ["b", "1"],
    ]);
    expect(decode(decoder, 0xc0)).toBe(COMPRESSION_ERROR);
  });

  it("an insertion may take its name from the entry that it evicts", () => {
    const decoder = newDecoder();
    decode(decoder, 0x3f, 0x09, inserted("name", "1")); // 40
    expect(decode(decoder, 0x7e, text("2"))).toBe(OK);
    expect(list(decoder)).toEqual([["name", "2"]]);
    expect(decode(decoder, 0xbe)).toBe(OK);
    expect(list(decoder)).toEqual([["name", "2"]]);
  });
});

describe("the prefix", () => {
  function counting(): { options: Partial<HpackDecoderOptions>; derived: string[] } {
    const derived: string[] = [];
    const derive = (fields: readonly HeaderEntry[]): Field[] => {
      derived.push(fields.map(({ name }) => name).join());
      return fields.map(fieldOf);
    };
    return { options: { derive }, derived };
  }

  it("is derived once and found again, alone or before other fields, while the table stays as it is", () => {
    const { options, derived } = counting();
    const decoder = newDecoder(options);
    decode(decoder, 0x82, 0x84);
    for (let i = 0; i < 10; i++) {
      expect(decode(decoder, 0x82, 0x84, 0x0f, 0x00, text("1"))).toBe(OK);
      expect([decoder.hasPrefix, decoder.count, decoder.totalFields, decoder.listBytes]).toEqual([
        true,
        1,
        3,
        42 + 38 + 47,
      ]);
      expect(decode(decoder, 0x82, 0x84)).toBe(OK);
      expect([decoder.hasPrefix, decoder.count, decoder.totalFields]).toEqual([true, 0, 2]);
      expect(decode(decoder, 0x82, 0x84, 0x86)).toBe(OK);
    }
    expect(derived).toEqual([":method,:path", ":method,:path,:scheme"]);
  });

  it("tells runs apart that are a part of each other or have one hash", () => {
    const decoder = newDecoder();
    decode(decoder, 0x82);
    void fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 61 }), { minLength: 1, maxLength: 40 }), (indexes) => {
        const single = newDecoder();
        decode(single, ...indexes.map((index) => 0x80 | index));
        const expected = list(single);
        for (let round = 0; round < 2; round++) {
          expect(decode(decoder, ...indexes.map((index) => 0x80 | index))).toBe(OK);
          expect(list(decoder)).toEqual(expected);
          expect([decoder.totalFields, decoder.listBytes]).toEqual([single.totalFields, single.listBytes]);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("is not taken from a longer run that goes on behind the block, whatever their hashes are", () => {
    for (let first = 1; first <= 61; first++) {
      for (let second = 1; second <= 61; second++) {
        const decoder = newDecoder();
        const block = Buffer.of(0x80 | first, 0x80 | second);
        for (const known of [Buffer.of(0x82), block, Buffer.of(0x83, 0x83, 0x83)]) decode(decoder, known);
        decoder.decode(block, 0, 1);
        expect(decoder.totalFields).toBe(1);
      }
    }
  });

  it("holds a path in full, coded or not, as nghttp2 sends it", () => {
    const { options, derived } = counting();
    const decoder = newDecoder(options);
    decode(decoder, 0x82);
    for (let round = 0; round < 3; round++) {
      for (const path of ["/a.A/Long", "/b.B/Short"]) {
        for (const isCoded of [false, true]) {
          const expected = [
            [":method", "GET"],
            [":path", path],
            [":scheme", "http"],
          ];
          expect(decode(decoder, 0x82, 0x04, text(path, isCoded), 0x86)).toBe(OK);
          expect([decoder.hasPrefix, decoder.count, decoder.totalFields]).toEqual([true, 0, 3]);
          expect(list(decoder)).toEqual(expected);
          expect(decode(decoder, 0x82, 0x04, text(path, isCoded), 0x86, 0x00, text("k"), text("v"))).toBe(OK);
          expect(list(decoder)).toEqual([...expected, ["k", "v"]]);
          expect(decoder.listBytes).toBe(42 + 37 + path.length + 43 + 34);
        }
      }
    }
    expect(derived).toEqual(new Array(4).fill(":method,:path,:scheme"));
  });

  it("ends before a path that is long, broken or cut off, which is judged as anywhere", () => {
    const decoder = newDecoder();
    decode(decoder, 0x82);
    for (let round = 0; round < 2; round++) {
      for (const length of [100, 124, 125, 126, 127, 128, 300]) {
        const path = `/${"x".repeat(length - 1)}`;
        expect(decode(decoder, 0x82, 0x04, text(path), 0x86)).toBe(OK);
        expect(list(decoder)[1]).toEqual([":path", path]);
        expect(decoder.totalFields).toBe(3);
      }
      // EOS in the value; a length beyond the block.
      expect(decode(newDecoder(), 0x82, 0x04, 0x84, 0xff, 0xff, 0xff, 0xff)).toBe(COMPRESSION_ERROR);
    }
    const quiet = newDecoder();
    decode(quiet, 0x82);
    expect(decode(quiet, 0x82, 0x04, 0x84, 0xff, 0xff, 0xff, 0xff)).toBe(COMPRESSION_ERROR);
    const cut = newDecoder();
    decode(cut, 0x82);
    expect(decode(cut, 0x82, 0x04, 0x05, 0x61)).toBe(COMPRESSION_ERROR);
    const small = newDecoder({ maxListBytes: 100, maxFields: 2 });
    decode(small, 0x82);
    expect(decode(small, 0x82, 0x04, text(`/${"x".repeat(60)}`))).toBe(TOO_LARGE);
    expect(decode(small, 0x82, 0x04, text("/"), 0x82)).toBe(TOO_LARGE);
  });

  it("ends after 128 octets", () => {
    const { options, derived } = counting();
    const decoder = newDecoder({ ...options, maxFields: 200 });
    decode(decoder, 0x82);
    for (let round = 0; round < 5; round++) {
      expect(decode(decoder, ...new Array<number>(200).fill(0x82))).toBe(OK);
      expect([decoder.hasPrefix, decoder.count, decoder.totalFields]).toEqual([true, 72, 200]);
    }
    expect(new Set(derived)).toEqual(new Set([new Array<string>(128).fill(":method").join()]));
  });

  it("is not used while blocks insert, and forgotten when they have", () => {
    const { options, derived } = counting();
    const decoder = newDecoder(options);
    decode(decoder, inserted("a", "1"));
    for (let i = 0; i < 100; i++) {
      expect(decode(decoder, 0xbe, inserted("b", `${i}`))).toBe(OK);
      expect(decoder.hasPrefix).toBe(false);
      expect(list(decoder)[0]).toEqual(i === 0 ? ["a", "1"] : ["b", `${i - 1}`]);
    }
    expect(derived).toEqual([]);
    decode(decoder, 0x82);
    for (const value of ["x", "y"]) {
      expect(decode(decoder, 0xbe)).toBe(OK);
      expect(list(decoder)).toEqual([["b", value === "x" ? "99" : "x"]]);
      decode(decoder, 0xbe, inserted("b", value));
      decode(decoder, 0x82);
    }
  });

  it("a size update that evicts makes it stale", () => {
    const decoder = newDecoder();
    for (const name of ["a", "b"]) decode(decoder, inserted(name, "1"));
    decode(decoder, 0x82);
    decode(decoder, 0xbf, 0x82);
    expect(list(decoder)[0]).toEqual(["a", "1"]);
    decode(decoder, 0x3f, 0x05); // 36
    decode(decoder, 0x82);
    expect(decode(decoder, 0xbf, 0x82)).toBe(COMPRESSION_ERROR);
  });

  it("is subject to the bounds", () => {
    const { options, derived } = counting();
    const decoder = newDecoder({ ...options, maxListBytes: 200, maxFields: 5 });
    decode(decoder, 0x82);
    expect(decode(decoder, 0x82, 0x82, 0x82, 0x82)).toBe(OK);
    expect(decode(decoder, 0x82, 0x82, 0x82, 0x82, 0x82)).toBe(TOO_LARGE); // 210 octets
    expect(decode(decoder, 0x84, 0x84, 0x84, 0x84, 0x84)).toBe(OK);
    expect(decode(decoder, 0x84, 0x84, 0x84, 0x84, 0x84, 0x84)).toBe(TOO_LARGE);
    expect(decode(decoder, 0x84, 0x84, 0x84, 0x84, 0x84, 0x10, text("a"), text(""))).toBe(TOO_LARGE);
    expect(derived).toEqual([":method,:method,:method,:method", ":path,:path,:path,:path,:path"]);
    const few = newDecoder({ ...options, maxFields: 5 });
    decode(few, 0x82);
    expect(decode(few, 0x82, 0x82, 0x82, 0x82, 0x82, 0x82)).toBe(TOO_LARGE);
    expect(derived.length).toBe(2);
  });

  it("an entry's derived value is not taken for a field that has its name alone, nor shared between decoders", () => {
    const one = newDecoder();
    const other = newDecoder();
    decode(one, 0x85);
    one.entry(0).derived = "route of /index.html";
    decode(one, 0x05, text("/elsewhere"));
    expect([one.entry(0).derived, one.isIndexed(0), one.value(0)]).toEqual([
      "route of /index.html",
      false,
      "/elsewhere",
    ]);
    decode(other, 0x05, text("/elsewhere"), 0x85);
    expect([other.entry(0).derived, other.entry(1).derived]).toEqual([undefined, undefined]);
  });
});
