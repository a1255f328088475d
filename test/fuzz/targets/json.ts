import type { Message } from "@bufbuild/protobuf";
import { FileOptionsSchema, StructSchema, TypeSchema } from "@bufbuild/protobuf/wkt";
import type { Codec } from "../../../packages/bowline/src/codec/codec.ts";
import { protobufJsonCodec } from "../../../packages/bowline/src/codec/protobuf-json-codec.ts";
import { decode, encode, expectCodecError, outcomeOf } from "../../codec/harness/use-codec.ts";
import { difference } from "../../codec/properties/property.ts";
import { type FuzzTarget, fault } from "../engine/fuzz-target.ts";

const CODECS = [StructSchema, TypeSchema, FileOptionsSchema].map(
  (schema) => protobufJsonCodec(schema) as Codec<Message>,
);
const PROTOTYPE = Object.getOwnPropertyNames(Object.prototype).length;

/** ProtoJSON has -0, but JSON.stringify writes 0 for it, with protobuf-es as with us. */
function dropSignsOfZero(value: unknown): void {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return;
  const fields = value as Record<string, unknown>;
  for (const name of Object.keys(fields)) {
    if (Object.is(fields[name], -0)) fields[name] = 0;
    else dropSignsOfZero(fields[name]);
  }
}

/** What is read can be written, and reads as the same. */
function judge(codec: Codec<Message>, input: Buffer): void {
  const seen = outcomeOf(() => decode(codec, input));
  if (Object.getOwnPropertyNames(Object.prototype).length !== PROTOTYPE) fault("Object.prototype was changed");
  if ("error" in seen) {
    expectCodecError(seen.error, "decoding JSON");
    return;
  }
  const written = outcomeOf(() => encode(codec, seen.value));
  if ("error" in written) {
    // Binary can hold what JSON can't, and unknown names of JSON leave fields unset: only the promised error counts.
    expectCodecError(written.error, "encoding JSON");
    return;
  }
  dropSignsOfZero(seen.value);
  const unlike = difference(decode(codec, written.value), seen.value);
  if (unlike !== undefined) fault(`${JSON.stringify(input.toString())} changes on its way: ${unlike}`);
}

const SEEDS = [
  `{"a":-0,"b":[-0.0e4]}`,
  `{"a":1.5,"b":[null,"ü",{"c":true}],"__proto__":{"x":1}}`,
  `{"name":"T","fields":[{"kind":"TYPE_INT32","number":3,"options":[{"name":"o","value":{"@type":"type.googleapis.com/google.protobuf.Type","name":"x"}}]}],"syntax":"SYNTAX_PROTO3"}`,
  `{"javaPackage":"p","optimizeFor":"SPEED","uninterpretedOption":[{"positiveIntValue":"18446744073709551615","doubleValue":"NaN","stringValue":"AAE="}]}`,
];

/** The codec of ProtoJSON. */
export function jsonTarget(): FuzzTarget {
  return {
    name: "json",
    what: "ProtoJSON codec of struct, type and options",
    covers: ["codec/protobuf-json-codec.ts", "@bufbuild/protobuf/dist/esm/from-json", "codec/protobuf-message.ts"],
    maxBytes: 2048,
    tokens: [
      "{",
      "}",
      "[",
      "]",
      '"',
      "null",
      "1e400",
      "-0",
      "1e308",
      '"NaN"',
      "\\u0000",
      "\\ud800",
      '"@type"',
      ",",
      ":",
      '"__proto__":',
      "18446744073709551616",
    ].map((text) => Buffer.from(text)),
    seeds: SEEDS.map((text) => Buffer.from(text)),
    run(input) {
      for (const codec of CODECS) judge(codec, input);
    },
  };
}
