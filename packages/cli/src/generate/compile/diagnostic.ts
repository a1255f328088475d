/** A fault in a .proto file, and where it is. Lines and columns count from 1, columns in characters. */
export interface Diagnostic {
  /** As the user would type it: relative to the current folder. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** Column behind the faulty text if it is known and on the same line. */
  readonly endColumn?: number;
  readonly message: string;
  /** What to do about it. */
  readonly hint?: string;
}

/** The .proto files can't be used as they are; nothing was written. */
export class DiagnosticError extends Error {
  override readonly name: string = "DiagnosticError";
  readonly diagnostics: readonly Diagnostic[];
  /** Text of the files that the diagnostics name, by the same name. */
  readonly sources: ReadonlyMap<string, string>;

  constructor(diagnostics: readonly Diagnostic[], sources: ReadonlyMap<string, string>) {
    super(diagnostics.map(headline).join("\n"));
    this.diagnostics = diagnostics;
    this.sources = sources;
  }
}

/** How the parts of a rendered diagnostic are coloured. */
export interface DiagnosticPaint {
  error(text: string): string;
  faint(text: string): string;
}

/**
 * The diagnostic with the line it is about and a caret below the fault:
 *
 *     proto/user.proto:12:15: cannot find `Usr` in this scope
 *      12 |   rpc GetUser(Usr) returns (User);
 *         |               ^^^
 */
export function renderDiagnostic(diagnostic: Diagnostic, source: string | undefined, paint: DiagnosticPaint): string {
  const lines = [`${diagnostic.file}:${diagnostic.line}:${diagnostic.column}: ${paint.error(diagnostic.message)}`];
  const text = source?.split(/\r?\n/)[diagnostic.line - 1];
  if (text !== undefined) {
    const number = ` ${diagnostic.line} | `;
    lines.push(`${paint.faint(number)}${text}`);
    lines.push(`${paint.faint(number.replace(/\d/g, " "))}${paint.error(caret(diagnostic, text))}`);
  }
  if (diagnostic.hint !== undefined) lines.push(`  ${diagnostic.hint}`);
  return `${lines.join("\n")}\n`;
}

/** The column in characters of one that was counted in bytes, with tabs up to the next multiple of `tabWidth`. */
export function characterColumn(line: string, byteColumn: number, tabWidth: number): number {
  let column = 1;
  let at = 0;
  for (const character of line) {
    if (at >= byteColumn - 1) return column;
    at += character === "\t" ? tabWidth - (at % tabWidth) : Buffer.byteLength(character);
    column += 1;
  }
  return column;
}

function headline(diagnostic: Diagnostic): string {
  return `${diagnostic.file}:${diagnostic.line}:${diagnostic.column}: ${diagnostic.message}`;
}

/** Tabs stay tabs, so that the caret stands below its character however wide a terminal shows them. */
function caret(diagnostic: Diagnostic, text: string): string {
  const before = Array.from(text).slice(0, diagnostic.column - 1);
  const indent = before.map((character) => (character === "\t" ? "\t" : " ")).join("");
  const length = (diagnostic.endColumn ?? 0) - diagnostic.column;
  return indent + "^".repeat(Math.max(1, Math.min(length, text.length - before.length)));
}
