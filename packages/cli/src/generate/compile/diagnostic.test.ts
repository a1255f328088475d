import { describe, expect, it } from "vitest";
import { renderDiagnostic } from "./diagnostic.ts";

const plain = { error: (text: string) => text, faint: (text: string) => text };
const source = 'syntax = "proto3";\r\n\tUsr user = 1;\n// ä😀 é\n';

describe("renderDiagnostic", () => {
  it("shows the line and a caret below the fault; tabs stay tabs", () => {
    const diagnostic = { file: "a.proto", line: 2, column: 2, endColumn: 5, message: "no `Usr`", hint: "Import it." };
    expect(renderDiagnostic(diagnostic, source, plain)).toBe(
      "a.proto:2:2: no `Usr`\n 2 | \tUsr user = 1;\n   | \t^^^\n  Import it.\n",
    );
  });

  it("counts characters, not units of UTF-16", () => {
    const diagnostic = { file: "a.proto", line: 3, column: 7, message: "odd" };
    expect(renderDiagnostic(diagnostic, source, plain).split("\n").slice(1, 3)).toEqual([
      " 3 | // ä😀 é",
      "   |       ^",
    ]);
  });

  it("never points beyond the line, and does without a source", () => {
    const diagnostic = { file: "a.proto", line: 3, column: 4, endColumn: 400, message: "long" };
    expect(renderDiagnostic(diagnostic, source, plain)).toContain("   |    ^^^");
    expect(renderDiagnostic({ ...diagnostic, line: 99 }, source, plain)).toBe("a.proto:99:4: long\n");
    expect(renderDiagnostic(diagnostic, undefined, plain)).toBe("a.proto:3:4: long\n");
  });
});
