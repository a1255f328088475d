import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Code } from "../../rpc/code.ts";
import { Metadata } from "../../rpc/metadata.ts";
import {
  decodeBase64,
  decodeMessage,
  encodeBase64,
  encodeMessage,
  isHiddenKey,
  metadataError,
  metadataFields,
  metadataFromFields,
} from "./metadata-headers.ts";

const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));

describe("received metadata", () => {
  it("keeps order and duplicates, and decodes -bin values", () => {
    const metadata = metadataFromFields(["b", "1", "a", "2", "b", "3", "x-bin", "AQID", "x-bin", "BA"]);
    expect([...metadata]).toEqual([
      ["b", "1"],
      ["a", "2"],
      ["b", "3"],
      ["x-bin", Uint8Array.of(1, 2, 3)],
      ["x-bin", Uint8Array.of(4)],
    ]);
  });

  it("is empty without fields", () => {
    expect(metadataFromFields(null).size).toBe(0);
    expect(metadataError(null)).toBeNull();
  });

  it("does not show what belongs to HTTP and gRPC, except user-agent", () => {
    const hidden = [
      ":path",
      ":anything",
      "te",
      "content-type",
      "content-length",
      "host",
      "connection",
      "grpc-timeout",
      "grpc-x-bin",
    ];
    for (const name of hidden) expect(isHiddenKey(name)).toBe(true);
    for (const name of ["user-agent", "authorization", "x-request-id", "grpc", "cookie", "date"]) {
      expect(isHiddenKey(name)).toBe(false);
    }
    const fields = [...hidden, "user-agent"].flatMap((name) => [name, "AAAA"]);
    expect([...metadataFromFields(fields)]).toEqual([["user-agent", "AAAA"]]);
    expect(metadataError(["grpc-tags-bin", "not base64!"])).toBeNull();
  });

  it("leaves out what HTTP allows and gRPC does not, so that all that is shown may be sent on", () => {
    const fields = ["a", "caf\xe9", "b", "tab\there", "c!", "1", "d", "\x7f", "e", "kept", "f", ""];
    const metadata = metadataFromFields(fields);
    expect([...metadata]).toEqual([
      ["e", "kept"],
      ["f", ""],
    ]);
    expect(() => new Metadata([...metadata])).not.toThrow();
  });

  it("splits -bin values that were joined by commas, ASCII ones never", () => {
    const metadata = metadataFromFields(["x-bin", "AQID,BA==, BQ", "y", "a,b"]);
    expect(metadata.getAll("x-bin")).toEqual([Uint8Array.of(1, 2, 3), Uint8Array.of(4), Uint8Array.of(5)]);
    expect(metadata.getAll("y")).toEqual(["a,b"]);
  });

  it("takes an empty -bin value, but not the gaps of a list", () => {
    expect(metadataFromFields(["x-bin", ""]).getAll("x-bin")).toEqual([new Uint8Array(0)]);
    expect(metadataFromFields(["x-bin", ",AQ,,,Ag,"]).getAll("x-bin")).toEqual([Uint8Array.of(1), Uint8Array.of(2)]);
    expect(metadataFromFields(["x-bin", ",".repeat(16_000)]).size).toBe(0);
  });

  it.each(["A", "AQI=D", "AQ=", "AQ===", "=", "AQID====", "AQ-_", "AQ ID", "\xe9", "AQID;BA", "AQID,B"])(
    "refuses the -bin value %j and lives on without it",
    (value) => {
      const fields = ["a", "1", "x-bin", value, "b", "2"];
      const error = metadataError(fields);
      expect([error?.code, error?.reason, error?.origin]).toEqual([Code.INTERNAL, "protocol", "local"]);
      expect(error?.text).toContain('"x-bin"');
      const metadata = metadataFromFields(fields);
      expect(metadata.get("a")).toBe("1");
      expect(metadata.get("b")).toBe("2");
    },
  );

  it("shows indexed fields as it shows others, bytes anew for each who asks", () => {
    const bytes = { name: "x-bin", value: "AQID,BA" };
    const hidden = { name: "grpc-timeout", value: "1S" };
    const metadata = metadataFromFields([{ name: "a", value: "1" }, "b", "2", bytes, hidden, bytes, "a", "3"]);
    expect([...metadata].map(([name, value]) => [name, value.length])).toEqual([
      ["a", 1],
      ["b", 1],
      ["x-bin", 3],
      ["x-bin", 1],
      ["x-bin", 3],
      ["x-bin", 1],
      ["a", 1],
    ]);
    expect(metadata.size).toBe(7);
    expect([metadata.get("a"), metadata.getAll("A"), metadata.has("b"), metadata.has("c")]).toEqual([
      "1",
      ["1", "3"],
      true,
      false,
    ]);
    metadata.getBinary("x-bin")?.fill(9);
    expect(metadata.getBinary("x-bin")).toEqual(Uint8Array.of(1, 2, 3));
    expect(metadataError([bytes, { name: "x-bin", value: "!" }])?.text).toContain('"x-bin"');
  });

  it("is changed without a change of what came, and keeps what it is then", () => {
    const fields = [{ name: "a", value: "1" }, "x-bin", "AQID"];
    const metadata = metadataFromFields(fields);
    metadata.append("b", "2").delete("a");
    metadata.getBinary("x-bin")?.fill(9);
    expect([...metadata]).toEqual([
      ["x-bin", Uint8Array.of(9, 9, 9)],
      ["b", "2"],
    ]);
    expect([...metadataFromFields(fields)].length).toBe(2);
    const copy = new Metadata(metadata).set("b", "3");
    expect([metadata.get("b"), copy.get("b")]).toEqual(["2", "3"]);
  });

  it("decodes values of any length", () => {
    for (const length of [0, 1, 3071, 3072, 3073, 4096, 4097, 10_000]) {
      const value = Uint8Array.from({ length }, (_, i) => i & 255);
      expect(decodeBase64(encodeBase64(value))).toEqual(value);
    }
  });

  it("never throws, whatever a peer sends", () => {
    const text = fc.string({
      unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
      maxLength: 20,
    });
    const name = fc.oneof(text, fc.constantFrom("x-bin", "a", "-bin", "grpc-status"));
    fc.assert(
      fc.property(fc.array(fc.tuple(name, text)), (pairs) => {
        const metadata = metadataFromFields(pairs.flat());
        expect(() => new Metadata(metadata)).not.toThrow();
        metadataError(pairs.flat());
      }),
    );
  });
});

describe("sent metadata", () => {
  it("is fields in the same order, bytes without padding", () => {
    const metadata = new Metadata([
      ["b", "1"],
      ["x-bin", bytes("a")],
      ["b", "2"],
      ["x-bin", bytes("ab")],
      ["x-bin", bytes("abc")],
      ["x-bin", new Uint8Array(0)],
    ]);
    expect(metadataFields(metadata)).toEqual([
      ["b", "1"],
      ["x-bin", "YQ"],
      ["b", "2"],
      ["x-bin", "YWI"],
      ["x-bin", "YWJj"],
      ["x-bin", ""],
    ]);
  });

  it("has no spaces around values, which HTTP/2 forbids", () => {
    expect(metadataFields(new Metadata({ a: "  b c " }))).toEqual([["a", "b c"]]);
  });

  it("does not hand on what only the peer may have set", () => {
    const received = metadataFromFields(["user-agent", "grpc-go/1.85", "a", "1"]);
    expect(metadataFields(received)).toEqual([["a", "1"]]);
  });

  it("arrives as it was sent", () => {
    const key = fc.string({ unit: fc.constantFrom(..."abc019_-."), minLength: 1, maxLength: 12 });
    const ascii = fc
      .string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)) })
      .map((text) => text.trim());
    const entry = fc.oneof(
      fc.tuple(
        key.filter((each) => !each.endsWith("-bin")),
        ascii,
      ),
      fc.tuple(
        key.map((each) => `${each}-bin`),
        fc.uint8Array({ maxLength: 40 }),
      ),
    );
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 8 }), (entries) => {
        const fields = metadataFields(new Metadata(entries as [string, string | Uint8Array][])).flat();
        expect(metadataError(fields)).toBeNull();
        expect([...metadataFromFields(fields)]).toEqual(entries.map(([name, value]) => [name, value]));
      }),
    );
  });
});

describe("base64", () => {
  it("is read with and without padding and written without", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (value) => {
        const text = encodeBase64(value);
        expect(text).not.toContain("=");
        expect(decodeBase64(text)).toEqual(value);
        expect(decodeBase64(Buffer.from(value).toString("base64"))).toEqual(value);
      }),
    );
  });

  it("is read into memory of its own", () => {
    const value = decodeBase64("AQIDBA") as Uint8Array;
    expect(value.buffer.byteLength).toBe(4);
  });

  it("encodes a view and not what lies around it", () => {
    expect(encodeBase64(Buffer.from("--abc--").subarray(2, 5))).toBe("YWJj");
  });
});

describe("grpc-message", () => {
  it.each([
    ["", ""],
    ["plain text, with (signs)!", "plain text, with (signs)!"],
    ["100%", "100%25"],
    ["a\nb\tc\0", "a%0Ab%09c%00"],
    ["ünï ☃ 😀", "%C3%BCn%C3%AF %E2%98%83 %F0%9F%98%80"],
    ["~\x7f", "~%7F"],
    [" in and out ", "%20in and out%20"],
    ["   ", "%20 %20"],
    [" ", "%20"],
  ])("%j is sent as %j", (text, value) => {
    expect(encodeMessage(text)).toBe(value);
    expect(decodeMessage(value)).toBe(text);
  });

  it.each([
    ["100%", "100%"],
    ["%", "%"],
    ["%4", "%4"],
    ["%zz%41", "%zzA"],
    ["%%41", "%A"],
    ["%e2%98%83", "☃"],
    ["%c3", "\ufffd"],
    ["a%FFb", "a\ufffdb"],
    ["\xc3\xbc", "ü"],
    ["  spaces  ", "  spaces  "],
    ["%2525", "%25"],
  ])("%j is read as %j", (value, text) => {
    expect(decodeMessage(value)).toBe(text);
  });

  it("sends a surrogate without its half as U+FFFD", () => {
    expect(encodeMessage("a\ud800b")).toBe("a%EF%BF%BDb");
  });

  it("brings every text across, in characters that a header may have", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const value = encodeMessage(text);
        expect(value).toMatch(/^(?:(?:[\x21-\x24\x26-\x7e]|%[0-9A-F]{2}| (?!$))*)$/);
        expect(value.startsWith(" ")).toBe(false);
        expect(decodeMessage(value)).toBe(text.toWellFormed());
      }),
    );
  });

  it("is read without failing, whatever the bytes", () => {
    const unit = fc.oneof(
      fc.constantFrom("%", "%4", "%C3"),
      fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
    );
    fc.assert(fc.property(fc.string({ unit }), (value) => typeof decodeMessage(value) === "string"));
  });
});
