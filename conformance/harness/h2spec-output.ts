import type { CaseResult } from "./suite.ts";

const CASE = /^\s*([✔×])?\s*(\d+): (.*)$/;
const SECTION = /^\s*([\d.]+)\. (.*)$/;
const SPECS: readonly (readonly [RegExp, string])[] = [
  [/^Generic tests/, "generic"],
  [/^Hypertext Transfer Protocol/, "http2"],
  [/^HPACK/, "hpack"],
];

/**
 * Reads what h2spec and h2specd 2.2.1 print: h2specd writes no report, and the one of h2spec loses the numbers of the cases.
 * Ids are spec, section and number, as h2spec itself takes them: `http2/6.9.2/1`.
 */
export function readH2specOutput(output: string): CaseResult[] {
  const results: CaseResult[] = [];
  let spec = "";
  let section = "";
  let failure: { id: string; outcome: "failed"; detail: string } | undefined;
  for (const line of linesOf(output)) {
    // What follows repeats the failures.
    if (line.startsWith("Failures:") || line.startsWith("Finished in")) break;
    const found = CASE.exec(line);
    if (found !== null) {
      const [, mark, number, title] = found;
      const id = `${spec}/${section}/${number}`;
      failure = mark === "×" ? { id, outcome: "failed", detail: title } : undefined;
      results.push(failure ?? { id, outcome: mark === "✔" ? "passed" : "skipped", detail: title });
    } else if (failure !== undefined && /^\s*(->|Expected:|Actual:|Error:|\S)/.test(line) && !SECTION.test(line)) {
      failure.detail += `\n${line.trim()}`;
    } else {
      failure = undefined;
      section = SECTION.exec(line)?.[1] ?? section;
      spec = SPECS.find(([title]) => title.test(line))?.[1] ?? spec;
    }
  }
  return results;
}

/** Lines as a terminal would show them: a running case is overwritten by its result. */
function linesOf(output: string): string[] {
  const plain = output.replace(/\u001b\[[\d;]*[A-Za-z]/g, "");
  return plain.split("\n").map((line) => line.slice(line.lastIndexOf("\r") + 1));
}
