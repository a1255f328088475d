import { type DescMessage, fromJson, type JsonValue, toBinary, toJson } from "@bufbuild/protobuf";
import { freshCopy, type Library } from "./library.ts";

/**
 * JSON.stringify to a Buffer and JSON.parse of one, over plain objects of ProtoJSON's form: 64-bit numbers, times and bytes are texts
 * already, but for the 10 kB of a blob, which are made base64 and back.
 */
export const json: Library = {
  prepare: (set) => {
    const objects = set.messages.map((message) => toJson(set.schema, message));
    const texts = objects.map((object) => Buffer.from(JSON.stringify(object)));
    const binary = (text: Uint8Array): Uint8Array => binaryOf(set.schema, JSON.parse(Buffer.from(text).toString()));
    const encoded = (index: number): Uint8Array => binary(texts[index]);
    if (set.kind === "blob") {
      const blobs = set.messages as unknown as readonly { readonly data: Uint8Array }[];
      return { encode: freshCopy(blobEncodeLoop)(blobs), decode: freshCopy(blobDecodeLoop)(texts), encoded };
    }
    return {
      encode: freshCopy(encodeLoop)(objects),
      encoded,
      decode: freshCopy(decodeLoop)(texts),
      decoded: (index) => binaryOf(set.schema, JSON.parse(texts[index].toString()) as JsonValue),
    };
  },
};

function binaryOf(schema: DescMessage, value: JsonValue): Uint8Array {
  return toBinary(schema, fromJson(schema, value));
}

function encodeLoop(objects: readonly unknown[]): () => number {
  return () => {
    let sum = 0;
    for (let i = 0; i < objects.length; i++) sum += Buffer.from(JSON.stringify(objects[i])).length;
    return sum;
  };
}

function decodeLoop(texts: readonly Buffer[]): () => unknown {
  return () => {
    let last: unknown;
    for (let i = 0; i < texts.length; i++) last = JSON.parse(texts[i].toString());
    return last;
  };
}

function blobEncodeLoop(blobs: readonly { readonly data: Uint8Array }[]): () => number {
  return () => {
    let sum = 0;
    for (let i = 0; i < blobs.length; i++) {
      const { buffer, byteOffset, length } = blobs[i].data;
      const data = Buffer.from(buffer, byteOffset, length).toString("base64");
      sum += Buffer.from(JSON.stringify({ ...blobs[i], data })).length;
    }
    return sum;
  };
}

function blobDecodeLoop(texts: readonly Buffer[]): () => unknown {
  return () => {
    let last: unknown;
    for (let i = 0; i < texts.length; i++) {
      const object = JSON.parse(texts[i].toString());
      last = { ...object, data: Buffer.from(object.data, "base64") };
    }
    return last;
  };
}
