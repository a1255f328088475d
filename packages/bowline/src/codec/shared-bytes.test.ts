import { create } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { AnyCodec } from "../gen/google/protobuf/any_rpc.ts";
import type { Codec } from "./codec.ts";
import { toBytes } from "./message-bytes.ts";
import { sharedBytes } from "./shared-bytes.ts";

const any = create(AnySchema, { typeUrl: "x", value: Uint8Array.of(1, 2, 3) });

describe("sharedBytes", () => {
  it("shows the bytes it is given, and is the same codec in everything else", () => {
    const shared = sharedBytes(AnyCodec);
    const bytes = toBytes(shared, any);
    expect(bytes).toEqual(toBytes(AnyCodec, any));
    const chunk = Buffer.concat([Buffer.alloc(2), bytes, Buffer.alloc(2)]);
    const read = shared.read(chunk, 2, 2 + bytes.length);
    expect(read).toEqual(any);
    chunk.fill(9);
    expect(read.value).toEqual(Uint8Array.of(9, 9, 9));
    expect(read.typeUrl).toBe("x");
    expect(shared.as?.("proto")).toBe(shared);
    expect(shared.as?.("json")).toBe(AnyCodec.as?.("json"));
    expect(shared.as?.("xml")).toBeUndefined();
  });

  it("gives back what has nothing to share", () => {
    const text: Codec<string> = { name: "proto", measure: () => 0, write: (_m, _t, at) => at, read: () => "" };
    expect(sharedBytes(text)).toBe(text);
  });
});
