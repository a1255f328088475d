/** A fenced block of a page. */
export interface Snippet {
  /** The page, relative to the repository. */
  readonly page: string;
  /** Of the block's first line of code, from 1. */
  readonly line: number;
  /** `ts`, `proto`, `sh`, … */
  readonly language: string;
  /**
   * What is done with a `ts` block: `check` it against the types (the default), `run` it too, or leave it alone because it
   * is a `fragment` that can't stand by itself.
   */
  readonly use: "check" | "run" | "fragment";
  /** From a first line `// file: name`, or `# file: name`; else `snippet-<line>.ts`. */
  readonly file: string;
  readonly text: string;
}

const FENCE = /^(\s*)(`{3,}|~{3,})\s*(\S*)\s*(.*)$/;
const FILE = /^\s*(?:\/\/|#) file: (\S+)\s*$/;
const USES = new Set(["check", "run", "fragment"]);

/**
 * The fenced blocks of a page of Markdown that stand for files: every `ts` block, and blocks of other languages whose first
 * line is a comment `file: name`.
 *
 * @throws Error at a word behind `ts` that means nothing, and at a file name that leads out of the page's folder
 */
export function snippetsOf(page: string, markdown: string): Snippet[] {
  const found: Snippet[] = [];
  const lines = markdown.split("\n");
  for (let i = 0; i < lines.length; i += 1) {
    const open = FENCE.exec(lines[i]);
    if (open === null) continue;
    const [, indent, fence, language, info] = open;
    const isEnd = (line: string): boolean => line.trim().startsWith(fence) && /^[`~]+$/.test(line.trim());
    const end = lines.findIndex((line, at) => at > i && isEnd(line));
    const body = lines.slice(i + 1, end < 0 ? lines.length : end).map((line) => line.replace(indent, ""));
    const snippet = toSnippet(page, i + 2, language, info.trim(), body);
    if (snippet !== undefined) found.push(snippet);
    i = end < 0 ? lines.length : end;
  }
  return found;
}

function toSnippet(page: string, line: number, language: string, info: string, body: string[]): Snippet | undefined {
  const named = FILE.exec(body[0] ?? "")?.[1];
  if (language !== "ts" && named === undefined) return undefined;
  const use = info === "" || language !== "ts" ? "check" : info;
  if (!USES.has(use))
    throw new Error(`${page}:${line - 1}: "ts ${info}" means nothing; write ts, ts run or ts fragment`);
  const file = named ?? `snippet-${line}.ts`;
  if (file.startsWith("/") || file.split("/").includes("..")) {
    throw new Error(`${page}:${line}: file ${file} lies outside the page's folder; give it a plain name`);
  }
  return { page, line, language, use: use as Snippet["use"], file, text: `${body.join("\n")}\n` };
}
