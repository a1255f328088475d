import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { watch } from "node:fs";
import { chmod, readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { workspaceFolder } from "../test/workspace-folder.ts";

const bin = fileURLToPath(new URL("bin.ts", import.meta.url));

/** Runs the command as a user would, in `cwd`. */
async function bowline(
  args: readonly string[],
  cwd: string,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const options = { cwd, encoding: "utf8" } as const;
  return promisify(execFile)(process.execPath, [bin, ...args], options).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  );
}

describe("bowline", () => {
  it("helps, and says its version", async () => {
    const cwd = await workspaceFolder();
    const help = await bowline(["generate", "--help"], cwd);
    expect(help).toMatchObject({ code: 0, stderr: "" });
    expect(help.stdout).toContain("--import-extension <extension>");
    expect(help.stdout).toContain("Examples:");
    expect(await bowline(["--version"], cwd)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
  });

  it.each(["bin.ts", "plugin/bin.ts"])("starts where nothing can be kept for the next start: %s", async (path) => {
    const cwd = await workspaceFolder();
    const file = fileURLToPath(new URL(path, import.meta.url));
    const env = { ...process.env, TMPDIR: "/proc" };
    const options = { cwd, env, timeout: 30_000, killSignal: "SIGKILL" } as const;
    expect((await promisify(execFile)(process.execPath, [file, "--version"], options)).stdout).toMatch(/\d\n$/);
  });

  it("says what to type instead, without colours when piped", async () => {
    const cwd = await workspaceFolder();
    expect(await bowline(["generat"], cwd)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("Did you mean generate?"),
    });
    const nothing = await bowline(["generate"], cwd);
    expect(nothing).toMatchObject({ code: 1, stdout: "" });
    expect(nothing.stderr).toMatch(
      /^nothing to generate from: .*\nPut \.proto files into proto\/, or name them: bowline generate /,
    );
  });

  it.each(["SIGINT", "SIGTERM"] as const)("watches until %s, then ends with 0", async (signal) => {
    const cwd = await workspaceFolder({ "proto/a.proto": 'syntax = "proto3";\nmessage A {}\n' });
    const child = spawn(process.execPath, [bin, "generate", "--watch"], { cwd, stdio: ["ignore", "pipe", "pipe"] });
    const ended = once(child, "exit");
    for await (const text of child.stderr) if (`${text}`.includes("watching proto")) break;
    child.kill(signal);
    expect(await ended).toEqual([0, null]);
    expect(await readdir(join(cwd, "gen"))).toEqual(["a_pb.ts", "a_rpc.ts"]);
  });

  it.each([
    { args: ["generate"], made: ["a_pb.ts", "a_rpc.ts"] },
    { args: ["watch", "127.0.0.1:1"], made: [] },
  ])("ends $args.0 in order when nobody reads its output", async ({ args, made }) => {
    const cwd = await workspaceFolder({ "proto/a.proto": 'syntax = "proto3";\nmessage A {}\n' });
    const child = spawn(process.execPath, [bin, ...args], { cwd, stdio: ["ignore", "pipe", "pipe"] });
    child.stdout.destroy();
    const ended = once(child, "exit");
    let stderr = "";
    for await (const text of child.stderr) stderr += text;
    expect([...(await ended), stderr]).toEqual([0, null, ""]);
    expect(await readdir(join(cwd, "gen")).catch(() => [])).toEqual(made);
  });

  it("ends a run with 130 at SIGINT, before anything is written", async () => {
    const cwd = await workspaceFolder({
      "proto/a.proto": 'syntax = "proto3";\nmessage A {}\n',
      // Says that it runs, and does not end by itself.
      "bin/protoc": '#!/bin/sh\necho > "$STARTED"\nexec sleep 600\n',
    });
    await chmod(join(cwd, "bin/protoc"), 0o755);
    const env = { ...process.env, PATH: `${join(cwd, "bin")}:${process.env.PATH}`, STARTED: join(cwd, "started") };
    const watcher = watch(cwd);
    const started = once(watcher, "change");
    const child = spawn(process.execPath, [bin, "generate", "--compiler", "protoc"], { cwd, env });
    const ended = once(child, "exit");
    await started;
    watcher.close();
    child.kill("SIGINT");
    expect(await ended).toEqual([130, null]);
    expect((await readdir(cwd)).sort()).toEqual(["bin", "proto", "started"]);
  });

  it("refuses flags that contradict each other", async () => {
    const cwd = await workspaceFolder();
    for (const flag of ["--check", "--json"]) {
      const { code, stderr } = await bowline(["generate", "--watch", flag], cwd);
      expect(code).toBe(1);
      expect(stderr).toContain(`option '${flag}' cannot be used with option '-w, --watch'`);
    }
  });

  it("takes include folders as protoc does", async () => {
    const cwd = await workspaceFolder({
      "a/x.proto": 'syntax = "proto3"; import "y.proto"; message X { Y y = 1; }',
      "b/y.proto": 'syntax = "proto3"; message Y {}',
    });
    for (const include of [
      ["-I", "a", "-I", "b"],
      ["-Ia", "-I=b"],
      ["--include", "a", "--include=b"],
    ]) {
      const { code, stdout, stderr } = await bowline(["generate", ...include, "a/x.proto"], cwd);
      expect([code, stderr]).toEqual([0, ""]);
      expect(stdout).toContain("in gen, ");
    }
    expect((await readdir(join(cwd, "gen"))).filter((file) => file.endsWith("_pb.ts"))).toEqual(["x_pb.ts", "y_pb.ts"]);
  });

  it("generates, and exits with 1 when a file does not compile", async () => {
    const cwd = await workspaceFolder({
      "proto/a.proto": 'syntax = "proto3";\nmessage A {}\n',
      "b.proto": "message B {\n",
    });
    expect(await bowline(["generate"], cwd)).toMatchObject({ code: 0, stdout: expect.stringContaining("gen/a_pb.ts") });
    const broken = await bowline(["generate", "b.proto"], cwd);
    expect(broken).toMatchObject({ code: 1, stdout: "" });
    expect(broken.stderr).toMatch(/^b\.proto:\d+:\d+: .*\n \d \| /);
    expect(broken.stderr).toContain("nothing was written");
  });
});
