/** What the head of a .proto file says, as far as it is needed to find the files around it. */
export interface ProtoHead {
  /** Empty without a package statement. */
  readonly package: string;
  /** Import paths in the order of the file. */
  readonly imports: readonly string[];
}

/** A string or a comment, whichever begins first. */
const STRING_OR_COMMENT = /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;
const IMPORT = /\bimport\s+(?:public\s+|weak\s+|option\s+)?(["'])([^"'\\\n]+)\1\s*;/g;
const PACKAGE = /(?:^|[;\s])package\s+([A-Za-z_][\w.]*)\s*;/;

/**
 * Reads package and imports from the text of a .proto file without judging it: the compiler does that.
 * Text that only looks like an import leads to one more file to compile, nothing worse.
 */
export function readProtoHead(text: string): ProtoHead {
  const code = text.replace(STRING_OR_COMMENT, (match) => (match.startsWith("/") ? " " : match));
  return {
    package: PACKAGE.exec(code)?.[1] ?? "",
    imports: Array.from(code.matchAll(IMPORT), (match) => match[2]),
  };
}
