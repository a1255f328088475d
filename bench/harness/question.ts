import { describeEnvironment, loadAverage } from "./environment.ts";
import type { BenchOptions } from "./options.ts";
import { type Comparison, compare, type Report, summarize } from "./report.ts";
import { measureRounds, type Pair } from "./rounds.ts";

/** Who can be measured here. */
export interface Peers {
  readonly pairs: readonly Pair[];
  /** By name, the peers that can't be had here, and why. */
  readonly skipped: Readonly<Record<string, string>>;
}

/** A question that the bench answers by measuring pairs side by side in one run. */
export interface Question {
  readonly name: string;
  /** One line for the list of questions. */
  readonly asks: string;
  /** Calls in flight unless the command line names others. */
  readonly concurrencies: readonly number[];
  readonly quickConcurrencies: readonly number[];
  /** Prepares the peers. */
  readonly pairs: () => Peers;
  readonly comparisons: readonly Comparison[];
}

/** Measures all peers of a question, or those that were named. */
export async function answer(
  question: Question,
  options: BenchOptions,
  progress: (text: string) => void,
): Promise<Report> {
  const { pairs, skipped } = question.pairs();
  const wanted = options.peers.length === 0 ? pairs : pairs.filter((pair) => options.peers.includes(pair.name));
  const unknown = options.peers.filter((name) => !(name in skipped) && !pairs.some((pair) => pair.name === name));
  if (unknown.length > 0) {
    throw new Error(`no such peer: ${unknown.join(", ")}; there are ${pairs.map((pair) => pair.name).join(", ")}`);
  }
  const environment = describeEnvironment();
  const readings = await measureRounds(wanted, concurrenciesOf(question, options), options, progress);
  environment.loadAfter = loadAverage();
  const ratios = compare(readings, question.comparisons);
  return { question: question.name, environment, rows: summarize(readings), ratios, skipped };
}

function concurrenciesOf(question: Question, options: BenchOptions): readonly number[] {
  if (options.concurrencies.length > 0) return options.concurrencies;
  return options.quick ? question.quickConcurrencies : question.concurrencies;
}
