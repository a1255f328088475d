import type { Judgement } from "./known-failing.ts";

/** A suite's line in results.json. */
export interface SuiteSummary {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Failed as its known-failing list says. */
  readonly known: number;
  /** Why cases were skipped, or nothing of it was run. */
  readonly reason?: string;
}

/** The line of a suite that was run. */
export function summarize(judgement: Judgement): SuiteSummary {
  const { passed, skipped, known, failures, skipReason } = judgement;
  const counts = { passed, failed: failures.length, skipped, known };
  return skipReason === undefined ? counts : { ...counts, reason: skipReason };
}

/** The line of a suite that could not be run here. */
export function skippedSuite(reason: string): SuiteSummary {
  return { passed: 0, failed: 0, skipped: 0, known: 0, reason };
}

/** False for a suite that could not be run here. */
export function wasRun({ passed, failed, skipped, known }: SuiteSummary): boolean {
  return passed + failed + skipped + known > 0;
}

/** A table of all suites and the total, for people. */
export function render(summaries: Readonly<Record<string, SuiteSummary>>): string {
  const names = Object.keys(summaries);
  const width = Math.max(5, ...names.map((name) => name.length));
  const line = (name: string, ...cells: readonly unknown[]): string =>
    `${name.padEnd(width)}${cells.map((cell) => String(cell).padStart(9)).join("")}`;
  const rows = names.map((name) => {
    const { passed, failed, skipped, known, reason } = summaries[name];
    if (!wasRun(summaries[name])) return `${name.padEnd(width)}  NOT RUN: ${reason}`;
    return `${line(name, passed, failed, skipped, known)}${reason === undefined ? "" : `  (${reason})`}`;
  });
  return `${[line("suite", "passed", "failed", "skipped", "known"), ...rows].join("\n")}\n\n${total(Object.values(summaries))}`;
}

function total(summaries: readonly SuiteSummary[]): string {
  const sum = (key: "passed" | "failed" | "skipped" | "known"): number =>
    summaries.reduce((all, each) => all + each[key], 0);
  const known = sum("known") === 0 ? "" : `, ${sum("known")} known failing`;
  const notRun = summaries.filter((summary) => !wasRun(summary)).length;
  const suites = notRun === 0 ? "" : `; ${notRun} of ${summaries.length} suites not run`;
  return `${sum("passed")} passed, ${sum("failed")} failed, ${sum("skipped")} skipped${known}${suites}`;
}
