import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type { DescMessage, Message } from "@bufbuild/protobuf";
import protobufjs from "protobufjs";
import { AllTypesSchema, file_bench_v1_all_types } from "../../../bench/gen/bench/v1/all_types_pb.ts";
import { AllTypesCodec } from "../../../bench/gen/bench/v1/all_types_rpc.ts";
import { file_bench_v1_tiny } from "../../../bench/gen/bench/v1/tiny_pb.ts";
import { emitGoogleProtobuf } from "../../../bench/libraries/google-protobuf/emit.ts";
import { TestAllTypesEdition2023Schema } from "../../../conformance/gen/google/protobuf/test_messages_edition2023_pb.ts";
import { TestAllTypesEdition2023Codec } from "../../../conformance/gen/google/protobuf/test_messages_edition2023_rpc.ts";
import { TestAllTypesProto2Schema } from "../../../conformance/gen/google/protobuf/test_messages_proto2_pb.ts";
import { TestAllTypesProto2Codec } from "../../../conformance/gen/google/protobuf/test_messages_proto2_rpc.ts";
import type { Codec } from "../../../packages/bowline/src/codec/codec.ts";

/** Libraries that are compared with. */
export type Library = "protobufjs" | "google-protobuf";

/** Another library's codec of one type of message. */
export interface OtherCodec {
  readonly library: Library;
  /** Decodes, and encodes what came of it. Throws what the library throws. */
  again(bytes: Uint8Array): Uint8Array;
}

/** A type of message with our codec and those of others. */
export interface ComparedType {
  readonly desc: DescMessage;
  readonly codec: Codec<Message>;
  readonly others: readonly OtherCodec[];
}

interface GoogleClass {
  deserializeBinary(bytes: Uint8Array): { serializeBinary(): Uint8Array };
}

const BENCH = fileURLToPath(new URL("../../../bench/proto/", import.meta.url));
const CONFORMANCE = fileURLToPath(new URL("../../../conformance/proto/", import.meta.url));

/**
 * Messages that together have every kind of field: proto3 with maps, oneofs and wrappers; proto2 with groups, closed enums, defaults and
 * MessageSet; edition 2023 with delimited messages. google-protobuf has no generator on npm, and the one of bench/libraries proto3 only.
 */
export function comparedTypes(): readonly ComparedType[] {
  const testMessages = (name: string, desc: DescMessage, codec: unknown): ComparedType => {
    const other = fromProtobufjs(CONFORMANCE, `google/protobuf/test_messages_${name}.proto`, desc);
    return { desc, codec: codec as Codec<Message>, others: [other] };
  };
  return [
    {
      desc: AllTypesSchema,
      codec: AllTypesCodec as Codec<Message>,
      others: [fromProtobufjs(BENCH, "bench/v1/all_types.proto", AllTypesSchema), fromGoogle()],
    },
    testMessages("proto2", TestAllTypesProto2Schema, TestAllTypesProto2Codec),
    testMessages("edition2023", TestAllTypesEdition2023Schema, TestAllTypesEdition2023Codec),
  ];
}

function fromProtobufjs(folder: string, file: string, desc: DescMessage): OtherCodec {
  const root = new protobufjs.Root();
  const isOurs = (target: string): boolean => target.startsWith("bench/") || target.includes("test_messages");
  root.resolvePath = (_origin, target) => (isOurs(target) ? folder + target : target);
  const type = root.loadSync(file).lookupType(desc.typeName);
  // A copy: protobufjs writes Buffers, of which others would take slices.
  return { library: "protobufjs", again: (bytes) => new Uint8Array(type.encode(type.decode(bytes)).finish()) };
}

function fromGoogle(): OtherCodec {
  // 64-bit numbers as texts, as with jstype = JS_STRING: as JavaScript's numbers they would lose bits.
  const source = emitGoogleProtobuf([file_bench_v1_tiny, file_bench_v1_all_types], () => true);
  const classes = new Function("require", source)(createRequire(import.meta.url)) as Record<string, GoogleClass>;
  const { deserializeBinary } = classes[AllTypesSchema.typeName];
  return { library: "google-protobuf", again: (bytes) => deserializeBinary(bytes).serializeBinary() };
}
