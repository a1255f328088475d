import { report } from "./findings.ts";
import { filesBelow, isSource, readText } from "./repository.ts";
import { measurePackage } from "./rules/package-budget.ts";
import { checkSizes } from "./rules/sizes.ts";

/** Checks sizes of files and folders and the budgets of the published package; `--no-timing` leaves the clock out. */
const files = filesBelow()
  .filter(isSource)
  .map((path) => ({ path, lines: lineCount(readText(path)) }));
const budget = await measurePackage({ timing: !process.argv.includes("--no-timing") });

const findings = [...checkSizes(files), ...budget.findings];

if (findings.length > 0) console.log(budget.summary);
report(findings, `${files.length} files; ${budget.summary}`);

function lineCount(text: string): number {
  return text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
}
