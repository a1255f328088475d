import { type Token, tokenize } from "./tokens.ts";

/** A name that a module declares and exports. */
export interface ExportedName {
  readonly name: string;
  /** Of the declaration, from 1. */
  readonly line: number;
  /** A doc comment stands directly above the declaration (for an overloaded function above one of them). */
  readonly hasDoc: boolean;
}

const KEYWORDS = new Set(["function", "class", "interface", "type", "const", "let", "enum"]);
const MODIFIERS = new Set(["declare", "abstract", "async", "export", "default"]);

/** The names that a TypeScript module declares and exports, re-exports of other modules left out. */
export function exportedNames(source: string): ExportedName[] {
  const tokens = tokenize(source);
  const declared = declarations(tokens);
  const wanted = new Set([
    ...exportLists(tokens),
    ...declared.filter((each) => each.isExported).map((each) => each.name),
  ]);
  const found = new Map<string, ExportedName>();
  for (const { name, line, hasDoc } of declared) {
    if (!wanted.has(name)) continue;
    const earlier = found.get(name);
    found.set(name, { name, line: earlier?.line ?? line, hasDoc: hasDoc || earlier?.hasDoc === true });
  }
  return [...found.values()];
}

interface Declaration extends ExportedName {
  readonly isExported: boolean;
}

/** All declarations of the module's top level. */
function declarations(tokens: readonly Token[]): Declaration[] {
  const found: Declaration[] = [];
  for (let i = 0; i < tokens.length; i += 1) {
    const token = tokens[i];
    if (token.depth !== 0 || token.kind !== "name" || !KEYWORDS.has(token.text)) continue;
    const name = tokens[i + 1]?.text === "*" ? tokens[i + 2] : tokens[i + 1];
    if (name?.kind !== "name") continue;
    const modifiers = modifiersBefore(tokens, i);
    if (!startsStatement(tokens, i - modifiers.length)) continue;
    const before = tokens[i - modifiers.length - 1];
    found.push({
      name: name.text,
      line: token.line,
      hasDoc: before?.kind === "comment" && before.text.startsWith("/**"),
      isExported: modifiers.includes("export"),
    });
  }
  return found;
}

function modifiersBefore(tokens: readonly Token[], at: number): string[] {
  const found: string[] = [];
  for (let i = at - 1; i >= 0 && tokens[i].kind === "name" && MODIFIERS.has(tokens[i].text); i -= 1) {
    found.push(tokens[i].text);
  }
  return found;
}

/** Tells the keyword from a name: `type` in `import type x`, `const` in `as const`. */
function startsStatement(tokens: readonly Token[], at: number): boolean {
  let before = at - 1;
  while (tokens[before]?.kind === "comment") before -= 1;
  const last = tokens[before];
  return last === undefined || last.line < tokens[at].line || last.text === ";" || last.text === "}";
}

/** Names in `export { a, b as c }` without `from`: the local ones. */
function exportLists(tokens: readonly Token[]): string[] {
  const code = tokens.filter((token) => token.kind !== "comment");
  const found: string[] = [];
  for (let i = 0; i < code.length; i += 1) {
    if (code[i].text !== "export" || code[i].depth !== 0) continue;
    const open = code[i + 1]?.text === "type" ? i + 2 : i + 1;
    if (code[open]?.text !== "{") continue;
    const close = code.findIndex((token, at) => at > open && token.text === "}" && token.depth === 0);
    if (close < 0 || code[close + 1]?.text === "from") continue;
    for (let at = open + 1; at < close; at += 1) {
      if (
        code[at].kind === "name" &&
        code[at].text !== "type" &&
        code[at - 1].text !== "as" &&
        code[at].text !== "as"
      ) {
        found.push(code[at].text);
      }
    }
  }
  return found;
}
