import { create, type Message, toBinary } from "@bufbuild/protobuf";
import { toBytes } from "bowline";
import { describe, expect, it } from "vitest";
import { withProtos } from "./harness/run-properties.ts";

const TYPES = ["string", "double", "float", "uint32", "sint64", "bool"] as const;
const FIELDS = TYPES.map((type) => `message ${type}s { repeated ${type} v = 1; }`).join(" ");
const PROTO = `syntax = "proto3"; package room; message text { string v = 1; } ${FIELDS}`;

/** Where the length of a text or list takes another byte, where it is guessed otherwise, and in between. */
const COUNTS = [1, 42, 43, 127, 128, 256, 257, 341, 342, 1000, 1023, 1024, 2047, 2049, 16_383, 16_384, 70_000];

const NUMBERS = { double: 1.5, float: 1.5, uint32: 0xffff_ffff, sint64: -(2n ** 63n), bool: true } as const;

/** Values of the field of a message that is called like its type. */
function valuesOf(name: string, count: number): unknown[] {
  const texts = ["a", "é", "日", "😀"].map((character) => character.repeat(count));
  if (name === "text") return texts;
  if (name === "strings") return texts.map((text) => [text, text]);
  return [new Array(count).fill(NUMBERS[name.slice(0, -1) as keyof typeof NUMBERS])];
}

describe("a message of one field", () => {
  it("is written into the room that it was measured for, and no byte more", async () => {
    await withProtos(new Map([["room.proto", PROTO]]), "generated", ({ types }) => {
      for (const { desc, codec } of types) {
        for (const count of COUNTS) {
          for (const v of valuesOf(desc.name, count)) {
            const message = create(desc, { v } as never) as Message;
            const expected = Buffer.from(toBinary(desc, message));
            const target = Buffer.alloc(codec.measure(message));
            const what = `${desc.name} of ${count}`;
            expect(target.subarray(0, codec.write(message, target, 0)).equals(expected), what).toBe(true);
            expect(Buffer.from(toBytes(codec, message)).equals(expected), what).toBe(true);
          }
        }
      }
    });
  });
});
