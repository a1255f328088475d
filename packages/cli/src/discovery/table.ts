import { stripVTControlCharacters } from "node:util";

/** Rows with their columns below each other, two spaces between; the last column is not filled up. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, text] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, width(text));
  }
  const line = (row: readonly string[]): string =>
    row
      .map((text, column) => text + " ".repeat(widths[column] - width(text)))
      .join("  ")
      .trimEnd();
  return rows.map((row) => `${line(row)}\n`).join("");
}

function width(text: string): number {
  return stripVTControlCharacters(text).length;
}
