import { describe, expect, it } from "vitest";
import { checkBannedText, checkDocComments } from "./docs.ts";

const path = "packages/bowline/src/rpc/a.ts";

describe("doc comments", () => {
  it("counts exported names of packages, without generated code and tests", () => {
    const text = "/** Doc. */\nexport const a = 1;\n\nexport function b(): void {}\n";
    const others = [
      "packages/bowline/src/gen/a_pb.ts",
      "packages/bowline/src/rpc/a.test.ts",
      "bench/a.ts",
      "packages/bowline/x.ts",
    ];
    const coverage = checkDocComments([path, ...others].map((each) => ({ path: each, text })));
    expect({
      ...coverage,
      missing: coverage.missing.map((each) => `${each.file}:${each.line} ${each.problem}`),
    }).toEqual({
      documented: 1,
      total: 2,
      missing: [`${path}:4 b has no doc comment`],
    });
  });
});

describe("banned text", () => {
  const problems = (text: string, file: string = path): string[] =>
    checkBannedText([{ path: file, text }]).map((each) => `${each.line} ${each.problem}`);

  it("finds paths of one machine in every file, but not addresses and patterns", () => {
    const folder = ["", "root", "thing"].join("/");
    expect(problems(`a\ncd ${folder}\nhttps://example.org${folder}\n/(root|x)/\n./root/x`, "README.md")).toEqual([
      `2 names a path of one machine: cd ${folder}`,
    ]);
  });

  it("finds what is left to do in comments only", () => {
    const word = ["TO", "DO"].join("");
    expect(problems(`const text = "${word}";\n/**\n * ${word}: more\n */\n// @ts-${"ignore"}`)).toEqual([
      `3 leaves something to do: * ${word}: more`,
      `5 silences the compiler: // @ts-${"ignore"}`,
    ]);
    expect(problems(`// ${word}`, "packages/bowline/src/gen/a_pb.ts")).toEqual([]);
  });
});
