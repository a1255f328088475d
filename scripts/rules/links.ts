/** A link of a page that leads nowhere. */
export interface BrokenLink {
  /** From 1. */
  readonly line: number;
  readonly target: string;
  readonly problem: string;
}

const LINK = /\]\(([^)\s]+)\)/g;

/**
 * Links of a page of Markdown to files or headings that are not there. What lies behind a scheme (`https:`) is not followed.
 *
 * `read` gives the text of a file or folder of the repository by its path, an empty one for folders; undefined if there is none.
 */
export function brokenLinks(page: string, markdown: string, read: (path: string) => string | undefined): BrokenLink[] {
  const broken: BrokenLink[] = [];
  linesOf(markdown).forEach(({ text, isCode }, index) => {
    if (isCode) return;
    for (const [, target] of text.replace(/`[^`]*`/g, "").matchAll(LINK)) {
      const problem = problemOf(page, markdown, target, read);
      if (problem !== undefined) broken.push({ line: index + 1, target, problem });
    }
  });
  return broken;
}

function problemOf(
  page: string,
  markdown: string,
  target: string,
  read: (path: string) => string | undefined,
): string | undefined {
  if (/^[a-z]+:/.test(target)) return undefined;
  const [file, anchor] = target.split("#");
  const path = file === "" ? page : resolved(page, file);
  const text = file === "" ? markdown : read(path);
  if (text === undefined) return `there is no ${path}`;
  if (anchor === undefined || anchorsOf(text).has(anchor)) return undefined;
  return `${path} has no heading #${anchor}`;
}

function resolved(page: string, file: string): string {
  const parts = page.split("/").slice(0, -1);
  for (const part of file.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "." && part !== "") parts.push(part);
  }
  return parts.join("/");
}

/** The anchors that GitHub gives to headings. */
function anchorsOf(markdown: string): Set<string> {
  const anchors = new Set<string>();
  for (const { text, isCode } of linesOf(markdown)) {
    const heading = isCode ? undefined : /^#{1,6} (.*)$/.exec(text)?.[1];
    if (heading === undefined) continue;
    const plain = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1");
    anchors.add(
      plain
        .toLowerCase()
        .replace(/[^\p{L}\p{N}_ -]/gu, "")
        .replaceAll(" ", "-"),
    );
  }
  return anchors;
}

/** Lines, and whether they stand inside a fenced block. */
function linesOf(markdown: string): { readonly text: string; readonly isCode: boolean }[] {
  let fence = "";
  return markdown.split("\n").map((text) => {
    const mark = /^\s*(`{3,}|~{3,})/.exec(text)?.[1] ?? "";
    const isCode = fence !== "" || mark !== "";
    if (fence === "") fence = mark;
    else if (mark.startsWith(fence)) fence = "";
    return { text, isCode };
  });
}
