import type { FigureKey } from "../load/reading.ts";
import { OURS, type Ratios, type Row } from "./report.ts";
import { type Column, figure } from "./table.ts";

/** Rows and columns of a table. */
export interface Matrix {
  readonly columns: readonly Column[];
  readonly cells: readonly (readonly string[])[];
}

/** One figure of all rows: a line for each load, a column for each peer. */
export function rowMatrix(rows: readonly Row[], key: FigureKey, title: string): Matrix {
  const peers = [...new Set(rows.map((row) => row.peer))];
  const loads = [...new Set(rows.map((row) => row.load))];
  const cell = (load: string, peer: string): string =>
    figure(rows.find((row) => row.load === load && row.peer === peer)?.[key] ?? Number.NaN);
  return matrix(title, peers, loads, cell);
}

/** One figure of all ratios: a table for each of ours that is compared, a column for each of theirs. */
export function ratioMatrices(ratios: Ratios, key: FigureKey): Matrix[] {
  const names = Object.keys(ratios).map((name) => ({ name, ...sidesOf(name) }));
  return [...new Set(names.map(({ ours }) => ours))].map((ours) => {
    const own = names.filter((each) => each.ours === ours);
    const nameOf = (theirs: string): string => own.find((each) => each.theirs === theirs)?.name ?? "";
    const loads = [...new Set(own.flatMap(({ name }) => Object.keys(ratios[name])))];
    const cell = (load: string, theirs: string): string => figure(ratios[nameOf(theirs)][load]?.[key] ?? Number.NaN);
    return matrix(
      `${ours} :`,
      own.map((each) => each.theirs),
      loads,
      cell,
    );
  });
}

/** A ratio's name is the peer's, with our side before it when that is not all of ours. */
function sidesOf(name: string): { readonly ours: string; readonly theirs: string } {
  const [first, second] = name.split(" : ");
  return second === undefined ? { ours: OURS, theirs: first } : { ours: first, theirs: second };
}

function matrix(
  corner: string,
  peers: readonly string[],
  loads: readonly string[],
  cell: (load: string, peer: string) => string,
): Matrix {
  return {
    columns: [{ title: corner, align: "left" }, ...peers.map((title): Column => ({ title, align: "right" }))],
    cells: loads.map((load) => [load, ...peers.map((peer) => cell(load, peer))]),
  };
}
