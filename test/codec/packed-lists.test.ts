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
