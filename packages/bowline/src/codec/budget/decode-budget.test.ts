import { toJsonString } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema, type ListValue, ListValueSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
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
