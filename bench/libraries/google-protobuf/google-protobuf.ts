import { createRequire } from "node:module";
import { file_bench_v1_all_types } from "../../gen/bench/v1/all_types_pb.ts";
import { file_bench_v1_blob } from "../../gen/bench/v1/blob_pb.ts";
import { file_bench_v1_order } from "../../gen/bench/v1/order_pb.ts";
import { file_bench_v1_tiny } from "../../gen/bench/v1/tiny_pb.ts";
import { file_bench_v1_tree } from "../../gen/bench/v1/tree_pb.ts";
import { freshCopy, type Library } from "../library.ts";
import { emitGoogleProtobuf } from "./emit.ts";

/** A class as Google's generator makes it. */
interface GoogleClass {
  deserializeBinary(bytes: Uint8Array): GoogleMessage;
}

interface GoogleMessage {
  serializeBinary(): Uint8Array;
}

const FILES = [
  file_bench_v1_tiny,
  file_bench_v1_order,
  file_bench_v1_blob,
  file_bench_v1_tree,
  file_bench_v1_all_types,
];

/**
 * google-protobuf with code in the style of its generator. 64-bit numbers are JavaScript's numbers, which is its default; those of
 * all-types, which need more than 53 bits, are texts.
 */
export const googleProtobuf: Library = {
  prepare: ({ schema, bytes }) => {
    const type = classes()[schema.typeName];
    const own = bytes.map((each) => type.deserializeBinary(each));
    return {
      encode: freshCopy(encodeLoop)(own),
      encoded: (index) => own[index].serializeBinary(),
      decode: freshCopy(decodeLoop)(type, bytes),
      decoded: (index) => type.deserializeBinary(bytes[index]).serializeBinary(),
    };
  },
};

let made: Readonly<Record<string, GoogleClass>> | undefined;

function classes(): Readonly<Record<string, GoogleClass>> {
  if (made !== undefined) return made;
  const source = emitGoogleProtobuf(FILES, (message) => message.file === file_bench_v1_all_types);
  made = new Function("require", source)(createRequire(import.meta.url)) as Readonly<Record<string, GoogleClass>>;
  return made;
}

function encodeLoop(messages: readonly GoogleMessage[]): () => number {
  return () => {
    let sum = 0;
    for (let i = 0; i < messages.length; i++) sum += messages[i].serializeBinary().length;
    return sum;
  };
}

function decodeLoop(type: GoogleClass, bytes: readonly Uint8Array[]): () => unknown {
  return () => {
    let last: unknown;
    for (let i = 0; i < bytes.length; i++) last = type.deserializeBinary(bytes[i]);
    return last;
  };
}
