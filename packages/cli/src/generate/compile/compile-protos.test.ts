import { describe, expect, it } from "vitest";
import { workspaceFolder } from "../../../test/workspace-folder.ts";
import { type CompilerName, compileProtos } from "./compile-protos.ts";
import { DiagnosticError } from "./diagnostic.ts";
import { findProtoSources } from "./proto-sources.ts";
import { programOnPath } from "./run-program.ts";

const hasProtoc = programOnPath("protoc") !== undefined;
if (!hasProtoc) console.warn("SKIPPED: there is no protoc on PATH, so compiling with protoc is not tested");

const compilers: readonly CompilerName[] = hasProtoc ? ["buf", "protoc"] : ["buf"];

/** Compiles proto/ of a folder with these files; `place message` of each fault. */
async function faults(compiler: CompilerName, files: Readonly<Record<string, string>>): Promise<string[]> {
  const cwd = await workspaceFolder(files);
  const protos = await findProtoSources({ cwd, paths: [], include: [] });
  const error = await compileProtos(protos, { cwd, compiler }, () => undefined).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof DiagnosticError)) throw new Error(`no fault: ${error}`);
  return error.diagnostics.map(({ file, line, column, endColumn, message, hint }) => {
    expect(error.sources.get(file)).toBe(files[file]);
    return `${file}:${line}:${column}-${endColumn} ${message}${hint === undefined ? "" : ` | ${hint}`}`;
  });
}

describe.each(compilers)("compiling with %s", (compiler) => {
  it("resolves with descriptors, imports first", async () => {
    const cwd = await workspaceFolder({
      "proto/a.proto":
        'syntax = "proto3"; import "z.proto"; import "google/protobuf/any.proto"; message A { Z z = 1; }',
      "proto/z.proto": 'syntax = "proto3"; message Z { optional int32 x = 1; }',
    });
    const protos = await findProtoSources({ cwd, paths: [], include: [] });
    const [set, other] = await compileProtos(protos, { cwd, compiler }, () => "meanwhile");
    const text = Buffer.from(set).toString("latin1");
    // The name is field 1, and what follows it is an import or the syntax.
    expect(text.indexOf("\n\x07z.proto")).toBeGreaterThan(-1);
    expect(text.indexOf("\n\x07z.proto")).toBeLessThan(text.indexOf("\n\x07a.proto"));
    expect(other).toBe("meanwhile");
  });

  it("places faults behind tabs and others than ASCII in characters", async () => {
    const text = 'syntax = "proto3";\nmessage A {\n\t/* äö😀 */ Foo x = 1;\n}\n';
    expect(await faults(compiler, { "proto/a.proto": text })).toMatchObject([
      expect.stringMatching(/^proto\/a\.proto:3:12-15 .*Foo/),
    ]);
  });

  it("says where an import that nobody has was searched", async () => {
    const files = {
      "proto/a.proto": 'syntax = "proto3";\nimport "no/where.proto";\n',
      "proto/b.proto": 'import "a.proto";',
    };
    const missing = (await faults(compiler, files)).filter((fault) => fault.startsWith("proto/a.proto"));
    expect(missing).toMatchObject([
      expect.stringMatching(/^proto\/a\.proto:2:1-\d+ .* \| Searched in "proto"; name the folder/),
    ]);
  });

  it("says how a file is imported that lies in another place", async () => {
    const files = {
      "proto/a/v1/a.proto": 'syntax = "proto3"; import "a/v1/c.proto"; import "b.proto";\n',
      "proto/a/v1/b.proto": 'syntax = "proto3";\n',
      "proto/a/v1/c.proto": 'syntax = "proto3";\n',
    };
    const [fault] = await faults(compiler, files);
    expect(fault).toContain(' | There is proto/a/v1/b.proto: import "a/v1/b.proto".');
  });

  it("mentions buf export where a buf.yaml has dependencies", async () => {
    const files = {
      "buf.yaml": "version: v2\nmodules: [{ path: proto }]\ndeps: [buf.build/bufbuild/protovalidate]\n",
      "proto/a.proto": 'syntax = "proto3";\nimport "buf/validate/validate.proto";\n',
    };
    expect((await faults(compiler, files))[0]).toContain("buf export <dep> -o third_party");
  });

  it("shows the line of an edition that it does not know", async () => {
    const files = { "proto/a.proto": '// New.\nedition = "2099";\npackage a;\nmessage A { string x = 1; }\n' };
    expect((await faults(compiler, files))[0]).toMatch(/^proto\/a\.proto:2:(?:1-8|11-17) /);
  });

  it("ends with the signal, and leaves no folder behind", async () => {
    const cwd = await workspaceFolder({ "proto/a.proto": "" });
    const protos = await findProtoSources({ cwd, paths: [], include: [] });
    const signal = AbortSignal.abort();
    await expect(compileProtos(protos, { cwd, compiler, signal }, () => undefined)).rejects.toThrow("abort");
  });
});
