import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { Metadata, type MetadataInit } from "./metadata.ts";

/** Metadata from what TypeScript would not let through. */
function from(init: unknown): () => Metadata {
  return () => new Metadata(init as MetadataInit);
}

describe("metadata made of an object", () => {
  it("leave out spaces at the ends of values", () => {
    const metadata = new Metadata({ a: " x y ", b: ["  ", "z"] }).append("a", "w ").set("c", " v");
    expect([...metadata]).toEqual([
      ["a", "x y"],
      ["b", ""],
      ["b", "z"],
      ["a", "w"],
      ["c", "v"],
    ]);
  });

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

describe("metadata made of what a peer sent", () => {
  const entries = ["user-agent", "grpc-go/1.85", "a", "1", "a", "2"];
  const received = Metadata.received({
    values: (key) => entries.filter((_, index) => index % 2 === 1 && entries[index - 1] === key),
    flat: () => [...entries],
  });

  it.each<[string, MetadataInit]>([
    ["themselves", received],
    ["their pairs", [...received]],
    ["their iterator", received[Symbol.iterator]()],
  ])("may be made of %s, with all that came", (_what, init) => {
    const copy = new Metadata(init).append("b", "3");
    expect([...copy]).toEqual([...received, ["b", "3"]]);
  });

  it("does not let a user say what he is: his own user-agent would not be sent", () => {
    const problem = 'metadata key "user-agent" belongs to gRPC and can\'t be set; choose another name';
    expect(from({ "user-agent": "me/1" })).toThrow(new TypeError(problem));
    expect(() => new Metadata(received).set("user-agent", "me/1")).toThrow(new TypeError(problem));
    expect(() => new Metadata(received).append("User-Agent", "me/1")).toThrow(new TypeError(problem));
    expect(from([["grpc-timeout", "1S"]])).toThrow(/"grpc-timeout" belongs to gRPC/);
  });
});

describe("metadata in a console", () => {
  it("show values a key, and the number of bytes", () => {
    const metadata = new Metadata({ tenant: "north", tag: ["a", "b"], "raw-bin": Uint8Array.of(1, 2, 3) });
    expect(inspect(metadata)).toBe("Metadata { tenant: 'north', tag: [ 'a', 'b' ], 'raw-bin': <3 bytes> }");
    expect(inspect(new Metadata())).toBe("Metadata {}");
    expect(inspect(new Metadata({ ["__proto__"]: "x" }))).toBe("Metadata { ['__proto__']: 'x' }");
  });

  it.each([
    "authorization",
    "proxy-authorization",
    "x-auth",
    "cookie",
    "set-cookie",
    "token",
    "x-csrf-token",
    "x-api-key",
    "apikey",
    "client-secret",
    "x-password",
    "session-id",
    "x-jwt-assertion",
    "x-goog-credential",
    "x-hub-signature",
  ])("do not show a value of %s", (key) => {
    expect(inspect(new Metadata({ [key]: "s3cr3t" }))).toMatch(/^Metadata \{ '?[\w-]+'?: <hidden> \}$/);
    expect(inspect(new Metadata({ [key]: ["s3cr3t", "s3cr3t"] }))).not.toContain("s3cr3t");
    expect(inspect({ error: { metadata: new Metadata({ [key]: "s3cr3t" }) } })).not.toContain("s3cr3t");
  });

  it.each(["app", "author", "www-authenticate", "traceparent", "tenant", "user-agent"])("show a value of %s", (key) => {
    expect(inspect(new Metadata([[key, "x"]]))).toContain("'x'");
  });
});
