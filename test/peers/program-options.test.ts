import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

describe.each(["attack", "chaos", "fuzz", "simulation", "soak"])("the options of test/%s", (folder) => {
  const program = fileURLToPath(new URL(`../${folder}/run.ts`, import.meta.url));
  const run = (option: string) => spawnSync(process.execPath, [program, option], { encoding: "utf8" });

  it("are told by --help and -h", () => {
    for (const option of ["--help", "-h"]) {
      const { status, stdout, stderr } = run(option);
      expect([status, stderr]).toEqual([0, ""]);
      expect(stdout).toMatch(/^usage: npm run [a-z]+ \[-- .*\n {2}--[a-z]+ /);
    }
  });

  it("are told when one is wrong, and nothing is run", () => {
    const { status, stdout, stderr } = run("--hlep");
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/^Unknown option '--hlep'\n\nusage: npm run /);
  });
});
