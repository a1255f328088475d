import { create, type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import type { MessageSet } from "../messages/message-kind.ts";
import { freshCopy, type Library } from "./library.ts";

/** toBinary of messages that there are, and fromBinary. */
export const protobufEs: Library = {
  prepare: ({ schema, messages, bytes }) => ({
    encode: freshCopy(encodeLoop)(toBinary, schema, messages),
    encoded: (index) => toBinary(schema, messages[index]),
    decode: freshCopy(decodeLoop)(fromBinary, schema, bytes),
    decoded: (index) => toBinary(schema, fromBinary(schema, bytes[index])),
  }),
};

/** What a handler has to do with an object that it wrote: create() and toBinary. */
export const protobufEsCreate: Library = {
  prepare: ({ schema, inits }) => ({
    encode: freshCopy(createLoop)(create, toBinary, schema, inits),
    encoded: (index) => toBinary(schema, create(schema, inits[index])),
  }),
};

function encodeLoop(encode: typeof toBinary, schema: DescMessage, messages: readonly Message[]): () => number {
  return () => {
    let sum = 0;
    for (let i = 0; i < messages.length; i++) sum += encode(schema, messages[i]).length;
    return sum;
  };
}

function decodeLoop(decode: typeof fromBinary, schema: DescMessage, bytes: readonly Uint8Array[]): () => unknown {
  return () => {
    let last: unknown;
    for (let i = 0; i < bytes.length; i++) last = decode(schema, bytes[i]);
    return last;
  };
}

function createLoop(
  make: typeof create,
  encode: typeof toBinary,
  schema: DescMessage,
  inits: MessageSet["inits"],
): () => number {
  return () => {
    let sum = 0;
    for (let i = 0; i < inits.length; i++) sum += encode(schema, make(schema, inits[i])).length;
    return sum;
  };
}
