import { closedLoop, type Load, openLoopAt } from "./load/load.ts";
import type { FigureKey, Figures, Reading } from "./load/reading.ts";
import type { Contestant } from "./measure/contestant.ts";
import { measureRounds, type Progress } from "./measure/rounds.ts";
import type { BenchOptions } from "./options.ts";
import { describeEnvironment, loadAverage, type MeasuredBy } from "./report/environment.ts";
import { FIGURE_TITLES } from "./report/render.ts";
import { type Bar, type Comparison, compare, judge, type Report, summarize } from "./report/report.ts";
import { figure } from "./report/table.ts";

/** Who can be measured here. */
export interface Peers {
  readonly contestants: readonly Contestant[];
  /** By name, the peers that can't be had here, and why. */
  readonly skipped: Readonly<Record<string, string>>;
}

/** A question that the bench answers by measuring peers side by side in one run. */
export interface Question {
  readonly name: string;
  /** One line for the list of questions. */
  readonly asks: string;
  /** What is shown of each reading; the spread is that of the first. */
  readonly figures: readonly FigureKey[];
  /** Unless the command line names others. */
  readonly loads: readonly Load[];
  /** Names of the loads of `--quick`. */
  readonly quickLoads: readonly string[];
  /** Before the first reading of each peer in each round. */
  readonly warmups: readonly Load[];
  /** Prepares the peers. */
  readonly peers: (options: BenchOptions) => Peers | Promise<Peers>;
  readonly comparisons: readonly Comparison[];
  /** What the answer should be. */
  readonly bars: readonly Bar[];
  /** Server and client have a core of their own. Default true. */
  readonly isPinned?: boolean;
  /** Which process is where and who counts CPU time, when not as most questions have it. */
  readonly measuredBy?: MeasuredBy;
  /**
   * The same question with messages of a kind (`--messages`) in place of its own; undefined when it has but its own. Throws an Error that
   * names the kinds for one that it does not know.
   */
  readonly withMessages?: (kind: string) => Question;
  /** How tables are laid out, see {@link Report.layout}. */
  readonly layout?: Report["layout"];
  /** How it was driven, when the tables do not tell: a sentence for the report. */
  readonly notes?: readonly string[];
}

/** Measures all peers of a question, or those that were named. */
export async function answer(
  question: Question,
  options: BenchOptions,
  progress: (text: string) => void,
): Promise<Report> {
  const { contestants, skipped } = await question.peers(options);
  const wanted = pick("peer", contestants, options.peers, Object.keys(skipped));
  const loads = loadsOf(question, options);
  const environment = describeEnvironment(question.isPinned !== false, question.measuredBy);
  const tell: Progress = (round, peer, load, reading) =>
    progress(`round ${round}/${options.rounds} · ${peer} · ${load.name}: ${describe(question, reading)}`);
  const readings = await measureRounds(wanted, loads, question.warmups, options, tell);
  environment.loadAfter = loadAverage();
  const rows = summarize(readings, question.figures);
  const ratios = compare(readings, question.comparisons, question.figures);
  const bars = judge(question.bars, rows, ratios);
  const { figures, name, layout, notes = [] } = question;
  return { question: name, environment, figures, rows, ratios, bars, skipped, notes, layout };
}

/** Entries by name, all of them when no names are given. */
function pick<T extends { readonly name: string }>(
  what: string,
  entries: readonly T[],
  names: readonly string[],
  missing: readonly string[] = [],
): readonly T[] {
  const unknown = names.filter((name) => !missing.includes(name) && !entries.some((entry) => entry.name === name));
  if (unknown.length > 0) {
    const known = entries.map((entry) => entry.name).join(", ");
    throw new Error(`no such ${what}: ${unknown.join(", ")}; there are ${known}`);
  }
  return names.length === 0 ? entries : entries.filter((entry) => names.includes(entry.name));
}

function loadsOf(question: Question, options: BenchOptions): readonly Load[] {
  const further = options.openLoop > 0 ? [openLoopAt(options.openLoop)] : [];
  if (options.concurrencies.length > 0) {
    const { method, messageBytes, messagesPerCall } = question.loads[0];
    const like = { method, messageBytes, messagesPerCall };
    return [...options.concurrencies.map((concurrency) => closedLoop(concurrency, like)), ...further];
  }
  if (options.loads.length === 0 && further.length > 0) return further;
  const names = options.loads.length > 0 ? options.loads : options.quick ? question.quickLoads : [];
  return [...pick("load", question.loads, names), ...further];
}

function describe(question: Question, { figures, errors, firstError }: Reading): string {
  const failures = errors === 0 ? [] : [`${errors} ERRORS, first: ${firstError}`];
  return [...question.figures.flatMap((key) => shown(key, figures)), `load ${loadAverage()}`, ...failures].join(" · ");
}

function shown(key: FigureKey, figures: Figures): string[] {
  const value = figures[key];
  return value === undefined ? [] : [`${FIGURE_TITLES[key]} ${figure(value)}`];
}
