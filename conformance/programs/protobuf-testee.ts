// The testee of protobuf's conformance runner: decodes what it is sent and encodes it again, in binary and in ProtoJSON, until the
// runner closes standard input. `generated` or `dynamic` says by which codecs.
import { readSync, writeSync } from "node:fs";
import { create, type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import type { Codec } from "bowline";
import { protobufCodec } from "bowline/codegen";
import {
  type ConformanceRequest,
  ConformanceRequestSchema,
  type ConformanceResponse,
  ConformanceResponseSchema,
  WireFormat,
} from "../gen/conformance/conformance_pb.ts";
import { TestAllTypesEdition2023Schema } from "../gen/google/protobuf/test_messages_edition2023_pb.ts";
import { TestAllTypesEdition2023Codec } from "../gen/google/protobuf/test_messages_edition2023_rpc.ts";
import { TestAllTypesProto2Schema as EditionsProto2Schema } from "../gen/google/protobuf/test_messages_proto2_editions_pb.ts";
import { TestAllTypesProto2Codec as EditionsProto2Codec } from "../gen/google/protobuf/test_messages_proto2_editions_rpc.ts";
import { TestAllTypesProto2Schema } from "../gen/google/protobuf/test_messages_proto2_pb.ts";
import { TestAllTypesProto2Codec } from "../gen/google/protobuf/test_messages_proto2_rpc.ts";
import { TestAllTypesProto3Schema as EditionsProto3Schema } from "../gen/google/protobuf/test_messages_proto3_editions_pb.ts";
import { TestAllTypesProto3Codec as EditionsProto3Codec } from "../gen/google/protobuf/test_messages_proto3_editions_rpc.ts";
import { TestAllTypesProto3Schema } from "../gen/google/protobuf/test_messages_proto3_pb.ts";
import { TestAllTypesProto3Codec } from "../gen/google/protobuf/test_messages_proto3_rpc.ts";

const STDIN = 0;
const STDOUT = 1;

/** Octets of the length before each message, little-endian. */
const PREFIX_BYTES = 4;

type AnyCodec = Codec<Message>;

const types: readonly (readonly [schema: DescMessage, generated: AnyCodec])[] = [
  [TestAllTypesProto2Schema, TestAllTypesProto2Codec as AnyCodec],
  [TestAllTypesProto3Schema, TestAllTypesProto3Codec as AnyCodec],
  [EditionsProto2Schema, EditionsProto2Codec as AnyCodec],
  [EditionsProto3Schema, EditionsProto3Codec as AnyCodec],
  [TestAllTypesEdition2023Schema, TestAllTypesEdition2023Codec as AnyCodec],
];
const isGenerated = process.argv[2] === "generated";
const codecs = new Map(
  types.map(([schema, generated]) => [schema.typeName, isGenerated ? generated : (protobufCodec(schema) as AnyCodec)]),
);

type Result = ConformanceResponse["result"];

/** What became of one message. */
function answer({ payload, messageType, requestedOutputFormat }: ConformanceRequest): Result {
  if (payload.case === "textPayload" || requestedOutputFormat === WireFormat.TEXT_FORMAT) {
    return { case: "skipped", value: "Bowline has no text format" };
  }
  const input = codecFor(payload.case === "jsonPayload" ? "json" : "proto", messageType);
  const output = codecFor(requestedOutputFormat === WireFormat.JSON ? "json" : "proto", messageType);
  if (payload.case === undefined || payload.case === "jspbPayload" || input === undefined || output === undefined) {
    return { case: "runtimeError", value: `nothing known of ${payload.case} of ${messageType}` };
  }
  let message: Message;
  try {
    const bytes = Buffer.from(payload.value);
    message = input.read(bytes, 0, bytes.length);
  } catch (error) {
    return { case: "parseError", value: (error as Error).message };
  }
  return encode(output, message);
}

function encode(codec: AnyCodec, message: Message): Result {
  try {
    const target = Buffer.alloc(codec.measure(message));
    const bytes = target.subarray(0, codec.write(message, target, 0));
    return codec.name === "json"
      ? { case: "jsonPayload", value: bytes.toString() }
      : { case: "protobufPayload", value: bytes };
  } catch (error) {
    return { case: "serializeError", value: (error as Error).message };
  }
}

function codecFor(format: "json" | "proto", messageType: string): AnyCodec | undefined {
  return codecs.get(messageType)?.as?.(format);
}

/** The next `length` octets; undefined at the end of the input. */
function readExactly(length: number): Buffer | undefined {
  const bytes = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const count = readSync(STDIN, bytes, filled, length - filled, null);
    if (count === 0) return undefined;
    filled += count;
  }
  return bytes;
}

for (;;) {
  const length = readExactly(PREFIX_BYTES)?.readUInt32LE();
  const bytes = length === undefined ? undefined : readExactly(length);
  if (bytes === undefined) break;
  const result = answer(fromBinary(ConformanceRequestSchema, bytes));
  const response = toBinary(ConformanceResponseSchema, create(ConformanceResponseSchema, { result }));
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32LE(response.length);
  writeSync(STDOUT, Buffer.concat([prefix, response]));
}
