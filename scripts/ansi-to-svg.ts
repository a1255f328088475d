import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

/**
 * Turns a terminal's screen, as `tmux capture-pane -e -p -N` prints it, into an SVG picture. The same screen gives the same picture.
 *
 *   tmux capture-pane -e -p -N -t demo | sh scripts/run.sh scripts/ansi-to-svg.ts --title "npm run demo" > docs/images/demo.svg
 */

/** Characters in one tone. */
interface Run {
  /** From 0. */
  readonly column: number;
  readonly text: string;
  readonly colour: string;
  readonly background: string;
  readonly isBold: boolean;
}

/** How the following characters look; undefined is the terminal's default. */
interface Pen {
  colour?: string;
  background?: string;
  isBold: boolean;
  isInverse: boolean;
}

const CELL_WIDTH = 8.4;
const LINE_HEIGHT = 18;
const FONT_SIZE = 14;
const PADDING = 16;
const TITLE_HEIGHT = 34;
const FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace";
const GROUND = "#0d1117";
const INK = "#d1d7e0";
/** The sixteen colours of ECMA-48, eight plain and eight bright, on a dark ground. */
const PALETTE = [
  ...["#484f58", "#ff7b72", "#3fb950", "#d29922", "#58a6ff", "#bc8cff", "#39c5cf", "#b1bac4"],
  ...["#7d8590", "#ff7b72", "#56d364", "#e3b341", "#79c0ff", "#d2a8ff", "#56d4dd", "#f0f6fc"],
];

/** The picture of a screen, at least `columns` wide. */
export function svgOf(screen: string, title: string, columns: number): string {
  const lines = screen.replace(/\n+$/, "").split("\n").map(runsOf);
  const width =
    Math.max(columns, ...lines.flat().map((run) => run.column + run.text.length)) * CELL_WIDTH + 2 * PADDING;
  const height = TITLE_HEIGHT + lines.length * LINE_HEIGHT + PADDING;
  const dots = ["#ff5f57", "#febc2e", "#28c840"].map(
    (colour, i) => `<circle cx="${PADDING + 6 + i * 20}" cy="17" r="6" fill="${colour}"/>`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${short(width)} ${height}" width="${short(width)}" height="${height}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<style>text { font: ${FONT_SIZE}px ${FONTS}; } .b { font-weight: 700; }</style>`,
    `<rect width="100%" height="100%" rx="8" fill="${GROUND}" stroke="#30363d"/>`,
    ...dots,
    `<text x="50%" y="22" text-anchor="middle" fill="#7d8590">${escaped(title)}</text>`,
    ...lines.flatMap((runs, row) => runs.flatMap((run) => elementsOf(run, row))),
    "</svg>",
    "",
  ].join("\n");
}

/** The characters of a line by their tone; blanks that nobody sees are left out. */
export function runsOf(line: string): Run[] {
  const runs: Run[] = [];
  const pen: Pen = { isBold: false, isInverse: false };
  let column = 0;
  for (const part of line.split(/(\x1b\[[0-9;]*m)/)) {
    if (part.startsWith("\x1b[")) {
      changePen(pen, part.slice(2, -1));
      continue;
    }
    const [colour, background] = [pen.colour ?? INK, pen.background ?? GROUND];
    const look = pen.isInverse ? { colour: background, background: colour } : { colour, background };
    if (part.trim() !== "" || (part !== "" && look.background !== GROUND)) {
      runs.push({ column, text: part, ...look, isBold: pen.isBold });
    }
    column += part.length;
  }
  return runs;
}

/** Select Graphic Rendition, ECMA-48 § 8.3.117, as far as programs in a terminal of 16 colours use it. */
function changePen(pen: Pen, parameters: string): void {
  for (const code of parameters.split(";").map(Number)) {
    if (code === 0) Object.assign(pen, { colour: undefined, background: undefined, isBold: false, isInverse: false });
    else if (code === 1 || code === 22) pen.isBold = code === 1;
    else if (code === 7 || code === 27) pen.isInverse = code === 7;
    else if (code === 39) pen.colour = undefined;
    else if (code === 49) pen.background = undefined;
    else if (code >= 30 && code <= 37) pen.colour = PALETTE[code - 30];
    else if (code >= 90 && code <= 97) pen.colour = PALETTE[code - 82];
    else if (code >= 40 && code <= 47) pen.background = PALETTE[code - 40];
  }
}

/** Words far apart are elements of their own and `textLength` is set: so columns are in line whatever font the reader has. */
function elementsOf({ column, text, colour, background, isBold }: Run, row: number): string[] {
  const y = TITLE_HEIGHT + row * LINE_HEIGHT;
  const xOf = (index: number): string => short(PADDING + (column + index) * CELL_WIDTH);
  const widthOf = (part: string): string => short(part.length * CELL_WIDTH);
  const elements: string[] = [];
  if (background !== GROUND) {
    const size = `width="${widthOf(text)}" height="${LINE_HEIGHT}"`;
    elements.push(`<rect x="${xOf(0)}" y="${y}" ${size} fill="${background}"/>`);
  }
  for (const { 0: words, index } of text.matchAll(/\S+(?: \S+)*/g)) {
    const place = `x="${xOf(index)}" y="${y + 13}" textLength="${widthOf(words)}" lengthAdjust="spacingAndGlyphs"`;
    elements.push(`<text ${place}${isBold ? ' class="b"' : ""} fill="${colour}">${escaped(words)}</text>`);
  }
  return elements;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function short(value: number): string {
  return String(Math.round(value * 10) / 10);
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { title: { type: "string", default: "" }, columns: { type: "string", default: "80" } },
  });
  process.stdout.write(svgOf(readFileSync(0, "utf8"), values.title, Number(values.columns)));
}
