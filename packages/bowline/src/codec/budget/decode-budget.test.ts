import { create, createFileRegistry, type DescMessage, type MessageInitShape, toJsonString } from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  type FieldDescriptorProtoSchema,
  FieldMaskSchema,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  file_google_protobuf_any,
  file_google_protobuf_struct,
  type ListValue,
  ListValueSchema,
} from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { SourceCodeInfoCodec } from "../../gen/google/protobuf/descriptor_rpc.ts";
import { ListValueCodec } from "../../gen/google/protobuf/struct_rpc.ts";
import { Code } from "../../rpc/code.ts";
import { RpcError } from "../../rpc/rpc-error.ts";
import { boundedCodec, type Codec } from "../codec.ts";
import { protobufCodec } from "../protobuf-codec.ts";
import { protobufJsonCodec } from "../protobuf-json-codec.ts";
import { sharedBytes } from "../shared-bytes.ts";

/** So many empty values, in two bytes each. */
function binary(count: number): Buffer {
  return Buffer.alloc(2 * count, Buffer.from([0x0a, 0]));
}

function json(count: number): Buffer {
  return Buffer.from(`[${new Array(count).fill("[]").join()}]`);
}

const CODECS: readonly (readonly [string, Codec<ListValue>, (count: number) => Buffer])[] = [
  ["generated code", ListValueCodec, binary],
  ["generated code that copies nothing", sharedBytes(ListValueCodec), binary],
  ["protobuf-es", protobufCodec(ListValueSchema), binary],
  ["JSON", protobufJsonCodec(ListValueSchema), json],
  ["JSON of generated code", ListValueCodec.as?.("json") as Codec<ListValue>, json],
  ["JSON of protobuf-es", protobufCodec(ListValueSchema).as?.("json") as Codec<ListValue>, json],
];

function refusal(codec: Codec<unknown>, bytes: Buffer): string {
  try {
    codec.read(bytes, 0, bytes.length);
  } catch (error) {
    expect(error).toBeInstanceOf(RpcError);
    expect(error).toMatchObject({ code: Code.RESOURCE_EXHAUSTED, reason: "limit" });
    return (error as RpcError).text;
  }
  throw new Error("it was read");
}

describe.each(CODECS)("the memory of a message by %s", (_name, codec, make) => {
  it("is bounded by 32 MiB unless the user says otherwise", () => {
    const bytes = make(800_000);
    const said =
      /^can't decode google.protobuf.ListValue from \d+ bytes( of JSON)?: its objects would take more than 32 MiB/;
    expect(refusal(codec, bytes)).toMatch(said);
    const wide = codec.bounded?.(1 << 30) as Codec<ListValue>;
    expect(wide.read(bytes, 0, bytes.length).values).toHaveLength(800_000);
  });

  it("is bounded by maxDecodedBytes, also below 32 MiB and in the other form", () => {
    const bounded = boundedCodec(codec, 5000);
    const few = make(10);
    expect(bounded.read(few, 0, few.length).values).toHaveLength(10);
    const said = "its objects would take more than 5000 bytes (maxDecodedBytes); send it in parts";
    expect(refusal(bounded, make(1000))).toContain(said);
    const other = bounded.name === "json" ? undefined : (bounded.as?.("json") as Codec<ListValue>);
    if (other !== undefined) expect(refusal(other, json(1000))).toContain(said);
    expect(bounded.name).toBe(codec.name);
  });

  it("stays as it is without the option", () => {
    expect(boundedCodec(codec, undefined)).toBe(codec);
  });
});

describe("the memory of a message with many lists of one element", () => {
  // SourceCodeInfo: locations with a path and a span, which are packed, and a detached comment.
  const location = Buffer.from([0x0a, 9, 0x0a, 1, 5, 0x12, 1, 5, 0x32, 1, 0x61]);
  const count = 1000;
  const bytes = Buffer.alloc(location.length * count, location);

  it("counts the room that V8 gives each", () => {
    const lists = 3 * 150 * count;
    expect(refusal(boundedCodec(SourceCodeInfoCodec, lists), bytes)).toContain("its objects would take more than");
    const { location: read } = boundedCodec(SourceCodeInfoCodec, 2 * lists).read(bytes, 0, bytes.length);
    expect(read).toHaveLength(count);
    expect(read[0]).toMatchObject({ path: [5], span: [5], leadingDetachedComments: ["a"] });
  });
});

describe("the memory of a message in JSON", () => {
  const codec = protobufJsonCodec(FileDescriptorSetSchema).bounded?.(20_000) as Codec<unknown>;
  const refused = "its objects would take more than 20000 bytes";

  it("counts what its messages take, whose texts may be short", () => {
    const empty = Buffer.from(
      toJsonString(FileDescriptorSetSchema, { $typeName: "google.protobuf.FileDescriptorSet", file: [] }),
    );
    expect(codec.read(empty, 0, empty.length)).toBeDefined();
    expect(refusal(codec, Buffer.from(`{"file":[${new Array(100).fill("{}").join()}]}`))).toContain(refused);
    const messages = new Array(100).fill('{"field":[{}]}').join();
    expect(refusal(codec, Buffer.from(`{"file":[{"messageType":[${messages}]}]}`))).toContain(refused);
  });

  it("counts what JSON.parse makes of it, of unknown fields as well", () => {
    expect(refusal(codec, Buffer.from(`{"none":[${new Array(400).fill("{}").join()}]}`))).toContain(refused);
    expect(refusal(codec, Buffer.from(`{"none":"${'\\"{'.repeat(8000)}"}`))).toContain(refused);
    const text = Buffer.from(`{"none":"${'{\\"'.repeat(1000)}"}`);
    expect(codec.read(text, 0, text.length)).toBeDefined();
  });

  it("leaves other faults to protobuf-es", () => {
    const text = Buffer.from(`{"file":[${" ".repeat(3000)}`);
    expect(() => codec.read(text, 0, text.length)).toThrow(/can't decode .* of JSON: .*JSON/);
  });
});

/** A list of messages that have sixty lists each, also as an extension and in an Any. */
function wideSchema(): DescMessage {
  const { REPEATED, OPTIONAL } = labels;
  const wide: Field[] = Array.from({ length: 60 }, (_, i) => {
    return { name: `f${i}`, number: i + 1, type: types.INT32, label: REPEATED };
  });
  const list: Field = { name: "list", number: 1, type: types.MESSAGE, typeName: ".test.Wide", label: REPEATED };
  const struct: Field = {
    name: "struct",
    number: 3,
    type: types.MESSAGE,
    typeName: ".google.protobuf.Struct",
    label: OPTIONAL,
  };
  const any: Field = { name: "any", number: 2, type: types.MESSAGE, typeName: ".google.protobuf.Any", label: OPTIONAL };
  const file = create(FileDescriptorProtoSchema, {
    name: "test.proto",
    package: "test",
    dependency: ["google/protobuf/any.proto", "google/protobuf/struct.proto"],
    messageType: [
      { name: "Wide", field: wide },
      { name: "Holder", field: [list, any, struct], extensionRange: [{ start: 100, end: 200 }] },
    ],
    extension: [{ ...list, name: "more", number: 100, extendee: ".test.Holder" }],
  });
  const files = create(FileDescriptorSetSchema, {
    file: [file_google_protobuf_any.proto, file_google_protobuf_struct.proto, file],
  });
  return createFileRegistry(files).getMessage("test.Holder") as DescMessage;
}

type Field = MessageInitShape<typeof FieldDescriptorProtoSchema>;
const labels = FieldDescriptorProto_Label;
const types = FieldDescriptorProto_Type;

describe("the memory of messages that protobuf-es makes", () => {
  const wide = wideSchema();
  const list = (count: number): string => `[${new Array(count).fill("{}").join()}]`;
  const forms: readonly (readonly [string, Codec<unknown>, (count: number) => Buffer])[] = [
    ["binary", protobufCodec(wide), binary],
    ["JSON", protobufJsonCodec(wide), (count) => Buffer.from(`{"list":${list(count)}}`)],
    ["an extension in JSON", protobufJsonCodec(wide), (count) => Buffer.from(`{"[test.more]":${list(count)}}`)],
    [
      "an Any in JSON",
      protobufJsonCodec(wide),
      (count) => Buffer.from(`{"any":{"@type":"example.com/test.Holder","list":${list(count)}}}`),
    ],
    [
      "an Any in an Any in JSON",
      protobufJsonCodec(wide),
      (count) => {
        const inner = `{"@type":"x/test.Holder","list":${list(count)}}`;
        return Buffer.from(`{"any":{"@type":"x/google.protobuf.Any","value":${inner}}}`);
      },
    ],
  ];

  it.each(forms)("is what V8 makes of properties that come one by one: %s", (_name, codec, make) => {
    const bounded = codec.bounded?.(1 << 20) as Codec<unknown>;
    const [few, many] = [make(150), make(250)];
    // Sixty lists of 32 bytes, and a table of 128 places.
    expect(bounded.read(few, 0, few.length)).toBeDefined();
    expect(refusal(bounded, many)).toContain("its objects would take more than 1048576 bytes");
  });

  it("counts a Struct that comes in parts anew for each part, as it is made", () => {
    const bounded = protobufCodec(wide).bounded?.(1 << 20) as Codec<unknown>;
    // { fields: { a: {} } }
    const make = (count: number): Buffer => Buffer.alloc(7 * count, Buffer.from([0x1a, 5, 0x0a, 3, 0x0a, 1, 0x61]));
    expect(bounded.read(make(50), 0, 350)).toMatchObject({ struct: { a: null } });
    expect(refusal(bounded, make(200))).toContain("its objects would take more than 1048576 bytes");
  });

  it("counts the paths of a FieldMask, which are one text in JSON", () => {
    const bounded = protobufJsonCodec(FieldMaskSchema).bounded?.(5000) as Codec<unknown>;
    const make = (count: number): Buffer => Buffer.from(JSON.stringify(new Array(count).fill("ab").join()));
    expect(bounded.read(make(50), 0, make(50).length)).toMatchObject({ paths: new Array(50).fill("ab") });
    expect(refusal(bounded, make(200))).toContain("its objects would take more than 5000 bytes");
  });
});
