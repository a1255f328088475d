import type { CaseResult } from "./suite.ts";

const SENT = /^Sending request for "(.*)"\.\.\.$/;
const ANSWERED = /^Received response for "(.*)"\.\.\.$/;
const FAILED = /^FAILED: (.*?)(?::| was expected .*)?$/;
const TOTAL = /^(\d+) passed, (\d+) failed$/;

/**
 * Reads what connectconformance 1.0.5 prints with `--vv`: each case when it starts and when it has an answer, then those that failed, with
 * the reason indented, then the sums. Ids are its own names of cases. A case without an answer has failed, and so has the
 * run when the sums are missing or say something else.
 */
export function readConnectOutput(output: string): CaseResult[] {
  const names = new Set<string>();
  const answered = new Set<string>();
  const failures = new Map<string, string[]>();
  let reason: string[] | undefined;
  let sums: readonly number[] | undefined;
  for (const line of output.split("\n")) {
    if (line.startsWith("\t")) {
      reason?.push(line.trim());
      continue;
    }
    reason = undefined;
    const failed = FAILED.exec(line)?.[1];
    if (failed !== undefined) {
      reason = [];
      failures.set(failed, reason);
    }
    const sent = SENT.exec(line)?.[1];
    if (sent !== undefined) names.add(sent);
    const received = ANSWERED.exec(line)?.[1];
    if (received !== undefined) answered.add(received);
    const totals = TOTAL.exec(line);
    if (totals !== null) sums = [Number(totals[1]), Number(totals[2])];
  }
  const results = [...new Set([...names, ...failures.keys()])].map((id): CaseResult => {
    const detail = failures.get(id)?.join("\n") ?? (answered.has(id) ? undefined : "no answer");
    return detail === undefined ? { id, outcome: "passed" } : { id, outcome: "failed", detail };
  });
  return sumsFit(results, sums) ? results : [...results, { id: "the sums", outcome: "failed", detail: told(sums) }];
}

function sumsFit(results: readonly CaseResult[], sums: readonly number[] | undefined): boolean {
  const failed = results.filter((each) => each.outcome === "failed").length;
  return sums !== undefined && sums[0] === results.length - failed && sums[1] === failed;
}

function told(sums: readonly number[] | undefined): string {
  if (sums === undefined) return "the runner stopped before its sums";
  return `the runner says ${sums[0]} passed, ${sums[1]} failed, which is not what its lines say`;
}
