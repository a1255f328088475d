import { describe, expect, it } from "vitest";
import { complains, runCommandCases, writes, writesJson, writesLines } from "./command-case.ts";

const end = (stdout: string, stderr: string = "") => ({ code: 0, stdout, stderr });

describe("what a tool must write", () => {
  it("may be texts on either stream", () => {
    expect(writes("one", "two")(end("two one"))).toBeUndefined();
    expect(writes("one", "three")(end("two one"))).toBe('nothing says "three"');
    expect(complains("bad")(end("bad", ""))).toBe('nothing says "bad"');
  });

  it("may be lines, exactly", () => {
    expect(writesLines("a", "b")(end("a\nb\n"))).toBeUndefined();
    expect(writesLines("a")(end("a\nb\n"))).toBe("wanted the lines a");
  });

  it("may be JSON values, one after the other", () => {
    expect(
      writesJson({ a: 1 }, {}, { b: { c: 2 } })(end('{\n  "a": 1\n}\n{}\n{\n  "b": {\n    "c": 2\n  }\n}\n')),
    ).toBe(undefined);
    expect(writesJson({ a: 1 })(end('{\n  "a": 2\n}\n'))).toBe('wanted [{"a":1}]');
  });
});

describe("runCommandCases", () => {
  it("fails a case by its exit code or by what it wrote", async () => {
    const print = (text: string, code: number) => ["-e", `console.log(${JSON.stringify(text)}); process.exit(${code})`];
    const results = await runCommandCases(process.execPath, [
      { id: "well", args: print("word", 0), check: writes("word") },
      { id: "refused", args: print("word", 3), exitCode: 3 },
      { id: "other code", args: print("word", 1) },
      { id: "other text", args: print("word", 0), check: writes("sentence") },
    ]);
    expect(results.map(({ outcome }) => outcome)).toEqual(["passed", "passed", "failed", "failed"]);
    expect(results[2].detail).toBe("ended with 1, not 0\nword");
  });
});
