import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { root } from "./repository.ts";
import { type Counts, describeCounts, quickSteps, runSteps, sizesStep, styleStep } from "./steps.ts";

/**
 * `npm test`: the quick checks, then the unit tests. Arguments go to vitest, and then only the tests run:
 * `npm test -- packages/bowline/src/http2`, `npm test -- --watch`.
 *
 * The last line counts both: each check is one.
 */
const args = process.argv.slice(2);
const checks = args.length > 0 ? undefined : await runSteps([styleStep(false), ...quickSteps, sizesStep(false)]);
const tests = await runTests(args);

console.log(describeCounts(checks === undefined ? tests : add(checks, tests)));
if (tests.failed > 0 || (checks?.failed ?? 0) > 0) process.exitCode = 1;

/** Runs vitest in the foreground and reads its report; a run without a report, or that failed as a whole, is one failure. */
async function runTests(extra: readonly string[]): Promise<Counts> {
  mkdirSync(join(root, ".cache"), { recursive: true });
  const file = join(root, ".cache", `vitest-${process.pid}.json`);
  const isWatching = extra.some((each) => each === "--watch" || each === "-w");
  const mode = isWatching ? [] : ["run"];
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
  const code = await inForeground("vitest", [...mode, ...reporters, ...extra]);
  const counts = readReport(file);
  rmSync(file, { force: true });
  return code !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
}

function inForeground(command: string, commandArgs: readonly string[]): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(command, commandArgs, { cwd: root, stdio: "inherit" });
    // Ctrl-C reaches vitest too; this process waits for it to end in order.
    process.on("SIGINT", () => {});
    process.on("SIGTERM", () => child.kill("SIGTERM"));
    child.on("error", () => resolve(127));
    child.on("close", (code) => resolve(code ?? 128));
  });
}

function readReport(file: string): Counts {
  try {
    const report = JSON.parse(readFileSync(file, "utf8")) as Record<string, number>;
    const skipped = report.numPendingTests + report.numTodoTests;
    // A file that could not be loaded has no tests: it counts as one.
    const broken = report.numFailedTests === 0 ? report.numFailedTestSuites : 0;
    return { passed: report.numPassedTests, failed: report.numFailedTests + broken, skipped };
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

function add(a: Counts, b: Counts): Counts {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped };
}
