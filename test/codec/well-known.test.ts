import type { DescFile, DescMessage, Message } from "@bufbuild/protobuf";
import * as wkt from "@bufbuild/protobuf/wkt";
import type { Codec } from "bowline";
import * as anyCodecs from "bowline/google/protobuf/any";
import * as api from "bowline/google/protobuf/api";
import * as descriptor from "bowline/google/protobuf/descriptor";
import * as duration from "bowline/google/protobuf/duration";
import * as empty from "bowline/google/protobuf/empty";
import * as fieldMask from "bowline/google/protobuf/field_mask";
import * as sourceContext from "bowline/google/protobuf/source_context";
import * as struct from "bowline/google/protobuf/struct";
import * as timestamp from "bowline/google/protobuf/timestamp";
import * as type from "bowline/google/protobuf/type";
import * as wrappers from "bowline/google/protobuf/wrappers";
import { describe, expect, it } from "vitest";
import type { CompiledSchemas, CompiledType } from "./harness/compiled-schemas.ts";
import { tryProperty } from "./harness/run-properties.ts";
import { PROPERTIES } from "./properties/all-properties.ts";

const seed = Number(process.env.CODEC_SEED ?? Math.floor(Math.random() * 1_000_000));

const MODULES: readonly (readonly [DescFile, Readonly<Record<string, unknown>>])[] = [
  [wkt.file_google_protobuf_any, anyCodecs],
  [wkt.file_google_protobuf_api, api],
  [wkt.file_google_protobuf_descriptor, descriptor],
  [wkt.file_google_protobuf_duration, duration],
  [wkt.file_google_protobuf_empty, empty],
  [wkt.file_google_protobuf_field_mask, fieldMask],
  [wkt.file_google_protobuf_source_context, sourceContext],
  [wkt.file_google_protobuf_struct, struct],
  [wkt.file_google_protobuf_timestamp, timestamp],
  [wkt.file_google_protobuf_type, type],
  [wkt.file_google_protobuf_wrappers, wrappers],
];

function typesOf(messages: readonly DescMessage[], module: Readonly<Record<string, unknown>>): CompiledType[] {
  return messages.flatMap((desc) => {
    const name = desc.typeName.slice("google.protobuf.".length).replaceAll(".", "_");
    const codec = module[`${name}Codec`] as Codec<Message> | undefined;
    if (codec === undefined) throw new Error(`no codec of ${desc.typeName}`);
    const own = { desc, codec, judged: "generated", exported: Object.keys(module), seed } as const;
    return [own, ...typesOf(desc.nestedMessages, module)];
  });
}

describe(`codecs of well-known types, seed ${seed}`, () => {
  const types = MODULES.flatMap(([file, module]) => typesOf(file.messages, module));
  const schemas: CompiledSchemas = { folder: "", types, files: MODULES.map(([file]) => file) };

  it.each(Object.keys(PROPERTIES))("%s", { timeout: 60_000 }, (property) => {
    const faults = tryProperty(schemas, { property, rounds: 20 });
    expect(
      faults.slice(0, 3).map(({ text }) => text),
      `CODEC_SEED=${seed}`,
    ).toEqual([]);
  });
});
