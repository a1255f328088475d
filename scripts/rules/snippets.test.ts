import { describe, expect, it } from "vitest";
import { snippetsOf } from "./snippets.ts";

const fence = "```";

describe("snippets of a page", () => {
  it("takes every ts block, and others that name a file", () => {
    const page = [
      "# Title",
      `${fence}ts`,
      "const a = 1;",
      fence,
      `${fence}sh`,
      "npm install",
      fence,
      `${fence}proto`,
      "// file: greeter.proto",
      'syntax = "proto3";',
      fence,
      `${fence}yaml`,
      "# file: bowline.yaml",
      "name: x",
      fence,
      `1. ${fence}`,
      `  ${fence}ts run`,
      "  // file: src/main.ts",
      "    const b = 2;",
      `  ${fence}`,
      `${fence}ts fragment`,
      "…",
      fence,
    ].join("\n");
    expect(snippetsOf("README.md", page).map(({ line, use, file, text }) => [line, use, file, text])).toEqual([
      [3, "check", "snippet-3.ts", "const a = 1;\n"],
      [9, "check", "greeter.proto", '// file: greeter.proto\nsyntax = "proto3";\n'],
      [13, "check", "bowline.yaml", "# file: bowline.yaml\nname: x\n"],
      [18, "run", "src/main.ts", "// file: src/main.ts\n  const b = 2;\n"],
      [22, "fragment", "snippet-22.ts", "…\n"],
    ]);
  });

  it("does not end a block at a longer fence's inner one", () => {
    const page = `${fence}\`md\n${fence}ts\nconst a = 1;\n${fence}\n${fence}\`\n`;
    expect(snippetsOf("README.md", page)).toEqual([]);
  });

  it("refuses words it does not know and files outside the page's folder", () => {
    expect(() => snippetsOf("README.md", `${fence}ts runs\n${fence}`)).toThrow(
      'README.md:1: "ts runs" means nothing; write ts, ts run or ts fragment',
    );
    expect(() => snippetsOf("README.md", `${fence}ts\n// file: ../a.ts\n${fence}`)).toThrow(
      "README.md:2: file ../a.ts lies outside the page's folder; give it a plain name",
    );
  });
});
