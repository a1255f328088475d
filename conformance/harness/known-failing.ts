import { existsSync, readFileSync } from "node:fs";
import type { CaseResult } from "./suite.ts";

/** The ids in a known-failing list: one a line, `#` begins a comment. No file, no ids. */
export function readKnownFailing(path: URL): ReadonlySet<string> {
  if (!existsSync(path)) return new Set();
  const lines = readFileSync(path, "utf8").split("\n");
  return new Set(lines.map((line) => line.replace(/#.*/, "").trim()).filter((line) => line !== ""));
}

/** A suite's results after its list was applied. */
export interface Judgement {
  readonly passed: number;
  readonly skipped: number;
  /** Failed, and listed. */
  readonly known: number;
  /** Failed and not listed, or wrongly listed. */
  readonly failures: readonly CaseResult[];
  /** What the skipped cases say about it, each reason once. */
  readonly skipReason?: string;
}

/**
 * Applies a list that may only shrink: a listed case that fails is known; one that passes, was skipped or does not exist is an error
 * of the list.
 */
export function judge(results: readonly CaseResult[], known: ReadonlySet<string>): Judgement {
  const failures: CaseResult[] = [];
  const counts = { passed: 0, skipped: 0, known: 0 };
  for (const result of results) {
    const isListed = known.has(result.id);
    if (result.outcome === "failed") {
      if (isListed) counts.known++;
      else failures.push(result);
    } else if (isListed) {
      failures.push({ id: result.id, outcome: "failed", detail: `listed as known failing, but ${result.outcome}` });
    } else {
      counts[result.outcome]++;
    }
  }
  const ids = new Set(results.map((result) => result.id));
  for (const id of known) {
    if (!ids.has(id))
      failures.push({ id, outcome: "failed", detail: "listed as known failing, but there is no such case" });
  }
  const reasons = new Set(results.flatMap(({ outcome, detail }) => (outcome === "skipped" ? (detail ?? []) : [])));
  return reasons.size === 0 ? { ...counts, failures } : { ...counts, failures, skipReason: [...reasons].join("; ") };
}
