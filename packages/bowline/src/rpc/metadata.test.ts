import { describe, expect, it } from "vitest";
import { Metadata, type MetadataInit } from "./metadata.ts";

/** Metadata from what TypeScript would not let through. */
function from(init: unknown): () => Metadata {
  return () => new Metadata(init as MetadataInit);
}

describe("metadata made of an object", () => {
  it("takes one value or several values a key", () => {
    const bytes = Uint8Array.of(1, 2);
    const metadata = new Metadata({ "X-One": "1", many: ["2", "3"], "raw-bin": bytes, "raws-bin": [bytes, bytes] });
    expect([...metadata]).toEqual([
      ["x-one", "1"],
      ["many", "2"],
      ["many", "3"],
      ["raw-bin", bytes],
      ["raws-bin", bytes],
      ["raws-bin", bytes],
    ]);
  });

  it("names the key whose value is no text", () => {
    const problem = 'metadata "count" must be a string; bytes need a key that ends with -bin';
    for (const value of [7, true, null, undefined, {}, [7]]) {
      expect(from({ count: value })).toThrow(new TypeError(problem));
    }
    expect(from({ "raw-bin": 7 })).toThrow(
      new TypeError('metadata "raw-bin" must be a Uint8Array, because its name ends with -bin'),
    );
  });
});
