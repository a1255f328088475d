import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { create, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { packageFolder, workspaceFolder } from "../../../test/workspace-folder.ts";
import { loadPluginRuntime } from "../emit/plugin-runtime.ts";
import { generate } from "../run.ts";
import { findBuf } from "./buf.ts";
import { readDescriptorSet } from "./descriptor-set.ts";
import { programOnPath } from "./run-program.ts";

const protoc = programOnPath("protoc");
if (protoc === undefined) console.warn("SKIPPED: there is no protoc on PATH, so its descriptor sets are not tested");

const runtime = loadPluginRuntime();
const bundled = join(packageFolder, "../bowline/proto");

/** A folder with the descriptor set that buf makes of two modules with these flags. */
async function withImage(...flags: string[]): Promise<string> {
  const cwd = await workspaceFolder({
    "buf.yaml": `version: v2\nmodules: [{ path: main }, { path: imported }]\n`,
    "main/a/v1/a.proto":
      'syntax = "proto3"; package a.v1; import "b/b.proto"; import "google/protobuf/any.proto"; message A { b.B b = 1; google.protobuf.Any any = 2; }',
    "imported/b/b.proto": 'syntax = "proto3"; package b; message B {}',
  });
  await promisify(execFile)(findBuf() ?? "buf", ["build", "-o", "api.binpb", ...flags], { cwd });
  return cwd;
}

describe("readDescriptorSet", () => {
  it("takes all files but those that buf marked as imports and those of google/protobuf", async () => {
    const all = await withImage();
    expect((await readDescriptorSet(all, "api.binpb", [], runtime)).targets).toEqual(["b/b.proto", "a/v1/a.proto"]);
    const part = await withImage("main");
    expect((await readDescriptorSet(part, "api.binpb", [], runtime)).targets).toEqual(["a/v1/a.proto"]);
  });

  it("takes what is named: import paths and folders of them", async () => {
    const cwd = await withImage();
    const targets = async (...paths: string[]): Promise<readonly string[]> =>
      (await readDescriptorSet(cwd, "api.binpb", paths, runtime)).targets;
    expect(await targets("a")).toEqual(["a/v1/a.proto"]);
    expect(await targets("./a/v1/")).toEqual(["a/v1/a.proto"]);
    expect(await targets("b/b.proto", "a")).toEqual(["b/b.proto", "a/v1/a.proto"]);
    await expect(targets("c")).rejects.toMatchObject({ message: "api.binpb has no c" });
  });

  it("says what is wrong with a file that is none, or lacks imports", async () => {
    const cwd = await withImage("--exclude-imports", "main");
    const reading = (file: string): Promise<unknown> => readDescriptorSet(cwd, file, [], runtime);
    await expect(reading("api.binpb")).rejects.toMatchObject({
      message: "api.binpb has a/v1/a.proto, but not b/b.proto, which it imports",
      hint: expect.stringContaining("--include_imports"),
    });
    for (const file of ["main/a/v1/a.proto", "buf.yaml"]) {
      await expect(reading(file)).rejects.toThrow(`${file} is no descriptor set`);
    }
    const odd = { file: [{ name: "../../evil.proto", syntax: "proto3" }] };
    await writeFile(join(cwd, "odd.binpb"), toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, odd)));
    await expect(reading("odd.binpb")).rejects.toThrow('odd.binpb has a file named "../../evil.proto"');
    await expect(reading("no.binpb")).rejects.toThrow("can't read no.binpb: it does not exist");
  });
});

describe("bowline generate --descriptor-set", () => {
  it("writes what it writes from the .proto files, whoever compiled them", { timeout: 30_000 }, async () => {
    const cwd = await workspaceFolder({
      "buf.yaml": "version: v2\nmodules: [{ path: proto }, { path: imports }]\n",
      "proto/a.proto": `syntax = "proto3";
package a;
import "google/rpc/status.proto";
// About S.
service S {
  // About Do.
  rpc Do(M) returns (google.rpc.Status);
}
// About M.
message M { optional string x_y = 1; map<string, M> all = 2; oneof one { int32 a = 3; M b = 4; } reserved 9; }
`,
      "imports/google/rpc/status.proto": await readFile(join(bundled, "google/rpc/status.proto"), "utf8"),
    });
    const settings = { cwd, importExtension: "ts" } as const;
    await generate({ ...settings, paths: ["proto"], out: "gen" });
    await promisify(execFile)(findBuf() ?? "buf", ["build", "-o", "buf.binpb"], { cwd });
    const sets = ["buf.binpb"];
    if (protoc !== undefined) {
      const flags = ["-Iproto", "-Iimports", "--include_imports", "--include_source_info", "-o", "protoc.binpb"];
      await promisify(execFile)(protoc, [...flags, "proto/a.proto"], { cwd });
      sets.push("protoc.binpb");
    }
    for (const descriptorSet of sets) {
      const again = { ...settings, descriptorSet, out: "gen", paths: ["a.proto"], check: true, clean: true };
      const { files } = await generate(again);
      expect(files.filter((file) => file.state !== "unchanged").map(({ path, state }) => `${state} ${path}`)).toEqual(
        [],
      );
    }
  });
});
