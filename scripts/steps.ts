import { run } from "./process.ts";

/** One check of the repository: a program that ends with 0 when all is well. */
export interface Step {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

/** How many steps, or tests, ended how. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** A check that is a script of this folder. */
function script(name: string, file: string, ...args: string[]): Step {
  return { name, command: process.execPath, args: [`scripts/${file}`, ...args] };
}

/** Format and lint; with `fix`, what can be mended is. */
export function styleStep(fix: boolean): Step {
  const args = ["check", "--error-on-warnings", "--max-diagnostics=50", ...(fix ? ["--write"] : []), "."];
  return { name: "format and lint", command: "biome", args };
}

/** What needs no clock and no page: also a part of `npm test`. */
export const quickSteps: readonly Step[] = [
  { name: "types", command: "tsc", args: ["-p", "."] },
  script("direction of dependencies", "check-dependencies.ts"),
  script("lock file", "check-lock.ts"),
];

/** Sizes and budgets; the import time only where nothing else should be measured at the same time. */
export function sizesStep(timing: boolean): Step {
  return script("sizes and budgets", "check-sizes.ts", ...(timing ? [] : ["--no-timing"]));
}

/** What pages and doc comments promise, and generated code. */
export const pageSteps: readonly Step[] = [
  script("doc comments and text", "check-docs.ts"),
  script("generated code", "generate.ts", "--check"),
  script("what pages show", "check-snippets.ts"),
];

/** Runs steps one after the other: a line each, with its time and last line; all it printed if it failed. */
export async function runSteps(steps: readonly Step[]): Promise<Counts> {
  let failed = 0;
  for (const { name, command, args } of steps) {
    const begun = performance.now();
    const { code, output } = await run(command, args);
    const time = `${((performance.now() - begun) / 1000).toFixed(1)} s`.padStart(7);
    if (code === 0) {
      console.log(`ok     ${time}  ${name}: ${lastLine(output)}`);
      continue;
    }
    failed += 1;
    console.log(`FAILED ${time}  ${name}\n${output.trimEnd().replace(/^/gm, "  ")}`);
  }
  return { passed: steps.length - failed, failed, skipped: 0 };
}

/** `3 passed, 0 failed`, and how many were skipped if any were. */
export function describeCounts({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}

function lastLine(output: string): string {
  return output.trimEnd().split("\n").at(-1)?.trim() || "no complaint";
}
