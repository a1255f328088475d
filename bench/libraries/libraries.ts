import { bowline, bowlineInit, bowlineToBytes } from "./bowline.ts";
import { googleProtobuf } from "./google-protobuf/google-protobuf.ts";
import { json } from "./json.ts";
import type { Library } from "./library.ts";
import { protobufEs, protobufEsCreate } from "./protobuf-es.ts";
import { protobufjsReflection, protobufjsStatic } from "./protobufjs.ts";

/** All that `codec` measures, by the name in its tables. */
export const LIBRARIES: Readonly<Record<string, Library>> = {
  bowline,
  "bowline toBytes": bowlineToBytes,
  "bowline init": bowlineInit,
  "protobuf-es": protobufEs,
  "protobuf-es create": protobufEsCreate,
  "protobufjs static": protobufjsStatic,
  "protobufjs reflection": protobufjsReflection,
  "google-protobuf": googleProtobuf,
  JSON: json,
};
