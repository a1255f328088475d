import { execFile } from "node:child_process";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { workspaceFolder } from "../../../test/workspace-folder.ts";
import { findBuf } from "./buf.ts";
import { findProtoSources } from "./proto-sources.ts";

/** A project of so many files, each with a message of its own. */
function project(config: Readonly<Record<string, string>>, ...files: string[]): Promise<string> {
  const protos = files.map((file, i) => [file, `syntax = "proto3"; package p${i}; message M {}\n`] as const);
  return workspaceFolder({ ...config, ...Object.fromEntries(protos) });
}

/** The files that are generated from, with what they are imported by. */
async function taken(cwd: string, ...paths: string[]): Promise<Record<string, string>> {
  const { sources } = await findProtoSources({ cwd, paths, include: [] });
  return Object.fromEntries(sources.map((source) => [relative(cwd, source.file), source.importPath]));
}

/** The oracle: what buf itself takes for the project's files. */
async function filesOfBuf(cwd: string): Promise<string[]> {
  const { stdout } = await promisify(execFile)(findBuf() ?? "buf", ["ls-files"], { cwd });
  return stdout.trim().split("\n").sort();
}

const layouts: readonly (readonly [
  name: string,
  config: Record<string, string>,
  files: Record<string, string | null>,
])[] = [
  [
    "buf.yaml v2 with includes and excludes",
    {
      "buf.yaml":
        "version: v2\nmodules:\n  - path: p\n    includes: [p/a]\n    excludes: [p/a/y]\n  - path: vendor\n    name: buf.build/a/b\n",
    },
    { "p/a/x/x.proto": "a/x/x.proto", "p/a/y/y.proto": null, "p/b/b.proto": null, "vendor/v.proto": "v.proto" },
  ],
  [
    "buf.yaml v2 without modules",
    { "buf.yaml": "version: v2\nlint:\n  use: [STANDARD]\n" },
    { "a/x.proto": "a/x.proto", "y.proto": "y.proto" },
  ],
  [
    "buf.yaml v1 with excludes",
    { "buf.yaml": "version: v1\nname: buf.build/a/b\nbuild:\n  excludes: [bad]\n" },
    { "a/x.proto": "a/x.proto", "bad/y.proto": null },
  ],
  [
    "buf.yaml v1beta1 with roots",
    { "buf.yaml": "version: v1beta1\nbuild:\n  roots: [r1, r2]\n  excludes: [r1/bad]\n" },
    { "r1/a.proto": "a.proto", "r1/bad/b.proto": null, "r2/c.proto": "c.proto" },
  ],
  [
    "buf.work.yaml",
    {
      "buf.work.yaml": "version: v1\ndirectories: [a, b/c]\n",
      "b/c/buf.yaml": "version: v1\nbuild:\n  excludes: [bad]\n",
    },
    { "a/a.proto": "a.proto", "b/c/b.proto": "b.proto", "b/c/bad/z.proto": null, "d.proto": null },
  ],
];

describe("buf's configuration", () => {
  it.each(layouts)("is followed: %s", async (_, config, files) => {
    const cwd = await project(config, ...Object.keys(files));
    const expected = Object.fromEntries(Object.entries(files).filter(([, importPath]) => importPath !== null));
    expect(await taken(cwd)).toEqual(expected);
    expect(Object.keys(expected).sort()).toEqual(await filesOfBuf(cwd));
  });

  it("is found in a folder that is named, and in proto/", async () => {
    const yaml = "version: v1\nbuild:\n  excludes: [bad]\n";
    const cwd = await project(
      { "proto/buf.yaml": yaml, "api/buf.yaml": yaml },
      "proto/a.proto",
      "proto/bad/b.proto",
      "api/c.proto",
    );
    expect(await taken(cwd)).toEqual({ "proto/a.proto": "a.proto" });
    expect(await taken(cwd, "api")).toEqual({ "api/c.proto": "c.proto" });
  });

  it("lets a part of a module be named, also one that it leaves out", async () => {
    const yaml = "version: v2\nmodules: [{ path: p, excludes: [p/bad] }]\n";
    const cwd = await project({ "buf.yaml": yaml }, "p/a/x.proto", "p/b/y.proto", "p/bad/z.proto");
    expect(await taken(cwd, "p/b")).toEqual({ "p/b/y.proto": "b/y.proto" });
    expect(await taken(cwd, "p")).toEqual({ "p/a/x.proto": "a/x.proto", "p/b/y.proto": "b/y.proto" });
    expect(await taken(cwd, "p/bad")).toEqual({ "p/bad/z.proto": "bad/z.proto" });
    expect(await taken(cwd, "p/bad/z.proto")).toEqual({ "p/bad/z.proto": "bad/z.proto" });
  });

  it("gives a file of a module within another one to the inner one", async () => {
    const yaml = "version: v2\nmodules: [{ path: p }, { path: p/q }]\n";
    const cwd = await project({ "buf.yaml": yaml }, "p/a.proto", "p/q/b.proto");
    const expected = { "p/a.proto": "a.proto", "p/q/b.proto": "b.proto" };
    expect(await taken(cwd)).toEqual(expected);
    expect(await taken(cwd, "p/q/b.proto")).toEqual({ "p/q/b.proto": "b.proto" });
  });

  it("says what it can't read, and where", async () => {
    const broken = [
      "version: v2\nmodules: p\n",
      "version: v2\nmodules: [{ path: 3 }]\n",
      "deps: [1]\n",
      "a: [\n",
      "- x\n",
    ];
    for (const text of broken) {
      const cwd = await project({ "buf.yaml": text });
      await expect(taken(cwd)).rejects.toThrow(`${join(cwd, "buf.yaml")} can't be read as buf's configuration: `);
    }
    const cwd = await project({ "buf.yaml": "version: v2\nmodules: [{ path: nowhere }]\n" });
    await expect(taken(cwd)).rejects.toThrow(/names the folder .*nowhere, which does not exist/);
  });
});
