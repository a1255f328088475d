import { describe, expect, it } from "vitest";
import { protocFaults } from "./protoc.ts";

const A = 'syntax = "proto3";\nimport "b.proto";\nmessage A { Foo x = 1; string reserved = 2; }\n';
const texts = new Map([
  ["a.proto", A],
  ["b.proto", "message B {"],
  ["new.proto", '// A comment.\nedition = "2023";\nmessage A { string x = 1; }\n'],
]);

/** `path:line:column-end message` of what protoc printed. */
function faults(...printed: string[]): string[] {
  return protocFaults(printed.join("\n"), texts).map(
    (f) => `${f.importPath}:${f.line}:${f.column}-${f.endColumn} ${f.message}`,
  );
}

describe("protocFaults", () => {
  it("reads places, and points at the whole word", () => {
    expect(faults('a.proto:3:13: "Foo" is not defined.')).toEqual(['a.proto:3:13-16 "Foo" is not defined.']);
  });

  it("passes over warnings, other lines, and files that nobody asked for", () => {
    expect(
      faults(
        "[libprotobuf WARNING google/protobuf/compiler/parser.cc:646] No syntax specified for the proto file: b.proto.",
        "a.proto:2:1: warning: Import b.proto is unused.",
        "google/protobuf/any.proto:1:1: odd",
        "",
      ),
    ).toEqual([]);
  });

  it("does not repeat the faults of an import in the files that import it", () => {
    expect(
      faults(
        'b.proto:1:12: Reached end of input in message definition (missing "}").',
        'a.proto:2:1: Import "b.proto" was not found or had errors.',
      ),
    ).toEqual(['b.proto:1:12-13 Reached end of input in message definition (missing "}").']);
  });

  it("takes a fault without a place for one of the file's first line", () => {
    expect(faults("a.proto: Some fault.")).toEqual(["a.proto:1:1-7 Some fault."]);
  });

  it("knows an import that is missing", () => {
    const [fault] = protocFaults('a.proto:2:1: Import "c.proto" was not found or had errors.', texts);
    expect(fault).toMatchObject({ isMissingImport: true, line: 2, column: 1 });
  });

  it("says once that a protoc is too old for editions", () => {
    const printed = [
      'new.proto:2:1: Expected top-level statement (e.g. "message").',
      'new.proto:3:13: Expected "required", "optional", or "repeated".',
    ];
    expect(protocFaults(printed.join("\n"), texts)).toMatchObject([
      { line: 2, column: 1, hint: expect.stringContaining("--compiler buf") },
    ]);
  });
});
