import { type Token, tokenize, unquote } from "./tokens.ts";

/** One place where a module names another. */
export interface ModuleImport {
  /** As written, `../rpc/clock.ts`; undefined for `import(expression)`. */
  readonly specifier: string | undefined;
  /** From 1. */
  readonly line: number;
  /**
   * False when nothing of it is left at run time: `import type`, `export type`, `typeof import("x")`.
   * `import { type A } from "x"` is left: the compiler keeps the bare import.
   */
  readonly isRuntime: boolean;
  /** `import("x")`: what it names is loaded when this is reached, not before. */
  readonly isDynamic?: boolean;
}

/** All imports, re-exports, dynamic imports and `require` calls of a TypeScript module, in order. */
export function moduleImports(source: string): ModuleImport[] {
  const tokens = tokenize(source).filter((token) => token.kind !== "comment");
  const found: ModuleImport[] = [];
  for (let i = 0; i < tokens.length; i += 1) {
    const token = tokens[i];
    if (token.kind !== "name" || tokens[i - 1]?.text === ".") continue;
    const read = READERS[token.text];
    const seen = read === undefined ? undefined : read(tokens, i);
    if (seen !== undefined) found.push(seen);
  }
  return found;
}

type Reader = (tokens: readonly Token[], at: number) => ModuleImport | undefined;

const READERS: Readonly<Record<string, Reader | undefined>> = Object.assign(Object.create(null), {
  import: (tokens: readonly Token[], at: number) =>
    tokens[at + 1]?.text === "(" ? call(tokens, at) : declaration(tokens, at),
  export: reExport,
  require: (tokens: readonly Token[], at: number) => (tokens[at + 1]?.text === "(" ? call(tokens, at) : undefined),
});

/** `import("x")`, `require("x")`, with further arguments or not. */
function call(tokens: readonly Token[], at: number): ModuleImport | undefined {
  const argument = tokens[at + 2];
  const after = tokens[at + 3]?.text;
  // A method named so: `import(path: string) {`
  if (argument === undefined || after === ":" || after === "?") return undefined;
  const isLiteral = argument.kind === "string" && (after === ")" || after === ",");
  const isPlainTemplate = argument.kind === "template" && argument.text.endsWith("`");
  return {
    specifier: isLiteral || isPlainTemplate ? unquote(argument) : undefined,
    line: tokens[at].line,
    isRuntime: tokens[at - 1]?.text !== "typeof",
    ...(tokens[at].text === "import" ? { isDynamic: true } : {}),
  };
}

/** `import "x"`, `import a, { b } from "x"`, `import * as a from "x"`, `import type …`. */
function declaration(tokens: readonly Token[], at: number): ModuleImport | undefined {
  const next = tokens[at + 1];
  if (next === undefined || tokens[at].depth !== 0) return undefined;
  if (next.kind === "string") return { specifier: unquote(next), line: tokens[at].line, isRuntime: true };
  return clause(tokens, at);
}

/** `export { a } from "x"`, `export * as a from "x"`, `export type …`; undefined for everything that names no module. */
function reExport(tokens: readonly Token[], at: number): ModuleImport | undefined {
  if (tokens[at].depth !== 0) return undefined;
  const first = tokens[at + 1]?.text === "type" ? tokens[at + 2] : tokens[at + 1];
  return first?.text === "{" || first?.text === "*" ? clause(tokens, at) : undefined;
}

/** What stands between the keyword and `from "x"`: names, commas, braces and a star; anything else ends the search. */
function clause(tokens: readonly Token[], at: number): ModuleImport | undefined {
  const afterType = tokens[at + 2];
  const isType =
    tokens[at + 1]?.text === "type" &&
    afterType?.text !== "," &&
    !(afterType?.text === "from" && isString(tokens[at + 3]));
  for (let i = at + 1; i < tokens.length; i += 1) {
    const token = tokens[i];
    const next = tokens[i + 1];
    if (token.text === "from" && token.depth === tokens[at].depth && next?.kind === "string") {
      return { specifier: unquote(next), line: tokens[at].line, isRuntime: !isType };
    }
    if (token.kind !== "name" && !"{},*".includes(token.text)) return undefined;
  }
  return undefined;
}

function isString(token: Token | undefined): boolean {
  return token?.kind === "string";
}
