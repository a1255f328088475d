import type { FigureKey } from "../load/reading.ts";
import type { Environment } from "./environment.ts";
import { ratioMatrices, rowMatrix } from "./matrix.ts";
import type { Report, Row, Verdict } from "./report.ts";
import { type Column, figure, markdownTable, table } from "./table.ts";

/** Headings of figures. CPU times are for one call, or one message of a stream. */
export const FIGURE_TITLES: Readonly<Record<FigureKey, string>> = {
  callsPerSecond: "calls/s",
  messagesPerSecond: "messages/s",
  megabytesPerSecond: "MB/s",
  p50Ms: "p50 ms",
  p99Ms: "p99 ms",
  clientCpuUs: "client µs",
  serverCpuUs: "server µs",
  idleConnectionRssBytes: "connection RSS",
  idleConnectionHeapBytes: "connection heap",
  openCallServerHeapBytes: "open call, server",
  openCallClientHeapBytes: "open call, client",
  registeredMs: "registered ms",
  lastRepeatedMs: "last repeated ms",
  repeatedCalls: "repeated calls",
  failedCalls: "failed calls",
  resyncMs: "full read ms",
  blockedMs: "longest block ms",
  changeMs: "one change ms",
  instanceBytes: "bytes an instance",
  streams: "streams",
  requestsPerSecond: "requests/s",
  healedMs: "all back ms",
};

type RenderTable = (columns: readonly Column[], rows: readonly (readonly string[])[]) => string;

/** The report as tables for people, or for a page in Markdown. */
export function render(report: Report, asMarkdown = false): string {
  const draw = asMarkdown ? markdownTable : table;
  const rounds = Math.max(0, ...report.rows.map((row) => row.rounds));
  const medians = rounds === 1 ? "One round" : `Medians of ${rounds} rounds`;
  const parts = TABLES[report.layout ?? "lines"](report, medians, draw);
  if (report.bars.length > 0) parts.push(barsTable(report.bars, draw));
  for (const note of report.notes) parts.push(note);
  for (const [peer, reason] of Object.entries(report.skipped)) parts.push(`not measured: ${peer}, ${reason}`);
  return [...parts, renderEnvironment(report.environment)].join("\n\n");
}

type RenderTables = (report: Report, medians: string, draw: RenderTable) => string[];

const TABLES: Readonly<Record<NonNullable<Report["layout"]> | "lines", RenderTables>> = {
  lines: lineTables,
  matrix: matrixTables,
  "by-load": loadTables,
};

const left = (title: string): Column => ({ title, align: "left" });
const right = (title: string): Column => ({ title, align: "right" });

function lineTables(report: Report, medians: string, draw: RenderTable): string[] {
  const title = `${medians}; µs are CPU time of one call or message, memory is in bytes`;
  const ratios = Object.keys(report.ratios).length > 0 ? [ratiosTable(report, draw)] : [];
  return [title, rowsTable(report, draw), ...ratios];
}

function matrixTables({ figures: [key], rows, ratios }: Report, medians: string, draw: RenderTable): string[] {
  const widest = Math.round(Math.max(0, ...rows.map((row) => row.spread)) * 100);
  const tables = [rowMatrix(rows, key, FIGURE_TITLES[key]), ...ratioMatrices(ratios, key)];
  const title = rows.some((row) => row.rounds > 1) ? `${medians}, each ± ${widest} % or less` : medians;
  return [title, ...tables.map(({ columns, cells }) => draw(columns, cells))];
}

/** A table for each load, with the figures that it gives. */
function loadTables(report: Report, medians: string, draw: RenderTable): string[] {
  const loads = [...new Set(report.rows.map((row) => row.load))];
  const tables = loads.map((load) => {
    const rows = report.rows.filter((row) => row.load === load);
    const figures = report.figures.filter((key) => rows.some((row) => row[key] !== undefined));
    return rowsTable({ figures, rows }, draw);
  });
  return [medians, ...tables];
}

function rowsTable({ figures, rows }: Pick<Report, "figures" | "rows">, draw: RenderTable): string {
  const [first, ...others] = figures.map((key) => right(FIGURE_TITLES[key]));
  const columns = [left("peer"), right("load"), first, right("±"), ...others, right("errors")];
  return draw(
    columns,
    rows.map((row) => [row.peer, row.load, ...rowFigures(row, figures), String(row.errors)]),
  );
}

function rowFigures(row: Row, keys: readonly FigureKey[]): string[] {
  const [first, ...others] = keys.map((key) => figure(row[key] ?? Number.NaN));
  return [first, `${Math.round(row.spread * 100)} %`, ...others];
}

function ratiosTable({ figures, ratios }: Report, draw: RenderTable): string {
  const columns = [left("bowline : peer"), right("load"), ...figures.map((key) => right(FIGURE_TITLES[key]))];
  const rows = Object.entries(ratios).flatMap(([peer, byLoad]) =>
    Object.entries(byLoad).map(([load, ratio]) => [
      peer,
      load,
      ...figures.map((key) => figure(ratio[key] ?? Number.NaN)),
    ]),
  );
  return draw(columns, rows);
}

function barsTable(bars: readonly Verdict[], draw: RenderTable): string {
  const columns = [left("bar"), right("seen"), right("must"), right("goal"), left("")];
  const rows = bars.map(({ what, value, kind, must, goal, isMet }) => {
    const sign = kind === "floor" ? "≥" : "≤";
    return [what, figure(value), `${sign} ${figure(must)}`, `${sign} ${figure(goal)}`, isMet ? "met" : "MISSED"];
  });
  return draw(columns, rows);
}

function renderEnvironment(environment: Environment): string {
  const { node, cpu, cores, system, commit, placement, cpuTimeSource, loadBefore, loadAfter } = environment;
  const build = commit === "" ? "" : ` · commit ${commit}`;
  return `Node ${node} · ${cores} × ${cpu} · ${system}${build}\n${placement} · CPU time from ${cpuTimeSource} · load ${loadBefore} → ${loadAfter}`;
}
