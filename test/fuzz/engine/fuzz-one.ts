import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { nameOf, readCorpus, writeCorpus } from "./corpus.ts";
import type { FuzzTarget } from "./fuzz-target.ts";
import { Fuzzer, type FuzzResult, tryInput } from "./fuzzer.ts";
import { distil, shortenFault } from "./minimise.ts";
import { Watchdog } from "./watchdog.ts";

/** How one target is fuzzed from the command line. */
export interface FuzzOneOptions {
  readonly seed: number;
  readonly seconds: number;
  readonly maxInputs: number;
  /** Where faults are written. */
  readonly folder: string;
  /** The corpus of the repository is replaced by few and short inputs that reach as far as all that was found. */
  readonly isSaving: boolean;
  readonly hangMs: number;
  readonly maxResidentBytes: number;
}

/** A line of the table. */
export interface FuzzLine {
  readonly target: string;
  readonly seed: number;
  readonly inputs: number;
  readonly seconds: number;
  readonly corpus: number;
  /** Characters of source under test that ran. */
  readonly covered: number;
  /** What went wrong; undefined when all was well. */
  readonly fault?: string;
  /** The input that shows it. */
  readonly file?: string;
}

/** A corpus in the repository stays below this. */
const MAX_CORPUS_BYTES = 4096;

/** Fuzzes a target in this process. A fault is shortened and written to a file. */
export async function fuzzOne(target: FuzzTarget, options: FuzzOneOptions): Promise<FuzzLine> {
  const { seed, seconds, maxInputs, hangMs, maxResidentBytes, folder } = options;
  const watchdog = new Watchdog({
    file: join(folder, `${target.name}-stopped-${seed}.bin`),
    hangMs,
    maxResidentBytes,
    maxBytes: Math.max(target.maxBytes, ...target.seeds.map(({ length }) => length)),
  });
  const corpus = readCorpus(target.name).map(({ bytes }) => bytes);
  const fuzzer = new Fuzzer(target, { seed, forMs: seconds * 1000, maxInputs, corpus, watchdog });
  const result = await fuzzer.run();
  await watchdog.close();
  if (result.finding === undefined && options.isSaving) {
    writeCorpus(target.name, await distil(target, result.corpus, MAX_CORPUS_BYTES));
  }
  return { ...lineOf(target, seed, result), ...(await keepFault(target, result, folder)) };
}

/** Runs the input of a file once; gives the error in full, or undefined. */
export async function replay(target: FuzzTarget, input: Uint8Array): Promise<string | undefined> {
  const error = await tryInput(target, input);
  if (error === undefined) return undefined;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function lineOf(target: FuzzTarget, seed: number, result: FuzzResult): FuzzLine {
  const { inputs, elapsedMs, corpus, covered } = result;
  return {
    target: target.name,
    seed,
    inputs,
    seconds: Math.round(elapsedMs / 100) / 10,
    corpus: corpus.length,
    covered,
  };
}

async function keepFault(
  target: FuzzTarget,
  { finding }: FuzzResult,
  folder: string,
): Promise<Pick<FuzzLine, "fault" | "file">> {
  if (finding === undefined) return {};
  const short = await shortenFault(target, finding.input, finding.error);
  const file = join(folder, `${target.name}-${nameOf(short)}.bin`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, short);
  return { fault: String(finding.error).split("\n", 1)[0], file };
}
