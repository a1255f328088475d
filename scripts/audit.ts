import { run } from "./process.ts";
import { auditVerdict } from "./rules/audit.ts";

/** Asks the package registry for known vulnerabilities of everything in the lock file; counts as one. */
const { stdout } = await run("npm", ["audit", "--json"], { timeoutMs: 120_000 });
const { outcome, text } = auditVerdict(stdout);
console.log(`${outcome}: ${text}`);
const counts = { passed: 0, failed: 0, skipped: 0, [outcome]: 1 };
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed;
