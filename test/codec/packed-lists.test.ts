import { type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { withProtos } from "./harness/run-properties.ts";

const LONGS = ["int64", "fixed64", "sint64"];
const FLOATS = ["double", "float"];
const WORDS = ["int32", "fixed32", "sint32", "sfixed32"];
const LISTS = [...LONGS, ...FLOATS, ...WORDS, "bool"];
const FIELDS = LISTS.map((type, i) => `repeated ${type} ${type}s = ${i + 1};`).join(" ");
const PROTO = `syntax = "proto3"; package packed; message Lists { ${FIELDS} }`;

/** Sizes of the pieces that a list comes in: small ones are pushed, large ones are given room. */
const PIECES = [[1], [3000], [1500, 1500], [5000, 3], [3, 5000], [4000, 600, 600, 600], [2000, 0, 1, 2000, 1]];

describe("packed fields of many elements", () => {
  it("are read as protobuf-es reads them, in whatever pieces they come", async () => {
    await withProtos(new Map([["packed.proto", PROTO]]), "generated", ({ types }) => {
      const [{ desc, codec }] = types;
      for (const name of LISTS) {
        for (const sizes of PIECES) {
          const wire = Buffer.concat(sizes.map((size, i) => pieceOf(desc, name, size, i)));
          const message = codec.read(wire, 0, wire.length);
          expect(message).toEqual(fromBinary(desc, wire));
        }
      }
    });
  });
});

describe("the memory of numbers in lists", () => {
  it("is bounded by maxDecodedBytes, packed or not, in one piece or in many", async () => {
    await withProtos(new Map([["packed.proto", PROTO]]), "generated", ({ types }) => {
      const [{ desc, codec }] = types;
      const bounded = codec.bounded?.(20_000) as typeof codec;
      for (const name of LISTS) {
        const few = pieceOf(desc, name, 200, 1);
        expect(bounded.read(Buffer.from(few), 0, few.length)).toEqual(fromBinary(desc, few));
        const pieces = Buffer.concat(Array.from({ length: 30 }, (_, i) => pieceOf(desc, name, 100, i)));
        for (const many of [Buffer.from(pieceOf(desc, name, 3000, 1)), pieces, unpacked(desc, name, 3000)]) {
          expect(codec.read(many, 0, many.length)).toEqual(fromBinary(desc, many));
          expect(() => bounded.read(many, 0, many.length)).toThrow("its objects would take more than 20000 bytes");
        }
      }
    });
  });

  it("fits the default bound, however many they are", async () => {
    await withProtos(new Map([["packed.proto", PROTO]]), "generated", ({ types }) => {
      const [{ codec }] = types;
      const tag = 8 * (LISTS.indexOf("bool") + 1) + 2;
      const count = 6_000_000;
      const length = [(count & 127) | 128, ((count >> 7) & 127) | 128, ((count >> 14) & 127) | 128, count >> 21];
      const bools = Buffer.concat([Buffer.of(tag, ...length), Buffer.alloc(count, 1)]);
      expect((codec.read(bools, 0, bools.length) as Message & { bools: boolean[] }).bools).toHaveLength(count);
    });
  });
});

/** The elements one by one, each behind a tag. */
function unpacked(desc: DescMessage, type: string, size: number): Buffer {
  const wireType = ["double", "fixed64"].includes(type) ? 1 : ["float", "fixed32", "sfixed32"].includes(type) ? 5 : 0;
  const tag = 8 * (LISTS.indexOf(type) + 1) + wireType;
  const elements = Array.from({ length: size }, (_, i) => {
    // Behind the tag of a packed field and its length.
    const value = pieceOf(desc, type, 1, i).subarray(2);
    return [Buffer.of(tag), value];
  });
  return Buffer.concat(elements.flat());
}

function pieceOf(desc: DescMessage, type: string, size: number, seed: number): Uint8Array {
  const list = Array.from({ length: size }, (_, i) => elementOf(type, (i + 7 * seed) * 37));
  const empty = fromBinary(desc, new Uint8Array(0)) as Message & Record<string, unknown>;
  return toBinary(desc, { ...empty, [`${type}s`]: list });
}

function elementOf(type: string, value: number): unknown {
  if (LONGS.includes(type)) return BigInt(value) << 9n;
  if (type === "bool") return value % 3 === 0;
  return FLOATS.includes(type) ? value / 4 : value;
}
