import {
  create,
  createFileRegistry,
  type DescMessage,
  type Message,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import {
  AnySchema,
  anyPack,
  DurationSchema,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  file_google_protobuf_any,
  file_google_protobuf_duration,
  ListValueSchema,
  StructSchema,
  ValueSchema,
} from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Code } from "../rpc/code.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import type { Codec } from "./codec.ts";
import { protobufCodec } from "./protobuf-codec.ts";

function json<Desc extends DescMessage>(schema: Desc): Codec<MessageShape<Desc>> {
  const codec = protobufCodec(schema).as?.("json");
  if (codec === undefined) throw new Error("there is no JSON");
  return codec;
}

/** Encodes as a call does: measure, then write at once, somewhere in a larger buffer. */
function encode<T>(codec: Codec<T>, message: unknown): string {
  const target = Buffer.alloc(3 + codec.measure(message as T) + 3, 0xee);
  return target.toString("utf8", 3, codec.write(message as T, target, 3));
}

/** Decodes as a connection does: the bytes lie within a chunk that is overwritten afterwards. */
function decode<T>(codec: Codec<T>, text: string | Uint8Array): T {
  const bytes = Buffer.from(text as string);
  const chunk = Buffer.concat([Buffer.alloc(5, 0xee), bytes, Buffer.alloc(5, 0xee)]);
  const message = codec.read(chunk, 5, 5 + bytes.length);
  chunk.fill(0xff);
  return message;
}

function errorOf(action: () => unknown): RpcError {
  try {
    action();
  } catch (error) {
    expect(RpcError.is(error)).toBe(true);
    return error as RpcError;
  }
  throw new Error("nothing was thrown");
}

const { BYTES, INT64, MESSAGE, STRING } = FieldDescriptorProto_Type;

function field(name: string, number: number, type: FieldDescriptorProto_Type, typeName?: string) {
  return { name, jsonName: name, number, type, typeName, label: FieldDescriptorProto_Label.OPTIONAL };
}

/** Descriptors that exist at run time only: a file that imports Any and Duration. */
function runTimeSchema(): DescMessage {
  const file = {
    name: "box/v1/box.proto",
    package: "box.v1",
    syntax: "proto3",
    dependency: ["google/protobuf/any.proto", "google/protobuf/duration.proto"],
    messageType: [
      {
        name: "Box",
        field: [
          field("label", 1, STRING),
          field("weight", 2, INT64),
          field("seal", 3, BYTES),
          field("content", 4, MESSAGE, ".google.protobuf.Any"),
          field("inner", 5, MESSAGE, ".box.v1.Box"),
        ],
      },
      { name: "Toy", field: [field("name", 1, STRING)] },
    ],
  };
  const set = create(FileDescriptorSetSchema, {
    file: [
      file_google_protobuf_any.proto,
      file_google_protobuf_duration.proto,
      create(FileDescriptorProtoSchema, file),
    ],
  });
  return createFileRegistry(set).getMessage("box.v1.Box") as DescMessage;
}

const BoxSchema = runTimeSchema();
const box = json(BoxSchema);
const value = json(ValueSchema);

/** What the codec of a run-time schema takes: any object of fields. */
const boxOf = (init: object): Message => create(BoxSchema, init as MessageInitShape<DescMessage>);

describe("a protobuf codec", () => {
  it("offers itself as json, one object however often it is asked, and nothing else", () => {
    const codec = protobufCodec(DurationSchema);
    expect(codec.as?.("json")).toBe(codec.as?.("json"));
    expect(codec.as?.("json")?.name).toBe("json");
    expect(codec.as?.("proto")).toBe(codec);
    for (const name of ["", "JSON", "xml", "toString", "__proto__"]) expect(codec.as?.(name)).toBeUndefined();
  });
});

describe("a message as JSON", () => {
  it("is ProtoJSON: 64-bit integers as text, bytes as base64, well-known types in their own form", () => {
    const message = { label: "ü", weight: 9007199254740993n, seal: Uint8Array.of(0, 255) };
    expect(JSON.parse(encode(box, message))).toEqual({ label: "ü", weight: "9007199254740993", seal: "AP8=" });
    expect(encode(json(DurationSchema), { seconds: 1n, nanos: 500_000_000 })).toBe('"1.500s"');
    expect(decode(json(DurationSchema), '"1.5s"')).toMatchObject({ seconds: 1n, nanos: 500_000_000 });
  });

  it("comes back as it was, whatever it holds", () => {
    fc.assert(
      fc.property(
        fc.record({
          label: fc.string({ unit: "grapheme" }),
          weight: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
          seal: fc.uint8Array({ maxLength: 300 }),
        }),
        (init) => {
          const read = decode(box, encode(box, init));
          expect(read).toEqual(boxOf(init));
        },
      ),
    );
  });

  it("is encoded once for measure and write, and handed over whole without a copy", () => {
    let reads = 0;
    const message = {
      get label(): string {
        reads++;
        return "x".repeat(20_000);
      },
    };
    encode(box, message);
    const once = reads;
    encode(box, message);
    expect(reads).toBe(2 * once);
    box.measure(message as never);
    expect(Buffer.from(box.whole?.(message as never) ?? []).toString()).toBe(`{"label":"${"x".repeat(20_000)}"}`);
    expect(reads).toBe(3 * once);
  });

  it("may hold Any of the types of its file and of those that it imports", () => {
    const text = '{"content":{"@type":"type.googleapis.com/google.protobuf.Duration","value":"3s"}}';
    const read = decode(box, text);
    expect((read as unknown as { content: unknown }).content).toEqual(
      anyPack(DurationSchema, create(DurationSchema, { seconds: 3n })),
    );
    expect(JSON.parse(encode(box, read))).toEqual(JSON.parse(text));
    const toy = '{"content":{"@type":"type.googleapis.com/box.v1.Toy","name":"top"}}';
    expect(JSON.parse(encode(box, decode(box, toy)))).toEqual(JSON.parse(toy));
  });

  it("may hold what a newer peer has added: unknown fields and names of enums are ignored", () => {
    expect(decode(box, '{"label":"a","added":{"later":[1,2]}}')).toEqual(boxOf({ label: "a" }));
  });

  it("can't set what objects inherit", () => {
    const read = decode(json(StructSchema), '{"__proto__":{"polluted":true},"constructor":1}');
    expect(Object.keys(read.fields ?? {})).toContain("constructor");
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });
});

describe("JSON that can't be read", () => {
  it.each<[string, string | Uint8Array, RegExp]>([
    ["no JSON", "weight: 1", /box\.v1\.Box from 9 bytes of JSON: .*not valid JSON/],
    ["nothing", "", /box\.v1\.Box from 0 bytes of JSON: .*end of JSON input/],
    ["cut off", '{"label":"a"', /from 12 bytes of JSON/],
    ["no object", "[1]", /cannot decode message box\.v1\.Box from JSON/],
    ["of the wrong type", '{"label":1}', /box\.v1\.Box\.label.*expected string, got 1/],
    ["a number out of range", '{"weight":"9223372036854775808"}', /box\.v1\.Box\.weight/],
    ["bytes that are no base64", '{"seal":"%"}', /box\.v1\.Box\.seal.*base64/],
    ["one field twice", '{"label":"a","label":"b"}', /duplicate|multiple/],
    ["an Any of an unknown type", '{"content":{"@type":"type.googleapis.com/no.Such"}}', /no\.Such/],
    ["no UTF-8", Uint8Array.of(0x22, 0xff, 0x22), /not valid|encoded data/],
  ])("is refused with the message type and the fault: %s", (_what, text, expected) => {
    const error = errorOf(() => decode(box, text));
    expect(error).toMatchObject({ code: Code.INTERNAL, reason: "codec", text: expect.stringMatching(expected) });
    expect(error.text).toContain("can't decode box.v1.Box");
  });

  it("is refused when it nests more than 100 deep, however it does", () => {
    const nested = (levels: number): string => `${'{"inner":'.repeat(levels)}{}${"}".repeat(levels)}`;
    expect(decode(box, nested(99))).toBeDefined();
    for (const levels of [100, 100_000]) expect(errorOf(() => decode(box, nested(levels))).text).toMatch(/recursion/);
    const lists = errorOf(() => decode(value, "[".repeat(100_000) + "]".repeat(100_000)));
    expect(lists.text).toMatch(/can't decode google\.protobuf\.Value.*recursion/);
    // What belongs to an unknown field is passed over.
    expect(decode(box, `{"unknown":${"[".repeat(100_000)}${"]".repeat(100_000)}}`)).toEqual(boxOf({}));
  });

  it("is refused with this one kind of error, whatever it is", () => {
    const fields = fc.dictionary(fc.constantFrom("label", "weight", "seal", "inner", "content", "x"), fc.jsonValue());
    const text = fc.oneof(
      fields.map((value) => JSON.stringify(value)),
      fc.json(),
      fc.string({ unit: "binary" }),
    );
    const bytes = fc.oneof(
      text.map((each) => Buffer.from(each)),
      fc.uint8Array({ maxLength: 50 }),
    );
    fc.assert(
      fc.property(bytes, (each) => {
        try {
          box.read(Buffer.from(each), 0, each.length);
        } catch (error) {
          expect(error).toMatchObject({ code: Code.INTERNAL, reason: "codec" });
        }
      }),
      { numRuns: 500 },
    );
  });

  it("is shown in part only", () => {
    const error = errorOf(() => decode(json(ListValueSchema), `["${"x".repeat(10_000)}",`));
    expect(error.text.length).toBeLessThan(500);
  });
});

describe("a message that can't be written as JSON", () => {
  it.each<[string, unknown, RegExp]>([
    ["another message", create(DurationSchema), /can't encode box\.v1\.Box as JSON: it is google\.protobuf\.Duration/],
    ["nothing", undefined, /can't encode box\.v1\.Box as JSON: it is undefined/],
    ["a value of the wrong type", { label: 5 }, /can't encode box\.v1\.Box as JSON: .*label/],
    [
      "an Any of a type that the file does not know",
      { content: create(AnySchema, { typeUrl: "type.googleapis.com/no.Such", value: Uint8Array.of(8, 1) }) },
      /can't encode box\.v1\.Box as JSON: .*no\.Such/,
    ],
  ])("is named: %s", (_what, message, text) => {
    const error = errorOf(() => box.measure(message as never));
    expect(error).toMatchObject({ code: Code.INTERNAL, reason: "codec", text: expect.stringMatching(text) });
  });
});
