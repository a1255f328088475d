import { create, type DescMessage, type Message, toBinary } from "@bufbuild/protobuf";
import {
  FileDescriptorSetSchema,
  FileOptionsSchema,
  file_google_protobuf_struct,
  file_google_protobuf_type,
  StructSchema,
  TypeSchema,
} from "@bufbuild/protobuf/wkt";
import { FileDescriptorSetCodec, FileOptionsCodec } from "bowline/google/protobuf/descriptor";
import { StructCodec } from "bowline/google/protobuf/struct";
import { TypeCodec } from "bowline/google/protobuf/type";
import type { Codec } from "../../../packages/bowline/src/codec/codec.ts";
import type { CompiledType } from "../../codec/harness/compiled-schemas.ts";
import { judge } from "../../codec/properties/decoding.ts";
import type { FuzzTarget } from "../engine/fuzz-target.ts";
import { protobufFields } from "../oracles/protobuf-fields.ts";

function generated(desc: DescMessage, codec: unknown): CompiledType {
  return { desc, codec: codec as Codec<Message>, judged: "generated", exported: [], seed: 0 };
}

const TYPES: readonly CompiledType[] = [
  generated(FileDescriptorSetSchema, FileDescriptorSetCodec),
  generated(StructSchema, StructCodec),
  generated(TypeSchema, TypeCodec),
  generated(FileOptionsSchema, FileOptionsCodec),
];

function seeds(): Uint8Array[] {
  const file = file_google_protobuf_struct.proto;
  const small = create(FileDescriptorSetSchema, {
    file: [{ ...file, name: "a.proto", messageType: file.messageType.slice(0, 1), enumType: file.enumType }],
  });
  const struct = create(StructSchema, {
    fields: {
      a: { kind: { case: "numberValue", value: 1.5 } },
      b: { kind: { case: "listValue", value: { values: [{ kind: { case: "stringValue", value: "ü" } }] } } },
      c: { kind: { case: "structValue", value: { fields: { d: { kind: { case: "boolValue", value: true } } } } } },
    },
  });
  const type = create(TypeSchema, {
    name: "T",
    fields: [
      {
        name: "f",
        number: 3,
        oneofIndex: -1,
        options: [{ name: "o", value: { typeUrl: "x/y", value: Uint8Array.of(1) } }],
      },
    ],
    oneofs: ["one"],
    sourceContext: { fileName: "a.proto" },
  });
  const options = create(FileOptionsSchema, {
    javaPackage: "p",
    uninterpretedOption: [{ doubleValue: -1, positiveIntValue: 2n ** 64n - 1n, negativeIntValue: -(2n ** 63n) }],
  });
  const large = create(FileDescriptorSetSchema, { file: [file_google_protobuf_type.proto] });
  return [
    ofType(0, toBinary(FileDescriptorSetSchema, small)),
    ofType(1, toBinary(StructSchema, struct)),
    ofType(2, toBinary(TypeSchema, type)),
    ofType(3, toBinary(FileOptionsSchema, options)),
    ofType(0, toBinary(FileDescriptorSetSchema, large).subarray(0, 1500)),
  ];
}

/** The first octet names the type. */
function ofType(index: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(index), bytes]);
}

/** Generated decoders of four messages that together have every kind of field, against protobuf-es. */
export function codecTarget(): FuzzTarget {
  return {
    name: "codec",
    what: "generated decoders of descriptor, struct and type against protobuf-es",
    covers: ["src/codec/wire/", "descriptor_rpc.ts", "struct_rpc.ts", "type_rpc.ts", "codec/generated-codec.ts"],
    maxBytes: 2048,
    tokens: [
      "0a",
      "0b",
      "0c",
      "12",
      "ffffffffffffffffff01",
      "ffffffff0f",
      "8080808000",
      "c3bc",
      "edb080",
      "f4908080",
    ].map((hex) => Buffer.from(hex, "hex")),
    seeds: seeds(),
    framing: {
      split: (input) => [input.subarray(0, 1), ...protobufFields.split(input.subarray(1))],
      seal: (record) => protobufFields.seal(record),
    },
    run(input) {
      if (input.length > 0) judge(TYPES[input[0] % TYPES.length], input.subarray(1), input.length & 7);
    },
  };
}
