/** A column: its heading, and whether cells stand at the right edge (figures) or the left (words). */
export interface Column {
  readonly title: string;
  readonly align: "left" | "right";
}

/** Text with one line a row, columns aligned and two spaces apart. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const widths = columns.map((column, i) => Math.max(column.title.length, ...rows.map((row) => row[i].length)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (columns[i].align === "right" ? cell.padStart(widths[i]) : cell.padEnd(widths[i])))
      .join("  ")
      .trimEnd();
  return [line(columns.map((column) => column.title)), ...rows.map(line)].join("\n");
}

/** Three significant digits, thousands separated: `0.0713`, `4.56`, `123`, `451,204`. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (value >= 1000) return Math.round(value).toLocaleString("en-US");
  return value === 0 ? "0" : Number(value.toPrecision(3)).toString();
}

/** The same table in Markdown. */
export function markdownTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  const rule = columns.map((column) => (column.align === "right" ? "---:" : "---"));
  return [line(columns.map((column) => column.title)), line(rule), ...rows.map(line)].join("\n");
}
