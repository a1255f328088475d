import { describe, expect, it } from "vitest";
import { checkSizes, type FileSize } from "./sizes.ts";

function problems(files: readonly FileSize[], exceptions: Parameters<typeof checkSizes>[1] = []): string[] {
  return checkSizes(files, exceptions).map(({ file, problem }) => `${file}: ${problem}`);
}

describe("sizes", () => {
  it("allows 400 lines, 600 with a reason", () => {
    const files = [
      { path: "test/a.test.ts", lines: 400 },
      { path: "test/b.test.ts", lines: 401 },
      { path: "packages/bowline/src/rpc/c.ts", lines: 600 },
      { path: "packages/bowline/src/rpc/d.ts", lines: 601 },
      { path: "packages/bowline/src/rpc/e.ts", lines: 400 },
    ];
    const exceptions = ["c", "d", "e"].map((name) => ({
      path: `packages/bowline/src/rpc/${name}.ts`,
      reason: "a table",
    }));
    expect(problems(files, exceptions)).toEqual([
      "test/b.test.ts: 401 lines, 400 are allowed",
      "packages/bowline/src/rpc/d.ts: 601 lines, 600 are allowed",
      "packages/bowline/src/rpc/e.ts: has an entry in the list of long files, but no more than 400 lines",
    ]);
  });

  it("allows 12 source files a folder, tests apart", () => {
    const folder = (name: string, count: number): FileSize[] =>
      Array.from({ length: count }, (_, i) => ({ path: `packages/bowline/src/${name}/f${i}.ts`, lines: 1 }));
    const tests = folder("rpc", 5).map(({ path }) => ({ path: path.replace(".ts", ".test.ts"), lines: 1 }));
    expect(problems([...folder("rpc", 12), ...tests, ...folder("grpc", 13)])).toEqual([
      "packages/bowline/src/grpc: 13 source files, 12 are allowed",
    ]);
  });

  it("allows a depth of 4 below src", () => {
    const files = ["a/b/c/d.ts", "a/b/c/d/e.ts"].map((path) => ({ path: `packages/cli/src/${path}`, lines: 1 }));
    expect(problems(files)).toEqual(["packages/cli/src/a/b/c/d/e.ts: lies 5 deep below src, 4 are allowed"]);
  });
});
