import type { CaseResult } from "./suite.ts";

const FAILED = /^ERROR, test=(.*?): (.*?)(?:, request=.*)?$/gm;
const LISTED_BUT_PASSED = /^ERROR: test (\S+) \(.*\) is in the failure list, but test succeeded/gm;
const LISTED_BUT_UNKNOWN = /didn't match any actual test name\..*?(?=^These tests|^CONFORMANCE SUITE)/gms;
const NAME = /^ {2}(\S+) #/gm;
const SUMS =
  /^CONFORMANCE SUITE \w+: (\d+) successes, (\d+) skipped, (\d+) expected failures, (\d+) unexpected failures\.$/gm;

/**
 * Reads what protobuf's conformance runner 33.2 prints. It names the cases that failed and are not in `listed`, its failure list, and
 * those of the list that passed or do not exist; of all others it gives sums, so those that passed or were skipped have numbers for
 * ids. When the sums are missing, or do not fit its lines, the run has failed.
 */
export function readProtobufOutput(output: string, listed: ReadonlySet<string>, skipReason: string): CaseResult[] {
  const failures = [...output.matchAll(FAILED)].map(([, id, detail]) => ({ id, detail, outcome: "failed" as const }));
  const listedButPassed = namesIn(output, LISTED_BUT_PASSED);
  const unknown = namesIn(output.match(LISTED_BUT_UNKNOWN)?.join("\n") ?? "", NAME);
  const known = [...listed].filter((id) => !listedButPassed.includes(id) && !unknown.includes(id));
  const sums = sumsIn(output);
  const results: CaseResult[] = [
    ...numbered("passed", sums.passed - listedButPassed.length),
    ...listedButPassed.map((id) => ({ id, outcome: "passed" as const })),
    ...numbered("skipped", sums.skipped, skipReason),
    ...known.map((id) => ({ id, outcome: "failed" as const, detail: "as listed" })),
    ...failures,
  ];
  if (sums.parts > 0 && sums.unexpected === failures.length) return results;
  return [...results, { id: "the sums", outcome: "failed", detail: told(sums) }];
}

/** What the runner counted, over its parts: binary and JSON, then text format. The second is not run when the first fails. */
interface Sums {
  readonly parts: number;
  readonly passed: number;
  readonly skipped: number;
  readonly unexpected: number;
}

function sumsIn(output: string): Sums {
  const parts = [...output.matchAll(SUMS)].map((match) => match.slice(1).map(Number));
  const total = (at: number): number => parts.reduce((all, part) => all + part[at], 0);
  return { parts: parts.length, passed: total(0), skipped: total(1), unexpected: total(3) };
}

function told({ parts, unexpected }: Sums): string {
  if (parts === 0) return "the runner stopped before its sums";
  return `the runner says ${unexpected} failed, which is not what its lines say`;
}

function namesIn(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map(([, name]) => name);
}

function numbered(outcome: "passed" | "skipped", count: number, detail?: string): CaseResult[] {
  return Array.from({ length: count }, (_, at) => ({ id: `${outcome} ${at + 1}`, outcome, detail }));
}
