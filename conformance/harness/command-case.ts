import { type ProgramEnd, runProgram, tail } from "./run-program.ts";
import type { CaseResult } from "./suite.ts";

const TIMEOUT_MS = 20_000;

/** A run of a command-line tool and what must come of it. */
export interface CommandCase {
  readonly id: string;
  readonly args: readonly string[];
  /** Default 0. */
  readonly exitCode?: number;
  /** Undefined if all is well, else what is wrong with what the tool wrote. */
  readonly check?: (end: ProgramEnd) => string | undefined;
}

/** Runs the cases one after the other. */
export async function runCommandCases(command: string, cases: readonly CommandCase[]): Promise<CaseResult[]> {
  const results: CaseResult[] = [];
  for (const { id, args, exitCode = 0, check } of cases) {
    const end = await runProgram(command, args, TIMEOUT_MS);
    const wrong = end.code === exitCode ? check?.(end) : `ended with ${end.code ?? "a signal"}, not ${exitCode}`;
    if (wrong === undefined) results.push({ id, outcome: "passed" });
    else results.push({ id, outcome: "failed", detail: `${wrong}\n${tail(end.stdout + end.stderr)}` });
  }
  return results;
}

/** What a tool must write on standard output: these texts, each somewhere. */
export function writes(...texts: readonly string[]): (end: ProgramEnd) => string | undefined {
  return ({ stdout }) => missing(stdout, texts);
}

/** The same on standard error. */
export function complains(...texts: readonly string[]): (end: ProgramEnd) => string | undefined {
  return ({ stderr }) => missing(stderr, texts);
}

/** The lines of standard output, exactly. */
export function writesLines(...lines: readonly string[]): (end: ProgramEnd) => string | undefined {
  return ({ stdout }) => {
    const seen = stdout.trim().split("\n");
    return JSON.stringify(seen) === JSON.stringify(lines) ? undefined : `wanted the lines ${lines.join(", ")}`;
  };
}

/** JSON values on standard output, one after the other, as grpcurl writes answers. */
export function writesJson(...values: readonly unknown[]): (end: ProgramEnd) => string | undefined {
  return ({ stdout }) => {
    // Each answer ends with a brace at the beginning of a line.
    const seen = stdout.split(/(?<=^\{?\})\n/m).filter((text) => text.trim() !== "");
    const wanted = JSON.stringify(values);
    return JSON.stringify(seen.map((text) => JSON.parse(text))) === wanted ? undefined : `wanted ${wanted}`;
  };
}

function missing(text: string, wanted: readonly string[]): string | undefined {
  const absent = wanted.find((each) => !text.includes(each));
  return absent === undefined ? undefined : `nothing says ${JSON.stringify(absent)}`;
}
