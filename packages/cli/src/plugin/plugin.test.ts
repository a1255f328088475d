import { execFile } from "node:child_process";
import { chmod, readdir, readFile, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  CodeGeneratorRequestSchema,
  type CodeGeneratorResponse,
  CodeGeneratorResponseSchema,
  Edition,
  FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { packageFolder, workspaceFolder } from "../../test/workspace-folder.ts";
import { findBuf } from "../generate/compile/buf.ts";
import { programOnPath } from "../generate/compile/run-program.ts";
import { loadPluginRuntime } from "../generate/emit/plugin-runtime.ts";
import { generate } from "../generate/run.ts";
import { runPlugin } from "./run-plugin.ts";

const run = promisify(execFile);
const bin = fileURLToPath(new URL("bin.ts", import.meta.url));
const protoc = programOnPath("protoc");
if (protoc === undefined) console.warn("SKIPPED: there is no protoc on PATH, so the plugin is not tested under protoc");

const FILES = {
  "proto/a/v1/a.proto": `syntax = "proto3";
package a.v1;
import "b/b.proto";
import "google/protobuf/timestamp.proto";
// About S.
service S { rpc Do(A) returns (b.B); }
// About A.
message A { optional string x_y = 1; map<string, b.B> all = 2; google.protobuf.Timestamp at = 3; }
`,
  "proto/b/b.proto": 'syntax = "proto2"; package b; message B { required int32 x = 1 [default = 5]; }\n',
};

/** A project in which `protoc-gen-bowline` is on PATH as an installed one would be. */
async function project(files: Readonly<Record<string, string>>): Promise<{ cwd: string; env: NodeJS.ProcessEnv }> {
  const cwd = await workspaceFolder({
    ...files,
    "bin/protoc-gen-bowline": `#!/bin/sh\nexec ${process.execPath} ${bin} "$@"\n`,
  });
  await chmod(join(cwd, "bin/protoc-gen-bowline"), 0o755);
  return { cwd, env: { ...process.env, PATH: `${join(cwd, "bin")}${delimiter}${process.env.PATH}` } };
}

async function textsIn(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const texts = files.map(async (file) => [file.slice(folder.length + 1), await readFile(file, "utf8")] as const);
  return Object.fromEntries(await Promise.all(texts));
}

async function bufGenerate(
  files: Readonly<Record<string, string>>,
  opt: readonly string[] = [],
  more: object = {},
): Promise<{ cwd: string; stderr: string }> {
  const { cwd, env } = await project(files);
  const template = { version: "v2", plugins: [{ local: "protoc-gen-bowline", out: "out", opt, ...more }] };
  await writeFile(join(cwd, "buf.gen.yaml"), JSON.stringify(template));
  await writeFile(join(cwd, "buf.yaml"), "version: v2\nmodules: [{ path: proto }]\n");
  return run(findBuf() ?? "buf", ["generate"], { cwd, env }).then(
    () => ({ cwd, stderr: "" }),
    (error) => ({ cwd, stderr: String(error.stderr) }),
  );
}

describe("protoc-gen-bowline under buf", { timeout: 30_000 }, () => {
  it("writes what bowline generate writes, byte for byte", async () => {
    const { cwd, stderr } = await bufGenerate(FILES, ["import_extension=js"], {
      strategy: "all",
      include_imports: true,
    });
    expect(stderr).toBe("");
    await generate({ cwd, paths: [], out: "gen", importExtension: "js" });
    const expected = await textsIn(join(cwd, "gen"));
    expect(Object.keys(expected)).toContain("a/v1/a_rpc.ts");
    expect(await textsIn(join(cwd, "out"))).toEqual(expected);
  });

  it("leaves messages out, and imports them from elsewhere", async () => {
    const { cwd } = await bufGenerate(FILES, ["messages=false", "messages_from=../pb", "import_extension=ts"]);
    const settings = { messages: false, messagesFrom: "pb", importExtension: "ts" } as const;
    await generate({ cwd, paths: [], out: "gen", ...settings });
    const texts = await textsIn(join(cwd, "out"));
    expect(Object.keys(texts).filter((path) => !path.endsWith("_rpc.ts"))).toEqual([]);
    expect(texts["a/v1/a_rpc.ts"]).toContain(' from "../../../pb/a/v1/a_pb.ts";\n');
    expect(texts).toEqual(await textsIn(join(cwd, "gen")));
  });

  it("tells faults through buf", async () => {
    const clash = FILES["proto/a/v1/a.proto"].replace("rpc Do", "rpc do(A) returns (A); rpc Do");
    const { stderr } = await bufGenerate({ ...FILES, "proto/a/v1/a.proto": clash });
    expect(stderr).toMatch(/a\/v1\/a\.proto:6:\d+: do and Do would both be the method `do` in TypeScript\n {2}Rename/);
    expect((await bufGenerate(FILES, ["imports=js"])).stderr).toContain("there is no parameter imports");
  });
});

describe.runIf(protoc !== undefined)("protoc-gen-bowline under protoc", { timeout: 30_000 }, () => {
  it("writes what bowline generate writes, byte for byte", async () => {
    const { cwd, env } = await project(FILES);
    await run("mkdir", ["out"], { cwd });
    const flags = ["--bowline_out=out", "--bowline_opt=import_extension=ts", "-Iproto"];
    await run(protoc ?? "", [...flags, "proto/a/v1/a.proto", "proto/b/b.proto"], { cwd, env });
    await generate({ cwd, paths: [], out: "gen", importExtension: "ts" });
    expect(await textsIn(join(cwd, "out"))).toEqual(await textsIn(join(cwd, "gen")));
  });

  it("tells faults through protoc", async () => {
    const { cwd, env } = await project(FILES);
    const flags = ["--bowline_out=.", "--bowline_opt=messages=maybe", "-Iproto", "proto/b/b.proto"];
    const { stderr } = await run(protoc ?? "", flags, { cwd, env }).catch((error) => error);
    expect(stderr).toBe('--bowline_out: messages is "maybe"\n  Give one of true, false.\n');
  });
});

describe("protoc-gen-bowline", () => {
  const context = { runtime: loadPluginRuntime(), importExtension: "ts" } as const;
  const file = create(FileDescriptorProtoSchema, { name: "x.proto", syntax: "proto3", messageType: [{ name: "X" }] });

  function answer(parameter: string, edition?: Edition): CodeGeneratorResponse {
    const protoFile = edition === undefined ? [file] : [{ ...file, syntax: "editions", edition }];
    const request = create(CodeGeneratorRequestSchema, { parameter, fileToGenerate: ["x.proto"], protoFile });
    return fromBinary(CodeGeneratorResponseSchema, runPlugin(toBinary(CodeGeneratorRequestSchema, request), context));
  }

  it("says what it can do, also when it could not do it", () => {
    for (const parameter of ["", "odd"]) {
      const { supportedFeatures, minimumEdition, maximumEdition } = answer(parameter);
      expect(supportedFeatures).toBe(3n);
      expect(minimumEdition).toBe(Edition.EDITION_PROTO2);
      expect(maximumEdition).toBeGreaterThanOrEqual(Edition.EDITION_2024);
    }
  });

  it("refuses parameters and values that mean nothing", () => {
    expect(answer("import_extension=js,messages=true").error).toBe("");
    expect(answer("import_extension=mjs").error).toBe('import_extension is "mjs"\n  Give one of ts, js, none.');
    expect(answer("messages").error).toBe('messages is ""\n  Give one of true, false.');
    expect(answer("messages_from=../pb").error).toContain(
      "messages_from goes with messages that are generated elsewhere",
    );
    expect(answer("messages=false,messages_from=").error).toContain('messages_from is ""');
    expect(answer("target=ts").error).toContain("Known are import_extension=ts|js|none");
  });

  it("refuses an edition that is not known yet", () => {
    for (const parameter of ["", "messages=false"]) {
      const { error, file: files } = answer(parameter, Edition.EDITION_99999_TEST_ONLY);
      expect(error).toMatch(/^x\.proto:1:1: no code can be generated for edition 99999_TEST_ONLY/);
      expect(files).toEqual([]);
    }
  });

  it("says its version, and at a terminal what it is for", async () => {
    const options = { cwd: dirname(packageFolder) };
    expect((await run(process.execPath, [bin, "--version"], options)).stdout).toMatch(
      /^protoc-gen-bowline \d+\.\d+\.\d+\n$/,
    );
    await expect(run(process.execPath, [bin, "x.proto"], options)).rejects.toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringContaining("bowline generate"),
    });
  });
});
