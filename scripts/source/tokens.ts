/** What a token is; `template` is one literal piece of a template string, without its expressions. */
export type TokenKind = "name" | "punctuation" | "string" | "template" | "number" | "regex" | "comment";

/** One token of TypeScript source. */
export interface Token {
  readonly kind: TokenKind;
  /** As it stands in the source, quotes included. */
  readonly text: string;
  /** From 1. */
  readonly line: number;
  /** Number of open `{`, `(` and `[` around it; a template's expression counts as one. */
  readonly depth: number;
}

const SPACE = /\s+/y;
const COMMENT = /\/\/[^\n]*|\/\*[\s\S]*?\*\//y;
const STRING = /"(?:[^"\\\n]|\\[\s\S])*"|'(?:[^'\\\n]|\\[\s\S])*'/y;
const NAME = /[#@]?[\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*/uy;
const NUMBER = /\d[\w.]*/y;
const REGEX = /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y;
const TEMPLATE_PIECE = /[`}](?:[^`\\$]|\\[\s\S]|\$(?!\{))*(?:`|\$\{)/y;
const PUNCTUATION = /\+\+|--|=>|[\s\S]/y;

/** Names after which a slash begins a regular expression, not a division. */
const BEFORE_EXPRESSION = new Set(
  "await case delete do else in instanceof new of return throw typeof void yield".split(" "),
);
/** Punctuation after which a slash divides. */
const ENDS_EXPRESSION = new Set([")", "]", "}", "++", "--"]);

/**
 * Splits TypeScript source into tokens, comments included, white space left out.
 *
 * A scanner, not a parser: after `)` and `}` a slash counts as a division. That is wrong for an expression statement that
 * begins with a regular expression, which nobody writes. Source that isn't TypeScript gives tokens all the same.
 */
export function tokenize(source: string): Token[] {
  const scanner = new Scanner(source);
  while (!scanner.atEnd) scanner.next();
  return scanner.tokens;
}

/** The text of a string token without its quotes. */
export function unquote(token: Token): string {
  return token.text.slice(1, -1);
}

class Scanner {
  readonly tokens: Token[] = [];
  readonly #source: string;
  #at = 0;
  #line = 1;
  #depth = 0;
  /** Depths at which a `}` goes on with a template string. */
  readonly #templates: number[] = [];
  /** The last token that is no comment. */
  #last: Token | undefined;

  constructor(source: string) {
    this.#source = source;
  }

  get atEnd(): boolean {
    return this.#at >= this.#source.length;
  }

  next(): void {
    const space = this.#match(SPACE);
    if (space !== undefined) return this.#skip(space);
    const comment = this.#match(COMMENT);
    if (comment !== undefined) return this.#add("comment", comment);
    const text = this.#match(STRING);
    if (text !== undefined) return this.#add("string", text);
    if (this.#source[this.#at] === "`" || this.#continuesTemplate()) return this.#template();
    const name = this.#match(NAME);
    if (name !== undefined) return this.#add("name", name);
    const number = this.#match(NUMBER);
    if (number !== undefined) return this.#add("number", number);
    const regex = this.#mayBeRegex() ? this.#match(REGEX) : undefined;
    if (regex !== undefined) return this.#add("regex", regex);
    this.#punctuation(this.#match(PUNCTUATION) ?? "");
  }

  #punctuation(text: string): void {
    if (text === "}" || text === ")" || text === "]") this.#depth -= 1;
    this.#add("punctuation", text);
    if (text === "{" || text === "(" || text === "[") this.#depth += 1;
  }

  #continuesTemplate(): boolean {
    return this.#source[this.#at] === "}" && this.#templates.at(-1) === this.#depth;
  }

  #template(): void {
    if (this.#source[this.#at] === "}") {
      this.#templates.pop();
      this.#depth -= 1;
    }
    // A template that never ends is taken as a stray quote.
    const piece = this.#match(TEMPLATE_PIECE) ?? this.#source.charAt(this.#at);
    this.#add("template", piece);
    if (!piece.endsWith("${")) return;
    this.#depth += 1;
    this.#templates.push(this.#depth);
  }

  #mayBeRegex(): boolean {
    const last = this.#last;
    if (last === undefined) return true;
    if (last.kind === "punctuation") return !ENDS_EXPRESSION.has(last.text);
    return last.kind === "name" && BEFORE_EXPRESSION.has(last.text);
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#source)?.[0];
  }

  #skip(text: string): void {
    this.#at += text.length;
    for (const character of text) if (character === "\n") this.#line += 1;
  }

  #add(kind: TokenKind, text: string): void {
    const token: Token = { kind, text, line: this.#line, depth: this.#depth };
    this.tokens.push(token);
    if (kind !== "comment") this.#last = token;
    this.#skip(text);
  }
}
