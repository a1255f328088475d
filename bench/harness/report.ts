import type { Environment } from "./environment.ts";
import type { Reading } from "./load-driver.ts";
import type { Readings } from "./rounds.ts";
import { median, spread } from "./statistics.ts";
import { type Column, figure, table } from "./table.ts";

/** Medians of a pair at one number of calls in flight. */
export interface Row {
  readonly peer: string;
  readonly concurrency: number;
  readonly callsPerSecond: number;
  /** Half the range of calls/s over the rounds, as a part (0..1) of the median. */
  readonly spread: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU time a call in microseconds. */
  readonly clientCpuUs: number;
  readonly serverCpuUs: number;
  /** Sum over all rounds. */
  readonly errors: number;
  readonly rounds: number;
}

/** Ours over theirs, medians of the ratio in each round: above 1 is more calls, below 1 is less CPU time or latency. */
export interface Ratio {
  readonly callsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly clientCpuUs: number;
  readonly serverCpuUs: number;
}

/** Which of our rows is compared with which peer's. */
export interface Comparison {
  readonly ours: string;
  readonly theirs: string;
}

/** What a question was answered with; the line of `--json`. */
export interface Report {
  readonly question: string;
  readonly environment: Environment;
  readonly rows: readonly Row[];
  /** By the peer's name, then by calls in flight. */
  readonly ratios: Readonly<Record<string, Readonly<Record<number, Ratio>>>>;
  /** Peers that could not be measured here, and why. */
  readonly skipped: Readonly<Record<string, string>>;
}

const FIGURES = ["callsPerSecond", "p50Ms", "p99Ms", "clientCpuUs", "serverCpuUs"] as const;

/** The rows of all readings, in the order of the pairs. */
export function summarize(readings: Readings): Row[] {
  const rows: Row[] = [];
  for (const [peer, byConcurrency] of readings) {
    for (const [concurrency, list] of byConcurrency) {
      const rates = list.map((reading) => reading.callsPerSecond);
      const errors = list.reduce((sum, reading) => sum + reading.errors, 0);
      const medians = collect((name) => median(list.map((reading) => reading[name])));
      rows.push({ peer, concurrency, ...medians, spread: spread(rates), errors, rounds: list.length });
    }
  }
  return rows;
}

/** The ratios of all comparisons of which both sides were measured. */
export function compare(readings: Readings, comparisons: readonly Comparison[]): Record<string, Record<number, Ratio>> {
  const ratios: Record<string, Record<number, Ratio>> = {};
  for (const { ours, theirs } of comparisons) {
    const own = readings.get(ours);
    const other = readings.get(theirs);
    if (own === undefined || other === undefined) continue;
    ratios[ours === "bowline" ? theirs : `${ours} : ${theirs}`] = Object.fromEntries(
      [...own].map(([concurrency, list]) => [concurrency, ratio(list, other.get(concurrency) ?? [])]),
    );
  }
  return ratios;
}

function ratio(ours: readonly Reading[], theirs: readonly Reading[]): Ratio {
  return collect((name) => median(ours.map((reading, round) => reading[name] / theirs[round][name])));
}

function collect(of: (name: (typeof FIGURES)[number]) => number): Ratio {
  return Object.fromEntries(FIGURES.map((name) => [name, of(name)])) as unknown as Ratio;
}

const ROW_COLUMNS: readonly Column[] = [
  { title: "peer", align: "left" },
  { title: "in flight", align: "right" },
  { title: "calls/s", align: "right" },
  { title: "±", align: "right" },
  { title: "p50 ms", align: "right" },
  { title: "p99 ms", align: "right" },
  { title: "client µs", align: "right" },
  { title: "server µs", align: "right" },
  { title: "errors", align: "right" },
];

const RATIO_COLUMNS: readonly Column[] = [
  { title: "bowline : peer", align: "left" },
  { title: "in flight", align: "right" },
  { title: "calls/s", align: "right" },
  { title: "p50", align: "right" },
  { title: "p99", align: "right" },
  { title: "client CPU", align: "right" },
  { title: "server CPU", align: "right" },
];

/** The report as tables for people. */
export function render(report: Report): string {
  const parts = [renderRows(report.rows)];
  if (Object.keys(report.ratios).length > 0) parts.push(renderRatios(report.ratios));
  for (const [peer, reason] of Object.entries(report.skipped)) parts.push(`not measured: ${peer}, ${reason}`);
  parts.push(renderEnvironment(report.environment));
  return parts.join("\n\n");
}

function renderRows(rows: readonly Row[]): string {
  const cells = rows.map((row) => [
    row.peer,
    String(row.concurrency),
    figure(row.callsPerSecond),
    `${Math.round(row.spread * 100)} %`,
    figure(row.p50Ms),
    figure(row.p99Ms),
    figure(row.clientCpuUs),
    figure(row.serverCpuUs),
    String(row.errors),
  ]);
  return `Medians of ${rows[0]?.rounds ?? 0} rounds; µs of CPU time are for one call\n\n${table(ROW_COLUMNS, cells)}`;
}

function renderRatios(ratios: Report["ratios"]): string {
  const cells = Object.entries(ratios).flatMap(([peer, byConcurrency]) =>
    Object.entries(byConcurrency).map(([concurrency, ratio]) => [
      peer,
      concurrency,
      ...[ratio.callsPerSecond, ratio.p50Ms, ratio.p99Ms, ratio.clientCpuUs, ratio.serverCpuUs].map(figure),
    ]),
  );
  return table(RATIO_COLUMNS, cells);
}

function renderEnvironment(environment: Environment): string {
  const { node, cpu, cores, system, commit, pinned, cpuTimeSource, loadBefore, loadAfter } = environment;
  const place = pinned
    ? "server on core 0, client on core 1"
    : "NOT pinned to cores: taskset or a second core is missing";
  const build = commit === "" ? "" : ` · commit ${commit}`;
  return `Node ${node} · ${cores} × ${cpu} · ${system}${build}\n${place} · CPU time from ${cpuTimeSource} · load ${loadBefore} → ${loadAfter}`;
}
