import { create, type Message } from "@bufbuild/protobuf";
import {
  AnySchema,
  FieldDescriptorProtoSchema,
  FileDescriptorProtoSchema,
  ListValueSchema,
  TimestampSchema,
  UninterpretedOption_NamePartSchema,
} from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { AnyCodec } from "../gen/google/protobuf/any_rpc.ts";
import { FileDescriptorSetCodec, UninterpretedOptionCodec } from "../gen/google/protobuf/descriptor_rpc.ts";
import { ListValueCodec, StructCodec, ValueCodec } from "../gen/google/protobuf/struct_rpc.ts";
import { TimestampCodec } from "../gen/google/protobuf/timestamp_rpc.ts";
import { Code } from "../rpc/code.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import type { Codec } from "./codec.ts";
import { fromBytes, toBytes } from "./message-bytes.ts";

function errorOf(action: () => unknown): RpcError {
  try {
    action();
  } catch (error) {
    expect(RpcError.is(error)).toBe(true);
    return error as RpcError;
  }
  throw new Error("nothing was thrown");
}

const second = create(TimestampSchema, { seconds: 1_700_000_000n, nanos: 5 });
const any = create(AnySchema, { typeUrl: "x", value: Uint8Array.of(1, 2, 3) });

/** A row of a table, as classes of others show it. */
class Dto {
  readonly #row: { readonly name: unknown } | undefined;

  constructor(row: { readonly name: unknown } | undefined) {
    this.#row = row;
  }

  get name(): unknown {
    return (this.#row as { readonly name: unknown }).name;
  }
}

function raise(thrown: unknown): never {
  throw thrown;
}

/** So many levels of structs within each other, the outermost counted. */
function nested(levels: number): Buffer {
  let bytes: Uint8Array = new Uint8Array(0);
  for (let i = 1; i < levels; i += 2) {
    const value = Buffer.concat([Buffer.from([0x2a]), varint(bytes.length), bytes]);
    const entry = Buffer.concat([Buffer.from([0x0a, 0, 0x12]), varint(value.length), value]);
    bytes = Buffer.concat([Buffer.from([0x0a]), varint(entry.length), entry]);
  }
  return Buffer.from(bytes);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest >>>= 7) bytes.push((rest & 127) | 128);
  return Buffer.from([...bytes, rest]);
}

describe("a generated codec", () => {
  it("is proto, offers itself as json, and nothing else", () => {
    expect(TimestampCodec.name).toBe("proto");
    expect(TimestampCodec.as?.("proto")).toBe(TimestampCodec);
    expect(TimestampCodec.as?.("json")).toBe(TimestampCodec.as?.("json"));
    expect(TimestampCodec.as?.("json")?.name).toBe("json");
    for (const name of ["", "xml", "toString"]) expect(TimestampCodec.as?.(name)).toBeUndefined();
  });

  it("copies bytes that are the connection's, and shows parts of bytes that are its own", () => {
    const chunk = Buffer.concat([Buffer.alloc(3, 255), toBytes(AnyCodec, any), Buffer.alloc(3, 255)]);
    const [start, end] = [3, chunk.length - 3];
    const copied = AnyCodec.read(chunk, start, end);
    const shown = AnyCodec.own?.(chunk.subarray(start, end));
    chunk.fill(0);
    expect(copied).toEqual(any);
    expect(shown?.value).toEqual(new Uint8Array(3));
    expect(Object.getPrototypeOf(shown?.value)).toBe(Uint8Array.prototype);
  });

  it("keeps what it does not know, copied as well", () => {
    const bytes = Buffer.from([0x1a, 2, 7, 7, 0x08, 5]);
    const read = TimestampCodec.read(bytes, 0, bytes.length);
    bytes.fill(0);
    expect(read).toMatchObject({ seconds: 5n, $unknown: [{ no: 3, wireType: 2, data: Uint8Array.of(2, 7, 7) }] });
    expect(Buffer.from(toBytes(TimestampCodec, read))).toEqual(Buffer.from([0x08, 5, 0x1a, 2, 7, 7]));
  });
});

describe("an attempt", () => {
  it("succeeds in the room that is likely after a message of about that size", () => {
    for (const bytes of [0, 100, 5000]) {
      const value = (more: number): typeof any => create(AnySchema, { typeUrl: "x".repeat(bytes + more) });
      AnyCodec.attempt?.(value(0), Buffer.alloc(10_000), 0);
      const target = Buffer.alloc(AnyCodec.likelyBytes ?? 0);
      expect(AnyCodec.attempt?.(value(bytes >> 4), target, 0)).toBeLessThanOrEqual(target.length);
    }
  });

  it("says when there is too little room, and writes the message when there is enough", () => {
    const bytes = toBytes(TimestampCodec, second);
    const fitting = Array.from({ length: 500 }, (_, length) => {
      const target = Buffer.alloc(length);
      const end = TimestampCodec.attempt?.(second, target, 0) ?? 0;
      if (end <= length) expect(target.subarray(0, end).equals(bytes)).toBe(true);
      return end <= length;
    });
    expect(fitting.lastIndexOf(false)).toBeLessThan(fitting.indexOf(true));
    expect(fitting.indexOf(true)).toBeGreaterThanOrEqual(bytes.length);
    expect(fitting.at(-1)).toBe(true);
  });

  it("is not made while messages are large, until a small one was written", () => {
    const large = { typeUrl: "x", value: new Uint8Array(10_000) } as typeof any;
    const target = Buffer.alloc(20_000);
    AnyCodec.write(large, target, 0);
    expect(AnyCodec.attempt?.(any, target, 0)).toBeGreaterThan(target.length);
    AnyCodec.write(any, target, 0);
    expect(AnyCodec.attempt?.(any, target, 0)).toBeLessThan(20);
  });
});

describe("a message that can't be encoded", () => {
  const file = (number: unknown): unknown =>
    create(FileDescriptorProtoSchema, {
      messageType: [{}, { field: [{ name: "a" }, create(FieldDescriptorProtoSchema, { number: number as number })] }],
    });

  it.each<[string, Codec<Message>, unknown, RegExp]>([
    ["nothing", TimestampCodec, undefined, /Timestamp: expected a google\.protobuf\.Timestamp, got undefined$/],
    ["text", TimestampCodec, "now", /expected a google\.protobuf\.Timestamp, got "now"/],
    ["another message", TimestampCodec, any, /expected a google\.protobuf\.Timestamp, got a google\.protobuf\.Any/],
    ["a number for a bigint that is no whole one", TimestampCodec, { seconds: 1.5 }, /seconds: 1\.5 is no int64/],
    [
      "a bigint too large",
      TimestampCodec,
      { seconds: 2n ** 63n },
      /seconds: 9223372036854775808n is no int64 \(a bigint/,
    ],
    ["a number too large", TimestampCodec, { nanos: 2 ** 31 }, /nanos: 2147483648 is no int32/],
    ["a number for text", AnyCodec, { typeUrl: 5 }, /typeUrl: 5 is no string/],
    ["text for bytes", AnyCodec, { value: "abc" }, /value: "abc" is no bytes/],
    [
      "a fault three levels down",
      FileDescriptorSetCodec,
      { file: [file(1), file(2 ** 31)] },
      /FileDescriptorSet: file\[1\]\.messageType\[1\]\.field\[1\]\.number: 2147483648 is no int32/,
    ],
    ["a hole in a list", FileDescriptorSetCodec, { file: [undefined] }, /file\[0\]: expected a google\.protobuf\.File/],
    ["no list", FileDescriptorSetCodec, { file: 5 }, /file: expected an array, got 5/],
    [
      "a required field that is missing",
      UninterpretedOptionCodec,
      { name: [{}] },
      /name\[0\]\.namePart: it is required/,
    ],
    ["a value of a map", StructCodec, { fields: { "a.b": 5 } }, /fields\["a\.b"\]: expected a google\.protobuf\.Value/],
    ["a member of a oneof", ValueCodec, { kind: { case: "boolValue", value: 1 } }, /boolValue: 1 is no bool/],
    [
      "a chosen oneof without a value",
      ValueCodec,
      { kind: { case: "stringValue" } },
      /stringValue: undefined is no string/,
    ],
    [
      "a chosen oneof with null",
      ListValueCodec,
      { values: [{}, { kind: { case: "structValue", value: null } }] },
      /values\[1\]\.structValue: expected a google\.protobuf\.Struct, got null/,
    ],
    ["what a class gives", FileDescriptorSetCodec, { file: [new Dto({ name: 7 })] }, /file\[0\]\.name: 7 is no string/],
    ["unknown fields that are none", TimestampCodec, { $unknown: null }, /\$unknown: expected an array, got null/],
    [
      "an unknown field without data",
      TimestampCodec,
      { $unknown: [{ no: 9, wireType: 0 }] },
      /\$unknown\[0\]: expected an UnknownField/,
    ],
    [
      "a getter that throws",
      FileDescriptorSetCodec,
      { file: [new Dto(undefined)] },
      /file\[0\]\.name: it can't be read: Cannot read properties of undefined/,
    ],
    [
      "a proxy that throws anything",
      TimestampCodec,
      new Proxy({}, { get: () => raise(Object.create(null)) }),
      /Timestamp: what was thrown can't be shown$/,
    ],
  ])("is named with the path to the fault: %s", (_what, codec, message, text) => {
    const error = errorOf(() => toBytes(codec, message as Message));
    expect(error).toMatchObject({ code: Code.INTERNAL, reason: "codec", text: expect.stringMatching(text) });
    expect(errorOf(() => codec.attempt?.(message as Message, Buffer.alloc(1000), 0)).text).toBe(error.text);
    expect(
      errorOf(() => codec.write(message as Message, Buffer.alloc(100), codec.measure(message as Message))).text,
    ).toBe(error.text);
  });

  it("is named by the field that is missing, though its prototype shows a default", () => {
    const parts = { name: [create(UninterpretedOption_NamePartSchema, { isExtension: true })] } as never;
    expect(errorOf(() => toBytes(UninterpretedOptionCodec, parts)).text).toMatch(/name\[0\]\.namePart: it is required/);
  });

  it("may hold itself", () => {
    const list = create(ListValueSchema, { values: [{}] });
    list.values[0].kind = { case: "listValue", value: list };
    expect(errorOf(() => toBytes(ListValueCodec, list)).text).toMatch(/one that holds itself/);
  });

  it("may change while it is encoded", () => {
    let reads = 0;
    const growing = {
      get typeUrl(): string {
        return "x".repeat(reads++ === 0 ? 1 : 100);
      },
    } as typeof any;
    const target = Buffer.alloc(AnyCodec.measure(growing));
    expect(errorOf(() => AnyCodec.write(growing, target, 0)).text).toMatch(/it grew while it was encoded/);
  });
});

describe("bytes that can't be decoded", () => {
  it.each<[string, number[], RegExp]>([
    ["cut off in a varint", [0x08, 0x80], /Timestamp from 2 bytes: it is cut short/],
    ["cut off behind a tag", [0x08], /cut short/],
    ["an unknown field that is cut off", [0x1a, 5, 1], /cut short/],
    ["a length beyond 32 bits", [0x1a, 0x80, 0x80, 0x80, 0x80, 0x10], /cut short, or a length is wrong/],
    ["a varint of eleven bytes", [0x08, ...Array<number>(10).fill(0xff), 1], /more than ten bytes/],
    ["field number 0", [0x00, 0x00], /field number 0/],
    ["a tag beyond 32 bits", [0x88, 0x80, 0x80, 0x80, 0x10, 1], /a tag is too large/],
    ["wire type 7", [0x0f, 1], /no wire type 7/],
    ["the end of a group that has not begun", [0x0c], /a group ends that has not begun/],
    ["a group that does not end", [0x1b, 0x08, 1], /cut short/],
  ])("are refused: %s", (_what, bytes, text) => {
    const chunk = Buffer.from([...bytes, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    const error = errorOf(() => TimestampCodec.read(chunk, 0, bytes.length));
    expect(error).toMatchObject({ code: Code.INTERNAL, reason: "codec", text: expect.stringMatching(text) });
  });

  it("are refused beyond 100 levels", () => {
    expect(fromBytes(StructCodec, nested(99))).toBeDefined();
    expect(errorOf(() => fromBytes(StructCodec, nested(101))).text).toMatch(/more than 100 levels/);
  });

  it("are refused when their objects would take far more than they do", () => {
    const bytes = Buffer.alloc(1 << 20);
    for (let i = 0; i < bytes.length; i += 2) bytes[i] = 0x0a;
    const error = errorOf(() => fromBytes(ListValueCodec, bytes));
    expect(error).toMatchObject({ code: Code.RESOURCE_EXHAUSTED, reason: "limit" });
    expect(error.text).toMatch(/ListValue from 1048576 bytes: its objects would take more than 32 MiB/);
    expect(fromBytes(ListValueCodec, bytes.subarray(0, 100_000)).values).toHaveLength(50_000);
  });

  it("do not spoil the next ones", () => {
    errorOf(() => fromBytes(StructCodec, nested(101)));
    expect(fromBytes(TimestampCodec, toBytes(TimestampCodec, second))).toEqual(second);
  });
});

describe("toBytes", () => {
  it("may be called while it encodes another message", () => {
    const outer = {
      $typeName: "google.protobuf.Any" as const,
      typeUrl: "type.example/outer",
      get value() {
        return toBytes(AnyCodec, any);
      },
    };
    expect(fromBytes(AnyCodec, toBytes(AnyCodec, outer))).toEqual(
      create(AnySchema, { typeUrl: "type.example/outer", value: toBytes(AnyCodec, any) }),
    );
    const failing = { ...any, typeUrl: 7 as unknown as string };
    expect(() => toBytes(AnyCodec, failing)).toThrow("typeUrl: 7 is no string");
    expect(fromBytes(AnyCodec, toBytes(AnyCodec, any))).toEqual(any);
  });

  it("gives bytes that can't be handed to another thread together with those of other messages", () => {
    const [one, other] = [toBytes(AnyCodec, any), toBytes(AnyCodec, any)];
    expect(other.buffer).toBe(one.buffer);
    expect(() => structuredClone(one, { transfer: [one.buffer] })).toThrow();
    expect(fromBytes(AnyCodec, other)).toEqual(any);
    expect(fromBytes(AnyCodec, structuredClone(one))).toEqual(any);
  });

  it("gives each message bytes of its own, however many and however large", () => {
    const all: [Uint8Array, number][] = [];
    for (let i = 0; i < 3000; i++) {
      const size = i % 100 === 0 ? 70_000 : i % 50;
      all.push([toBytes(AnyCodec, { ...any, value: new Uint8Array(size).fill(i) }), size]);
    }
    all.forEach(([bytes, size], i) => {
      expect(fromBytes(AnyCodec, bytes).value).toEqual(new Uint8Array(size).fill(i));
    });
  });
});
