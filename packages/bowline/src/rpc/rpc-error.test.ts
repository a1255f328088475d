import { describe, expect, it } from "vitest";
import { Code } from "./code.ts";
import { Metadata, type MetadataInit } from "./metadata.ts";
import { RpcError, type RpcErrorOptions } from "./rpc-error.ts";

/** Of the wrong type, as JavaScript's users give it. */
const made = (options: Record<string, unknown>): RpcError =>
  new RpcError(Code.ABORTED, "no", options as RpcErrorOptions);

describe("what an error carries", () => {
  it("may be metadata in each form that calls take; a Metadata stays itself", () => {
    const inits: MetadataInit[] = [{ a: "1" }, [["a", "1"]], new Map([["a", "1"]]), new Metadata({ a: "1" })];
    for (const metadata of inits) {
      const error = new RpcError(Code.ABORTED, "no", { metadata });
      expect(error.metadataIfAny).toBe(error.metadata);
      expect([...error.metadata]).toEqual([["a", "1"]]);
    }
    const metadata = new Metadata();
    expect(new RpcError(Code.ABORTED, "no", { metadata }).metadata).toBe(metadata);
    expect(made({}).metadataIfAny).toBeUndefined();
  });

  it.each([
    [{ metadata: { "grpc-status": "0" } }, /metadata key "grpc-status" belongs to gRPC/],
    [{ metadata: "a=1" }, /metadata can't be made of a=1/],
    [{ details: { typeUrl: "x", value: new Uint8Array() } }, /details is no array; make details with errorDetail/],
    [
      { details: [{ $typeName: "google.rpc.BadRequest" }] },
      /details\[0\] is no \{ typeUrl: string, value: Uint8Array \}/,
    ],
    [{ details: [{ typeUrl: "x", value: new Uint8Array() }, null] }, /details\[1\] is no/],
    [{ details: [{ typeUrl: "x", value: "bytes" }] }, /details\[0\] is no/],
  ])("is refused when it can't be sent: %o", (options, problem) => {
    expect(() => made(options)).toThrow(TypeError);
    expect(() => made(options)).toThrow(problem);
  });
});
