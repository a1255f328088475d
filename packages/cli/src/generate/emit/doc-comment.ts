import { MAX_WIDTH } from "./source-text.ts";

/** What a doc comment is made of. */
export interface DocComment {
  /** The comment in the .proto; may be empty. */
  readonly text: string;
  /** Said when there is no comment. */
  readonly fallback: string;
  /** Paragraphs behind it. */
  readonly notes?: readonly string[];
  readonly isDeprecated: boolean;
}

/** The lines of a doc comment, a single one when it fits there. What would end the comment early is escaped. */
export function docComment(comment: DocComment, indent: string): string[] {
  const paragraphs = [tidy(comment.text) || comment.fallback, ...(comment.notes ?? [])];
  if (comment.isDeprecated && !/^@deprecated\b/m.test(paragraphs[0])) paragraphs.push("@deprecated");
  const lines = paragraphs.join("\n\n").replaceAll("*/", "*\\/").split("\n");
  const single = `${indent}/** ${lines[0]} */`;
  if (lines.length === 1 && !lines[0].startsWith("@") && single.length <= MAX_WIDTH) return [single];
  return [`${indent}/**`, ...lines.map((line) => `${indent} * ${line}`.trimEnd()), `${indent} */`];
}

/** Takes off the one blank that follows `//`, blanks at the end of lines, and empty lines around the text. */
function tidy(text: string): string {
  const lines = text
    .split(/\r\n|[\n\r\u2028\u2029]/)
    .map((line) => (line.startsWith(" ") ? line.slice(1) : line).trimEnd());
  while (lines.at(-1) === "") lines.pop();
  while (lines[0] === "") lines.shift();
  return lines.join("\n");
}
