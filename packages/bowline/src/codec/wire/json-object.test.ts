import { create, type JsonObject, toBinary } from "@bufbuild/protobuf";
import { FieldMaskSchema, type Struct, StructSchema } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StructCodec } from "../../gen/google/protobuf/struct_rpc.ts";
import { toBytes } from "../message-bytes.ts";
import { protobufJsonCodec } from "../protobuf-json-codec.ts";
import { boundJsonObject, decodeJsonObject, encodeJsonObject } from "./json-object.ts";
import { Reader } from "./reader.ts";
import { MARGIN_BYTES } from "./room.ts";

const json = fc.dictionary(fc.oneof(fc.string({ unit: "grapheme" }), fc.constant("__proto__")), fc.jsonValue(), {
  maxKeys: 5,
});

function decode(bytes: Uint8Array, into?: JsonObject): JsonObject {
  const reader = new Reader();
  reader.begin(Buffer.from(bytes), bytes.length, true, 1 << 20);
  return decodeJsonObject(reader, 0, bytes.length, into);
}

/** The same object as a message, by protobuf-es's own way through JSON. */
function structOf(object: JsonObject): Struct {
  const text = Buffer.from(JSON.stringify(object));
  return protobufJsonCodec(StructSchema).read(text, 0, text.length);
}

describe("a JSON object as google.protobuf.Struct", () => {
  it("is written as protobuf-es writes it, within its bound, and comes back", () => {
    fc.assert(
      fc.property(json, (object) => {
        const given = JSON.parse(JSON.stringify(object)) as JsonObject;
        const out = Buffer.alloc(boundJsonObject(given) + MARGIN_BYTES);
        const end = encodeJsonObject(given, out, 0);
        expect(out.subarray(0, end).equals(toBinary(StructSchema, structOf(given)))).toBe(true);
        expect(decode(out.subarray(0, end))).toEqual(given);
        expect(Buffer.from(toBytes(StructCodec, structOf(given))).equals(out.subarray(0, end))).toBe(true);
      }),
    );
  });

  it("has room for arrays with holes, which are empty values", () => {
    const sparse = { b: new Array<number>(1000) };
    const out = Buffer.alloc(boundJsonObject(sparse) + MARGIN_BYTES);
    const end = encodeJsonObject(sparse, out, 0);
    expect(end).toBeLessThanOrEqual(boundJsonObject(sparse));
    expect(decode(out.subarray(0, end)).b).toEqual(new Array(1000).fill(null));
  });

  it("goes on with one that came before: later fields win", () => {
    const bytes = toBytes(StructCodec, structOf({ b: 2, c: [1] }));
    expect(decode(bytes, { a: 1, b: 1 })).toEqual({ a: 1, b: 2, c: [1] });
  });

  it("drops what a JSON object has no place for", () => {
    expect(decode(Uint8Array.of(0x12, 1, 5, 0x0a, 5, 0x0a, 1, 0x61, 0x18, 1))).toEqual({ a: null });
  });

  it("is an object, or an error", () => {
    const out = Buffer.alloc(200 + MARGIN_BYTES);
    for (const none of [new Map([["a", 1]]), new Set(), new Date(0), ["a"], "ab", null, { a: { b: new Date(0) } }]) {
      expect(() => encodeJsonObject(none as never, out, 0)).toThrow(/is no JSON object/);
      expect(() => boundJsonObject(none as never)).toThrow(/is no JSON object/);
    }
    for (const plain of [{}, Object.create(null), { a: {} }]) {
      expect(decode(out.subarray(0, encodeJsonObject(plain, out, 0)))).toEqual({ ...plain });
    }
    expect(() => encodeJsonObject(5 as never, Buffer.alloc(10), 0)).toThrow(/5 is no JSON object/);
    expect(create(FieldMaskSchema).paths).toEqual([]);
  });
});
