import {
  create,
  createFileRegistry,
  type DescMessage,
  type Message,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  AnySchema,
  DurationSchema,
  EmptySchema,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  type FieldDescriptorProtoSchema,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  file_google_protobuf_struct,
  ListValueSchema,
  StringValueSchema,
  StructSchema,
  ValueSchema,
} from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FileDescriptorProtoCodec } from "../gen/google/protobuf/descriptor_rpc.ts";
import { Code } from "../rpc/code.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import { inNextTurn } from "../rpc/turn.ts";
import type { Codec } from "./codec.ts";
import { protobufCodec } from "./protobuf-codec.ts";

/** Encodes as a call does: measure, then write at once, somewhere in a larger buffer. */
function encode<T>(codec: Codec<T>, message: T, at = 3): Buffer {
  const target = Buffer.alloc(at + codec.measure(message) + 3, 0xee);
  const end = codec.write(message, target, at);
  expect(target.subarray(0, at).every((byte) => byte === 0xee)).toBe(true);
  expect(target.subarray(end).every((byte) => byte === 0xee)).toBe(true);
  return target.subarray(at, end);
}

/** Decodes as a connection does: the bytes lie within a chunk that is overwritten afterwards. */
function decode<T>(codec: Codec<T>, bytes: Uint8Array): T {
  const chunk = Buffer.alloc(bytes.length + 10, 0xee);
  chunk.set(bytes, 5);
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

const int32 = fc.integer();
const uint32 = fc.nat({ max: 0xffffffff });
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const text = fc.string({ unit: "binary", maxLength: 40 });

const scalarValues: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  double: fc.double(),
  float: fc.float(),
  int64,
  uint64,
  int32,
  fixed64: uint64,
  fixed32: uint32,
  bool: fc.boolean(),
  string: text,
  bytes: fc.uint8Array({ maxLength: 300 }),
  uint32,
  sfixed32: int32,
  sfixed64: int64,
  sint32: int32,
  sint64: int64,
};

/** A message with a field of every scalar type, singular and repeated, a oneof, and itself. */
function everythingSchema(): DescMessage {
  const field: MessageInitShape<typeof FieldDescriptorProtoSchema>[] = [];
  for (const name of Object.keys(scalarValues)) {
    const type = FieldDescriptorProto_Type[name.toUpperCase() as keyof typeof FieldDescriptorProto_Type];
    field.push({ name, number: type, type, label: FieldDescriptorProto_Label.OPTIONAL });
    field.push({ name: `${name}_list`, number: 100 + type, type, label: FieldDescriptorProto_Label.REPEATED });
  }
  const typeName = ".test.Everything";
  field.push({
    name: "child",
    number: 200,
    type: FieldDescriptorProto_Type.MESSAGE,
    typeName,
    label: FieldDescriptorProto_Label.OPTIONAL,
  });
  field.push({ name: "choice_text", number: 201, type: FieldDescriptorProto_Type.STRING, oneofIndex: 0 });
  field.push({ name: "choice_child", number: 202, type: FieldDescriptorProto_Type.MESSAGE, typeName, oneofIndex: 0 });
  const name = "test.proto";
  const messageType = [{ name: "Everything", field, oneofDecl: [{ name: "choice" }] }];
  const file = create(FileDescriptorProtoSchema, { name, package: "test", syntax: "proto3", messageType });
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: [file] }));
  return registry.getMessage("test.Everything") as DescMessage;
}

/** Init objects of the message above, as a handler would return them: any fields, no `$typeName`, nested ones included. */
function everythingInit(): fc.Arbitrary<Record<string, unknown>> {
  const fields: Record<string, fc.Arbitrary<unknown>> = {};
  for (const [name, value] of Object.entries(scalarValues)) {
    fields[name] = value;
    fields[`${name}List`] = fc.array(value, { maxLength: 4 });
  }
  const { init } = fc.letrec<{ init: Record<string, unknown> }>((tie) => {
    const child = fc.oneof({ maxDepth: 2, depthIdentifier: "init" }, fc.constant({ int32: 7 }), tie("init"));
    const choice = fc.oneof(
      fc.record({ case: fc.constant("choiceText"), value: text }),
      fc.record({ case: fc.constant("choiceChild"), value: child }),
    );
    return { init: fc.record({ ...fields, child, choice }, { requiredKeys: [] }) };
  });
  return init;
}

describe("protobufCodec", () => {
  const everything = everythingSchema();
  const codec = protobufCodec(everything);
  const asMessage = (init: Record<string, unknown>): Message => init as unknown as Message;

  it("writes the bytes of protobuf-es and reads the same message back, from init objects and from messages", () => {
    fc.assert(
      fc.property(everythingInit(), fc.nat({ max: 20 }), (init, at) => {
        const message = create(everything, init);
        const bytes = encode(codec, asMessage(init), at);
        expect(bytes.equals(toBinary(everything, message))).toBe(true);
        expect(encode(codec, message, at).equals(bytes)).toBe(true);
        expect(decode(codec, bytes)).toEqual(message);
      }),
      { numRuns: 200 },
    );
  });

  it("takes any bytes for a message or refuses them with one kind of error", () => {
    fc.assert(
      fc.property(
        everythingInit(),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }),
        fc.nat(),
        (init, changes, cut) => {
          const bytes = Buffer.from(encode(codec, asMessage(init)));
          for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
          const damaged = bytes.subarray(0, bytes.length - (cut % 3));
          try {
            decode(codec, damaged);
          } catch (error) {
            expect(error).toMatchObject({ code: Code.INTERNAL, reason: "codec" });
            expect(String(error)).toContain(`can't decode test.Everything from ${damaged.length} bytes: `);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it("gives messages that own their bytes, small and large, fields and unknown fields", () => {
    const any = protobufCodec(AnySchema);
    for (const length of [0, 1, 100, 2047, 2049, 100_000]) {
      const value = new Uint8Array(length).fill(length);
      const bytes = encode(any, create(AnySchema, { typeUrl: "t", value }));
      const first = decode(any, bytes);
      const unknown = decode(protobufCodec(EmptySchema), bytes);
      for (let i = 0; i < 100; i++) decode(any, encode(any, create(AnySchema, { value: new Uint8Array(500).fill(i) })));
      expect(first.value).toEqual(value);
      expect(Object.getPrototypeOf(first.value)).toBe(Uint8Array.prototype);
      expect(encode(protobufCodec(EmptySchema), unknown).equals(bytes)).toBe(true);
    }
  });

  it("accepts nested init objects without create()", () => {
    const list = protobufCodec(ListValueSchema);
    const bytes = encode(list, { values: [{ kind: { case: "stringValue", value: "x" } }] } as never);
    expect(decode(list, bytes).values[0]).toMatchObject({ kind: { case: "stringValue", value: "x" } });
  });

  it("keeps 64-bit integers exact", () => {
    const seconds = 2n ** 63n - 1n;
    const bytes = encode(protobufCodec(DurationSchema), create(DurationSchema, { seconds }));
    expect(decode(protobufCodec(DurationSchema), bytes).seconds).toBe(seconds);
  });
});

describe("what measure has encoded", () => {
  const codec = protobufCodec(StringValueSchema);
  const other = protobufCodec(StringValueSchema);
  const message = (
    value: string,
  ): MessageInitShape<typeof StringValueSchema> & Message<"google.protobuf.StringValue"> & { value: string } =>
    create(StringValueSchema, { value });
  const written = (by: Codec<ReturnType<typeof message>>, what: ReturnType<typeof message>): string => {
    const target = Buffer.alloc(64);
    return target.toString("latin1", 2, by.write(what, target, 0));
  };

  it("is written once and encoded anew after that", () => {
    const a = message("first");
    codec.measure(a);
    a.value = "later";
    expect(written(codec, a)).toBe("first");
    expect(written(codec, a)).toBe("later");
  });

  it("is never given to another message or codec", () => {
    const [a, b] = [message("aaa"), message("bb")];
    codec.measure(a);
    codec.measure(b);
    expect([written(codec, a), written(codec, b)]).toEqual(["aaa", "bb"]);
    codec.measure(a);
    a.value = "changed";
    expect(written(other, a)).toBe("changed");
  });

  it("is encoded anew by a second measure", () => {
    const a = message("short");
    codec.measure(a);
    a.value = "longer text";
    expect(codec.measure(a)).toBe(13);
    expect(written(codec, a)).toBe("longer text");
  });

  it("is dropped when write finds no room", () => {
    const a = message("first");
    codec.measure(a);
    expect(() => codec.write(a, Buffer.alloc(3), 0)).toThrow(RangeError);
    a.value = "later";
    expect(written(codec, a)).toBe("later");
  });

  it("is handed over whole without a copy", () => {
    const a = message("x".repeat(20_000));
    expect(codec.measure(a)).toBe(20_004);
    const whole = codec.whole?.(a);
    expect(whole).toHaveLength(20_004);
    expect(whole?.buffer.byteLength).toBe(20_004);
  });

  it("is forgotten at the end of the turn when it is large", async () => {
    const a = message("x".repeat(20_000));
    codec.measure(a);
    a.value = "later";
    await new Promise<void>((resolve) => inNextTurn(resolve));
    expect(written(codec, a)).toBe("later");
  });
});

describe("what can't be encoded or decoded", () => {
  it("is named: a handler that returns nothing", () => {
    const codec = protobufCodec(StringValueSchema);
    for (const [value, text] of [
      [undefined, "undefined"],
      [null, "null"],
      ["x", "x"],
    ] as const) {
      const error = errorOf(() => codec.measure(value as never));
      expect(error).toMatchObject({ code: Code.INTERNAL, reason: "codec" });
      expect(error.text).toBe(`can't encode google.protobuf.StringValue: it is ${text}`);
    }
  });

  it("is named: a message of another type, a value of the wrong type, a number out of range", () => {
    const codec = protobufCodec(DurationSchema);
    expect(errorOf(() => codec.measure(create(EmptySchema) as never)).text).toBe(
      "can't encode google.protobuf.Duration: it is google.protobuf.Empty",
    );
    expect(errorOf(() => codec.measure({ nanos: "x" } as never)).text).toContain("google.protobuf.Duration");
    expect(errorOf(() => codec.measure({ nanos: 2 ** 31 } as never)).text).toContain("2147483648");
    expect(errorOf(() => codec.measure({ seconds: 2n ** 63n } as never)).text).toContain("9223372036854775808");
  });

  it("is named: a message that holds itself", () => {
    const codec = protobufCodec(ListValueSchema);
    const list = create(ListValueSchema);
    list.values.push(create(ValueSchema, { kind: { case: "listValue", value: list } }));
    expect(errorOf(() => codec.measure(list)).text).toContain("nested too deeply or holds itself");
  });

  it("includes strings that are no UTF-8", () => {
    const bytes = Buffer.from([0x0a, 2, 0xc3, 0x28]);
    const error = errorOf(() => decode(protobufCodec(StringValueSchema), bytes));
    expect(error).toMatchObject({ code: Code.INTERNAL, reason: "codec", origin: "local" });
    const long = Buffer.concat([Buffer.from([0x0a, 41]), Buffer.alloc(40, 0x61), Buffer.from([0xff])]);
    expect(errorOf(() => decode(protobufCodec(StringValueSchema), long)).text).toContain("StringValue from 43 bytes");
  });

  it("includes more than 100 levels of nesting, which come in few bytes", () => {
    const codec = protobufCodec(StructSchema);
    const nested = (levels: number): Buffer => {
      // Value.list_value = 6, ListValue.values = 1: two levels a turn, below a map entry of Struct.fields = 1.
      let value: Buffer = Buffer.alloc(0);
      for (let i = 0; i < levels; i++) value = field(i % 2 === 0 ? 6 : 1, value);
      return field(1, Buffer.concat([field(1, Buffer.from("k")), field(2, value)]));
    };
    expect(() => decode(codec, nested(91))).not.toThrow();
    expect(errorOf(() => decode(codec, nested(121))).text).toContain("more than 100 levels of messages");
  });

  it.each<[string, DescMessage, number[], RegExp]>([
    ["a message as a number", ListValueSchema, [0x08, 0], /values has wire type 0, not 2/],
    ["a message as four bytes", ListValueSchema, [0x0d, 0, 0, 0, 0], /values has wire type 5, not 2/],
    ["a message as a group", ListValueSchema, [0x0b, 0x0c], /values has wire type 3, not 2/],
    ["a map as a number", StructSchema, [0x08, 0], /fields has wire type 0, not 2/],
    ["the key of a map as a number", StructSchema, [0x0a, 2, 0x08, 1], /the key of a map has wire type 0, not 2/],
    ["the value of a map as a number", StructSchema, [0x0a, 2, 0x10, 1], /the value of a map has wire type 0, not 2/],
    ["a number as text", DurationSchema, [0x0a, 1, 5], /seconds has wire type 2, not 0/],
    ["a text that reaches beyond its message", ListValueSchema, [0x0a, 2, 0x1a, 3, 1, 1, 1], /cut short/],
    ["a number that reaches beyond its list", everythingSchema(), [0xca, 6, 1, 0x80, 1], /cut short/],
    ["a fixed number that reaches beyond its list", everythingSchema(), [0xda, 6, 3, 1, 1, 1, 0], /cut short/],
    ["a length of 2⁶³", AnySchema, [0x0a, ...Array<number>(9).fill(0x80), 1], /cut short/],
  ])("includes what protobuf-es would read otherwise than others: %s", (_what, schema, bytes, text) => {
    expect(errorOf(() => decode(protobufCodec(schema), Buffer.from(bytes)))).toMatchObject({
      code: Code.INTERNAL,
      reason: "codec",
      text: expect.stringMatching(text),
    });
  });

  it("is all that generated code does not read alike", () => {
    const file = toBinary(FileDescriptorProtoSchema, file_google_protobuf_struct.proto);
    const dynamic = protobufCodec(FileDescriptorProtoSchema);
    const change = fc.tuple(fc.nat(file.length - 1), fc.nat(255));
    const isRead = (bytes: Buffer): boolean => {
      let message: Message;
      try {
        message = decode(dynamic, bytes);
      } catch {
        return false;
      }
      expect(decode(FileDescriptorProtoCodec, bytes)).toEqual(message);
      return true;
    };
    expect(isRead(Buffer.from(file))).toBe(true);
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
        const bytes = Buffer.from(file);
        for (const [at, value] of changes) bytes[at] = value;
        isRead(bytes);
      }),
      { numRuns: 1000 },
    );
  });

  it("includes fields that are cut short and lengths beyond the end", () => {
    const codec = protobufCodec(AnySchema);
    for (const bytes of [[0x0a], [0x0a, 5, 1], [0x12, 0xff, 0xff, 0xff, 0xff, 0x0f], [0x07], [0x00]]) {
      expect(errorOf(() => decode(codec, Buffer.from(bytes))).code).toBe(Code.INTERNAL);
    }
  });
});

function field(number: number, content: Buffer): Buffer {
  const length: number[] = [];
  for (let rest = content.length; ; rest >>= 7) {
    if (rest < 128) {
      length.push(rest);
      break;
    }
    length.push((rest & 127) | 128);
  }
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), content]);
}
