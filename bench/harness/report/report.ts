import type { FigureKey, Figures, Reading } from "../load/reading.ts";
import type { Readings } from "../measure/rounds.ts";
import type { Environment } from "./environment.ts";
import { median, spread } from "./statistics.ts";

/** Medians of a peer under one load, with the labels of its readings (`codec`: message, direction). */
export interface Row extends Figures {
  readonly peer: string;
  readonly load: string;
  /** Half the range of the first of the question's figures that the load gives, over the rounds, as a part (0..1) of the median. */
  readonly spread: number;
  /** Calls that failed, over all rounds. */
  readonly errors: number;
  readonly rounds: number;
}

/** By the peer's name, then by load: ours over theirs, medians of the ratio in each round. */
export type Ratios = Readonly<Record<string, Readonly<Record<string, Figures>>>>;

/** Which of our rows is compared with which peer's. */
export interface Comparison {
  readonly ours: string;
  readonly theirs: string;
}

/** What a figure of ours, or its ratio to a peer's, has to be. */
export interface Bar {
  /** What is asked, for the report. */
  readonly what: string;
  /** Key of the ratios; undefined: our own figure, without a peer. */
  readonly peer?: string;
  /** Whose figure it is when there is no `peer`. Default: {@link OURS}. */
  readonly of?: string;
  readonly load: string;
  readonly figure: FigureKey;
  /** A `floor` has to be reached, a `ceiling` not to be passed. */
  readonly kind: "floor" | "ceiling";
  readonly must: number;
  /** What would be better still. */
  readonly goal: number;
}

/** A bar and what was seen. */
export interface Verdict {
  readonly what: string;
  readonly value: number;
  readonly kind: Bar["kind"];
  readonly must: number;
  readonly goal: number;
  readonly isMet: boolean;
}

/** What a question was answered with; the line of `--json`. */
export interface Report {
  readonly question: string;
  readonly environment: Environment;
  /** The figures that rows and ratios have. */
  readonly figures: readonly FigureKey[];
  readonly rows: readonly Row[];
  readonly ratios: Ratios;
  /** Those that this run can tell something about. */
  readonly bars: readonly Verdict[];
  /** Peers that could not be measured here, and why. */
  readonly skipped: Readonly<Record<string, string>>;
  readonly notes: readonly string[];
  /**
   * `matrix`: tables show the first figure only, with a column for each peer. `by-load`: a table for each load, with its own figures. Else
   * a line has all figures of a peer under a load.
   */
  readonly layout?: "matrix" | "by-load";
}

/** Name of the peer that is ours with everything on. */
export const OURS = "bowline";

/** The rows of all readings, in the order of the peers. */
export function summarize(readings: Readings, keys: readonly FigureKey[]): Row[] {
  const rows: Row[] = [];
  for (const [peer, byLoad] of readings) {
    for (const [load, list] of byLoad) {
      if (list.length === 0) continue;
      const first = keys.find((key) => list[0].figures[key] !== undefined) ?? keys[0];
      const main = list.map((reading) => reading.figures[first] ?? Number.NaN);
      const errors = list.reduce((sum, reading) => sum + reading.errors, 0);
      const medians = figuresOf(keys, (key) => median(list.map((reading) => reading.figures[key] ?? Number.NaN)));
      rows.push({ peer, load, ...list[0].labels, ...medians, spread: spread(main), errors, rounds: list.length });
    }
  }
  return rows;
}

/** The ratios of all comparisons of which both sides were measured under the same load. */
export function compare(
  readings: Readings,
  comparisons: readonly Comparison[],
  keys: readonly FigureKey[],
): Record<string, Record<string, Figures>> {
  const ratios: Record<string, Record<string, Figures>> = {};
  for (const { ours, theirs } of comparisons) {
    const other = readings.get(theirs);
    const both = [...(readings.get(ours) ?? [])].filter(([load, list]) => list.length > 0 && other?.has(load));
    if (both.length === 0) continue;
    ratios[ratioName(ours, theirs)] = Object.fromEntries(
      both.map(([load, list]) => [load, ratio(list, other?.get(load) ?? [], keys)]),
    );
  }
  return ratios;
}

/** The key of a comparison in {@link Ratios}. */
export function ratioName(ours: string, theirs: string): string {
  return ours === OURS ? theirs : `${ours} : ${theirs}`;
}

/** What was seen for each bar that this run can tell something about. */
export function judge(bars: readonly Bar[], rows: readonly Row[], ratios: Ratios): Verdict[] {
  return bars.flatMap(({ what, peer, of = OURS, load, figure, kind, must, goal }) => {
    const own = rows.find((row) => row.peer === of && row.load === load);
    const value = (peer === undefined ? own : ratios[peer]?.[load])?.[figure];
    if (value === undefined || Number.isNaN(value)) return [];
    return [{ what, value, kind, must, goal, isMet: kind === "floor" ? value >= must : value <= must }];
  });
}

function ratio(ours: readonly Reading[], theirs: readonly Reading[], keys: readonly FigureKey[]): Figures {
  return figuresOf(keys, (key) =>
    median(ours.map(({ figures }, round) => (figures[key] ?? Number.NaN) / (theirs[round].figures[key] ?? Number.NaN))),
  );
}

/** The figures that are numbers. */
function figuresOf(keys: readonly FigureKey[], value: (key: FigureKey) => number): Figures {
  return Object.fromEntries(
    keys.map((key) => [key, value(key)] as const).filter(([, each]) => !Number.isNaN(each)),
  ) as Figures;
}
