import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { workspaceFolder } from "../test/workspace-folder.ts";

/** Runs the command as a user would, in `cwd`. */
async function bowline(
  args: readonly string[],
  cwd: string,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const bin = fileURLToPath(new URL("bin.ts", import.meta.url));
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
