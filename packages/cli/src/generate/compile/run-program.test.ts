import { chmod, symlink } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { workspaceFolder } from "../../../test/workspace-folder.ts";
import { programOnPath, runProgram } from "./run-program.ts";

describe("programOnPath", () => {
  it("takes the first that can be run and is wanted", async () => {
    const cwd = await workspaceFolder({ "a/tool": "no program", "real/tool": "#!/bin/sh\n", "c/tool": "#!/bin/sh\n" });
    await symlink(join(cwd, "real"), join(cwd, "b"));
    for (const path of ["real/tool", "c/tool"]) await chmod(join(cwd, path), 0o755);
    vi.stubEnv(
      "PATH",
      ["", "a", "nowhere", "b", "c"].map((name) => (name === "" ? "" : join(cwd, name))).join(delimiter),
    );
    try {
      expect(programOnPath("tool")).toBe(join(cwd, "b/tool"));
      expect(programOnPath("tool", (path) => path !== join(cwd, "real/tool"))).toBe(join(cwd, "c/tool"));
      expect(programOnPath("other")).toBeUndefined();
    } finally {
      vi.unstubAllEnvs();
    }
  });
});

describe("runProgram", () => {
  const node = (program: string, signal?: AbortSignal): ReturnType<typeof runProgram> =>
    runProgram(process.execPath, ["--eval", program], { cwd: ".", env: { ADDED: "yes" }, signal });

  it("resolves with what was printed and the exit code, whichever it is", async () => {
    const { exitCode, stdout, stderr } = await node(
      "console.log(process.env.ADDED); console.error('e'); process.exitCode = 3",
    );
    expect([exitCode, stdout.toString(), stderr]).toEqual([3, "yes\n", "e\n"]);
  });

  it("says so when a program can't be started or does not end by itself", async () => {
    await expect(runProgram("/nowhere/tool", [], { cwd: "." })).rejects.toThrow("/nowhere/tool could not be run: ");
    await expect(node("process.kill(process.pid, 'SIGKILL')")).rejects.toThrow("could not be run: ");
    await expect(node("", AbortSignal.abort())).rejects.toMatchObject({ name: "AbortError" });
  });
});
