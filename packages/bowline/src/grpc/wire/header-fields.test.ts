import { describe, expect, it } from "vitest";
import { HeaderEntry } from "../../http2/hpack/decoder.ts";
import { HeaderFields, readFields, Seen, TOKENS } from "./header-fields.ts";

function entry(name: string, value: string): HeaderEntry {
  return new HeaderEntry(name, value, TOKENS.get(name) ?? 0);
}

describe("the fields of a block", () => {
  it("join the first eight of a list and leave out the others", () => {
    const of = (count: number): HeaderFields =>
      readFields(Array.from({ length: count }, (_, i) => entry("tracestate", `v${i}=1`)));
    expect(of(1).tracestate).toBe("v0=1");
    expect(of(8).tracestate?.split(",").length).toBe(8);
    expect(of(100).tracestate).toBe(of(8).tracestate);
    const encodings = readFields(Array.from({ length: 100 }, () => entry("grpc-accept-encoding", "gzip")));
    expect(encodings.acceptEncoding).toBe(Array.from({ length: 8 }, () => "gzip").join(","));
  });

  it("are metadata, the table's entries as they are, where gRPC has no word for them", () => {
    const a = entry("a", "1");
    const fields = readFields([a, entry("te", "trailers"), a]);
    expect(fields.metadata).toEqual([a, a]);
    expect(fields.metadata?.every((each) => each === a)).toBe(true);
    fields.add(0, "b", "2");
    expect(fields.metadata).toEqual([a, a, "b", "2"]);
  });

  it("taken over from others are not changed there", () => {
    const a = entry("a", "1");
    const first = readFields([a]);
    const second = new HeaderFields();
    second.copyFrom(first);
    second.add(0, "b", "2");
    const third = new HeaderFields();
    third.copyFrom(first);
    expect([first.metadata, second.metadata, third.metadata]).toEqual([[a], [a, "b", "2"], [a]]);
  });

  it("with a name or value that HTTP/2 forbids are malformed, indexed or not", () => {
    for (const bad of [
      entry("A", "1"),
      entry("a b", "1"),
      entry("a", "1\n"),
      entry("a", " 1\0"),
      entry(":path", "/a "),
    ]) {
      expect(readFields([bad]).seen & Seen.MALFORMED).not.toBe(0);
    }
  });

  it("lose white space at the ends of their values, but for the text of a status", () => {
    const fields = readFields([entry("a", " 1"), entry("b", "2 \t"), entry("c", "\t"), entry("grpc-status", "5 ")]);
    expect(fields.seen & Seen.MALFORMED).toBe(0);
    expect(fields.metadata).toEqual(["a", "1", "b", "2", "c", ""]);
    expect(fields.grpcStatus).toBe("5");
    expect(readFields([entry("grpc-message", " not found: ")]).grpcMessage).toBe(" not found: ");
  });

  it("lose it in a time that grows with their length, however much of it is inside", () => {
    const inside = `a${" ".repeat(1_000_000)}b`;
    expect(readFields([entry("a", ` ${inside} `)]).metadata).toEqual(["a", inside]);
  });
});
