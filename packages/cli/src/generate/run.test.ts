import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { create, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, it, onTestFinished } from "vitest";
import { recorder } from "../../test/recorder.ts";
import { workspaceFolder } from "../../test/workspace-folder.ts";
import type { CommandError } from "../command-error.ts";
import { generate, runGenerate } from "./run.ts";
import type { GenerateRequest } from "./settings.ts";

const GREETER = `syntax = "proto3";
package greet.v1;
service Greeter {
  rpc Greet(Text) returns (Text);
}
message Text { string text = 1; }
`;

const MESSAGE_B = 'syntax = "proto3"; message B {}';

/** What `bowline generate` prints, and the error it ends with. */
async function printed(
  options: Partial<GenerateRequest> & { cwd: string },
): Promise<{ out: string; err: string; error?: CommandError }> {
  const terminal = recorder();
  const error = await runGenerate({ paths: [], ...options }, terminal).then(
    () => undefined,
    (thrown) => thrown,
  );
  return { out: terminal.out, err: terminal.err, error };
}

const PACKAGES = Array.from({ length: 12 }, (_, i) => `p${i}`);

/** A run of its own, as another terminal would start it. */
async function inProcess(cwd: string): Promise<void> {
  const bin = fileURLToPath(new URL("../bin.ts", import.meta.url));
  await promisify(execFile)(process.execPath, [bin, "generate", "--clean"], { cwd });
}

/** The number of a process that has come and gone. */
async function endedProcessId(): Promise<number> {
  const child = spawn(process.execPath, ["--version"], { stdio: "ignore" });
  await once(child, "exit");
  return child.pid ?? 0;
}

async function textsIn(folder: string): Promise<Record<string, string>> {
  const files = await filesIn(folder);
  return Object.fromEntries(await Promise.all(files.map(async (f) => [f, await readFile(join(folder, f), "utf8")])));
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

describe("bowline generate", () => {
  it("writes src/gen when there is a src, else gen", async () => {
    const cwd = await workspaceFolder({ "proto/greet/v1/greet.proto": GREETER, "src/main.ts": "" });
    expect((await printed({ cwd })).out).toBe(
      "new src/gen/greet/v1/greet_pb.ts\nnew src/gen/greet/v1/greet_rpc.ts\n2 files in src/gen, 0 unchanged\n",
    );
    const without = await workspaceFolder({ "proto/greet/v1/greet.proto": GREETER });
    expect((await printed({ cwd: without })).out).toContain("2 files in gen, 0 unchanged");
  });

  it("gives the same text each time and touches only what has changed", async () => {
    const cwd = await workspaceFolder({ "proto/a.proto": GREETER, "proto/b.proto": MESSAGE_B });
    await generate({ cwd, paths: [] });
    const [kept, changed] = [join(cwd, "gen/b_pb.ts"), join(cwd, "gen/a_rpc.ts")];
    const text = await readFile(changed, "utf8");
    const longAgo = new Date(1000);
    await utimes(kept, longAgo, longAgo);
    await writeFile(changed, "edited");
    expect((await printed({ cwd })).out).toBe("changed gen/a_rpc.ts\n4 files in gen, 3 unchanged\n");
    expect(await readFile(changed, "utf8")).toBe(text);
    expect((await stat(kept)).mtimeMs).toBe(1000);
    expect(await filesIn(join(cwd, "gen"))).toEqual(["a_pb.ts", "a_rpc.ts", "b_pb.ts", "b_rpc.ts"]);
  });

  it("shows each fault with its place and line, and writes nothing", async () => {
    const faulty = GREETER.replace("returns (Text)", "returns (Txt)");
    const cwd = await workspaceFolder({
      "proto/greet/v1/greet.proto": faulty,
      "proto/b.proto": 'import "no/where.proto";',
    });
    const { out, err, error } = await printed({ cwd });
    expect(out).toBe("");
    expect(err).toContain(
      "proto/greet/v1/greet.proto:4:28: cannot find `Txt` in this scope\n" +
        " 4 |   rpc Greet(Text) returns (Txt);\n" +
        "   |                            ^^^\n",
    );
    expect(err).toContain('Searched in "proto"; name the folder that holds no/where.proto with --include <dir>.');
    expect(error?.message).toMatch(/^\d errors; nothing was written$/);
    expect(await filesIn(cwd)).toEqual(["proto/b.proto", "proto/greet/v1/greet.proto"]);
  });

  it("refuses two methods that would be one in TypeScript", async () => {
    const cwd = await workspaceFolder({
      "proto/a.proto": GREETER.replace("  rpc", "  rpc greet(Text) returns (Text);\n  rpc"),
    });
    const { err, error } = await printed({ cwd });
    expect(err).toBe(
      "proto/a.proto:5:7: greet and Greet would both be the method `greet` in TypeScript\n" +
        " 5 |   rpc Greet(Text) returns (Text);\n   |       ^^^^^\n  Rename one of them.\n",
    );
    expect(error?.message).toBe("1 error; nothing was written");
  });

  it("refuses fields of a message that would be one property in TypeScript, wherever they stand", async () => {
    const cwd = await workspaceFolder({
      "proto/a.proto": `syntax = "proto2";
message fooBar {}
message Outer {
  map<string, string> labels = 1;
  message Inner {
    optional string foo_bar = 1;
    optional fooBar
      fooBar = 2;
  }
  oneof one_of {
    string a_b = 2;
    string aB = 3;
    string foo_bar = 6;
  }
\toptional fooBar oneOf = 4;
  optional string fooBar = 5;
}
`,
      "proto/b.proto": 'syntax = "proto2"; message B { optional int32 to_string = 1; optional int32 TOString = 2; }',
    });
    const { err, error } = await printed({ cwd });
    expect(err).toBe(
      "proto/a.proto:15:18: one_of and oneOf would both be the property `oneOf` in TypeScript\n" +
        " 15 | \toptional fooBar oneOf = 4;\n    | \t                ^^^^^\n  Rename one of them.\n" +
        "proto/a.proto:12:12: a_b and aB would both be the case `aB` in TypeScript\n" +
        " 12 |     string aB = 3;\n    |            ^^\n  Rename one of them.\n" +
        "proto/a.proto:8:7: foo_bar and fooBar would both be the property `fooBar` in TypeScript\n" +
        " 8 |       fooBar = 2;\n   |       ^^^^^^\n  Rename one of them.\n",
    );
    expect(error?.message).toBe("3 errors; nothing was written");
  });

  it("refuses fields that would be one property in a file that is only imported", async () => {
    const cwd = await workspaceFolder({
      "proto/a.proto": 'syntax = "proto3"; import "twins.proto"; message A { Twins twins = 1; }',
      "other/twins.proto":
        'syntax = "proto2";\nmessage Twins {\n  optional string foo_bar = 1;\n  optional string fooBar = 2;\n}\n',
    });
    const { err } = await printed({ cwd, paths: ["proto/a.proto"], include: ["proto", "other"] });
    expect(err).toBe(
      "other/twins.proto:4:19: foo_bar and fooBar would both be the property `fooBar` in TypeScript\n" +
        " 4 |   optional string fooBar = 2;\n   |                   ^^^^^^\n  Rename one of them.\n",
    );
  });

  it("refuses names of fields, messages, enums, services and extensions that TypeScript can't read", async () => {
    const cwd = await workspaceFolder({
      "proto/a.proto": `syntax = "proto3";
import "google/protobuf/descriptor.proto";
message any { message any { string _1 = 1; } }
message Fine {
  string _2x = 1;
  oneof _ { string b = 2; }
  string _01 = 3;
}
enum unknown { A = 0; }
enum eval { B = 0; }
service await {}
extend google.protobuf.FileOptions { string arguments = 50000; }
`,
      "proto/b.proto": 'syntax = "proto3"; enum infer { C = 0; }',
    });
    const { err } = await printed({ cwd });
    expect(err.split("\n").filter((line) => line.startsWith("proto/"))).toEqual([
      "proto/a.proto:3:9: no message can be named `any` in TypeScript",
      "proto/a.proto:9:6: no enum can be named `unknown` in TypeScript",
      "proto/a.proto:10:6: no enum can be named `eval` in TypeScript",
      "proto/a.proto:11:9: no service can be named `await` in TypeScript",
      "proto/a.proto:12:45: no extension can be named `arguments` in TypeScript",
      "proto/a.proto:5:10: _2x would be the property `2x`, which can't be written in TypeScript",
      "proto/a.proto:6:9: _ would be the property ``, which can't be written in TypeScript",
      "proto/a.proto:7:10: _01 would be the property `01`, which can't be written in TypeScript",
    ]);
    expect(err).toContain(" 5 |   string _2x = 1;\n   |          ^^^\n  Rename it.\n");
    await rm(join(cwd, "proto/a.proto"));
    expect((await printed({ cwd })).err).toContain("proto/b.proto:1:25: no enum can be named `infer`");
  });

  it("generates files of google/protobuf that are among its own like all others", async () => {
    const cwd = await workspaceFolder({
      "proto/google/protobuf/timestamp.proto":
        'syntax = "proto3"; package google.protobuf; message Timestamp { int64 seconds = 1; } message Extra {}',
      "proto/a.proto":
        'import "google/protobuf/timestamp.proto"; message A { optional google.protobuf.Timestamp t = 1; }',
    });
    await generate({ cwd, paths: [] });
    const files = await textsIn(join(cwd, "gen"));
    expect(files["google/protobuf/timestamp_rpc.ts"]).toContain(
      'import { type Extra, ExtraSchema, type Timestamp, TimestampSchema } from "./timestamp_pb.ts";',
    );
    for (const text of Object.values(files)) expect(text).not.toContain("@bufbuild/protobuf/wkt");
  });

  it("checks without writing", async () => {
    const cwd = await workspaceFolder({ "proto/a.proto": GREETER });
    const missing = await printed({ cwd, check: true });
    expect(missing.out).toBe("new gen/a_pb.ts\nnew gen/a_rpc.ts\n");
    expect(missing.error).toMatchObject({
      message: "2 files of gen not up to date",
      hint: expect.stringContaining("bowline generate"),
    });
    expect(await filesIn(cwd)).toEqual(["proto/a.proto"]);
    await generate({ cwd, paths: [] });
    expect(await printed({ cwd, check: true })).toMatchObject({
      out: "2 files in gen, 2 unchanged\n",
      error: undefined,
    });
  });

  it("removes with --clean what it had generated, and nothing else", async () => {
    const cwd = await workspaceFolder({
      "proto/a.proto": GREETER,
      "proto/old/b.proto": MESSAGE_B,
      "gen/own_pb.ts": "// @generated by protoc-gen-es\n",
      "gen/old/notes.md": "",
      "gen/gone/deep/c_pb.ts": "// Generated by bowline generate from gone/deep/c.proto. Do not edit.\n",
    });
    await generate({ cwd, paths: [] });
    await rm(join(cwd, "proto/old"), { recursive: true });
    const options = { cwd, paths: [], clean: true };
    expect((await printed({ ...options, check: true })).out).toBe(
      "gone gen/gone/deep/c_pb.ts\ngone gen/old/b_pb.ts\ngone gen/old/b_rpc.ts\n",
    );
    await generate(options);
    expect(await filesIn(join(cwd, "gen"))).toEqual(["a_pb.ts", "a_rpc.ts", "old/notes.md", "own_pb.ts"]);
    expect(await readdir(join(cwd, "gen"))).not.toContain("gone");
  });

  it("leaves with --clean, for files that are named, what comes from others that are there", async () => {
    const cwd = await workspaceFolder({
      "proto/a.proto": GREETER,
      "proto/x/b.proto": 'syntax = "proto3"; import "google/rpc/status.proto"; message B { google.rpc.Status s = 1; }',
      "proto/x/c.proto": 'syntax = "proto3"; message C {}',
    });
    await generate({ cwd, paths: [] });
    await rm(join(cwd, "proto/x/c.proto"));
    const gone = "gone gen/x/c_pb.ts\ngone gen/x/c_rpc.ts\n";
    expect((await printed({ cwd, paths: ["proto/a.proto"], clean: true })).out).toBe(
      `${gone}2 files in gen, 2 unchanged\n`,
    );
    expect((await printed({ cwd, check: true, clean: true })).error).toBeUndefined();
  });

  it("takes for others also what the configuration names, and what else a descriptor set has", async () => {
    const cwd = await workspaceFolder({
      "api/a.proto": GREETER,
      "third/b.proto": MESSAGE_B,
      "bowline.gen.yaml": "inputs: [api, third]\nclean: true\n",
      "gen/c_pb.ts": "// Generated by bowline generate from c.proto. Do not edit.\n",
    });
    const files = ["a.proto", "b.proto"].map((name) => ({ name, syntax: "proto3", messageType: [{ name: "M" }] }));
    const set = toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file: files }));
    await writeFile(join(cwd, "api.binpb"), set);
    await generate({ cwd, paths: ["api", "third"] });
    expect((await printed({ cwd, paths: ["third"] })).out).toBe("gone gen/c_pb.ts\n2 files in gen, 2 unchanged\n");
    const request = { cwd, descriptorSet: "api.binpb", check: true };
    expect((await printed({ ...request, paths: ["b.proto"] })).out).not.toContain("gone");
  });

  it("leaves with --clean what was generated into a folder below, by its own first line", async () => {
    const head = (from: string): string => `// Generated by bowline generate from ${from}. Do not edit.\n`;
    const files = {
      "proto/a.proto": GREETER,
      "old/gone_rpc.ts": head("old/gone.proto"),
      "services/shop/gen/b_pb.ts": head("b.proto"),
      "gen/c/d_pb.ts": head("c/d.proto"),
      "node_modules/x/a_pb.ts": head("node_modules/x/a.proto"),
    };
    const cwd = await workspaceFolder(files);
    await printed({ cwd, out: ".", clean: true });
    const { "old/gone_rpc.ts": _, ...kept } = files;
    expect(await filesIn(cwd)).toEqual(["a_pb.ts", "a_rpc.ts", ...Object.keys(kept)].sort());
  });

  it("leaves with --clean what was generated in another project, unless it writes there itself", async () => {
    const head = (from: string): string => `// Generated by bowline generate from ${from}. Do not edit.\n`;
    const files = {
      "package.json": "{}",
      "bowline.gen.yaml": "inputs: shop\ninclude: .\nout: .\nclean: true\n",
      "shop/a.proto": GREETER,
      "shop/package.json": "{}",
      "shop/gone_pb.ts": head("shop/gone.proto"),
      "users/package.json": "{}",
      "users/b_pb.ts": head("users/b.proto"),
      "mail/bowline.gen.yaml": "",
      "mail/deep/c_pb.ts": head("mail/deep/c.proto"),
      "plain/d_pb.ts": head("plain/d.proto"),
    };
    const cwd = await workspaceFolder(files);
    expect((await printed({ cwd })).out).toBe(
      "gone plain/d_pb.ts\nnew shop/a_pb.ts\nnew shop/a_rpc.ts\ngone shop/gone_pb.ts\n2 files in ., 0 unchanged\n",
    );
  });

  it("takes files whose lines a checkout has ended with CRLF for what they are", async () => {
    const cwd = await workspaceFolder({
      "proto/a.proto": GREETER,
      "proto/b.proto": MESSAGE_B,
    });
    await generate({ cwd, paths: [] });
    const paths = (await filesIn(join(cwd, "gen"))).map((file) => join(cwd, "gen", file));
    for (const path of paths) await writeFile(path, (await readFile(path, "utf8")).replaceAll("\n", "\r\n"));
    const before = await textsIn(join(cwd, "gen"));
    expect((await printed({ cwd, check: true })).error).toBeUndefined();
    expect((await printed({ cwd })).out).toBe("4 files in gen, 4 unchanged\n");
    expect(await textsIn(join(cwd, "gen"))).toEqual(before);
    await rm(join(cwd, "proto/b.proto"));
    expect((await printed({ cwd, clean: true })).out).toContain("gone gen/b_pb.ts\ngone gen/b_rpc.ts\n");
  });

  it("leaves what several processes generate at once whole and right", async () => {
    const cwd = await workspaceFolder(
      Object.fromEntries(PACKAGES.map((name) => [`proto/${name}/a.proto`, GREETER.replace("greet.v1", name)])),
    );
    await generate({ cwd, paths: [] });
    const whole = await textsIn(join(cwd, "gen"));
    const gone = "// Generated by bowline generate from gone/gone.proto. Do not edit.\n";
    for (let round = 0; round < 3; round += 1) {
      for (const name of PACKAGES) await writeFile(join(cwd, `gen/${name}/a_pb.ts`), "edited");
      await mkdir(join(cwd, "gen/gone"), { recursive: true });
      await writeFile(join(cwd, "gen/gone/gone_pb.ts"), gone);
      await Promise.all([inProcess(cwd), inProcess(cwd)]);
      expect(await textsIn(join(cwd, "gen"))).toEqual(whole);
    }
  }, 60_000);

  it("removes with --clean the drafts of a run that was killed, not those of one that runs", async () => {
    const cwd = await workspaceFolder({ "proto/a.proto": GREETER });
    const ended = await endedProcessId();
    await generate({ cwd, paths: [] });
    await writeFile(join(cwd, `gen/a_pb.ts.${ended}-1.tmp`), "half");
    await writeFile(join(cwd, `gen/a_pb.ts.${process.pid}-1.tmp`), "half");
    await writeFile(join(cwd, "gen/own.tmp"), "");
    expect((await printed({ cwd, clean: true })).out).toContain(`gone gen/a_pb.ts.${ended}-1.tmp\n`);
    const kept = ["a_pb.ts", `a_pb.ts.${process.pid}-1.tmp`, "a_rpc.ts", "own.tmp"];
    expect(await filesIn(join(cwd, "gen"))).toEqual(kept);
  });

  it("says why it can't write, and leaves no draft", async () => {
    const cwd = await workspaceFolder({ "proto/a.proto": GREETER, gen: "a file", "lib/a_pb.ts/x": "" });
    const { error } = await printed({ cwd });
    expect(error?.message).toMatch(
      /^can't (?:read|write) .*gen\/a_pb\.ts: a part of the path is a file, not a folder$/,
    );
    expect((await printed({ cwd, out: "lib" })).error).toMatchObject({
      message: expect.stringMatching(/^can't read .*lib\/a_pb\.ts: it is a folder, not a file$/),
      hint: "Check the path.",
    });
    expect(await filesIn(cwd)).toEqual(["gen", "lib/a_pb.ts/x", "proto/a.proto"]);
  });

  it("prints its result as JSON", async () => {
    const cwd = await workspaceFolder({ "proto/a.proto": 'syntax = "proto3";' });
    expect(JSON.parse((await printed({ cwd, json: true })).out)).toEqual({
      outputs: [{ folder: "gen", files: [{ path: "a_pb.ts", state: "new" }] }],
    });
  });

  it("asks for the packages that the generated code needs when they are not there", async () => {
    const inside = await workspaceFolder({ "proto/a.proto": GREETER });
    expect((await printed({ cwd: inside })).err).toBe("");
    const outside = await mkdtemp(join(tmpdir(), "bowline-outside-"));
    onTestFinished(() => rm(outside, { recursive: true, force: true }));
    const { err, error } = await printed({ cwd: inside, out: outside });
    expect(err).toContain("npm install bowline @bufbuild/protobuf\n");
    expect(error).toBeUndefined();
  });
});
