import type { Finding } from "../findings.ts";
import { isGenerated, isTest, type SourceFile } from "../repository.ts";
import { exportedNames } from "../source/exports.ts";
import { tokenize } from "../source/tokens.ts";

/** Share of exported names of packages that must have a doc comment. */
export const minDocumented = 0.95;

/** What {@link checkDocComments} counted. */
export interface DocCoverage {
  readonly documented: number;
  readonly total: number;
  /** One for each name without a doc comment. */
  readonly missing: readonly Finding[];
}

/** Looks for the doc comment of every name that a source file of a package exports. */
export function checkDocComments(files: readonly SourceFile[]): DocCoverage {
  const missing: Finding[] = [];
  let total = 0;
  for (const { path, text } of files) {
    if (!/^packages\/[^/]+\/src\/.*\.ts$/.test(path) || isGenerated(path) || isTest(path)) continue;
    for (const { name, line, hasDoc } of exportedNames(text)) {
      total += 1;
      if (hasDoc) continue;
      const fix = "say above it what it promises: units, defaults, errors, source";
      missing.push({ file: path, line, problem: `${name} has no doc comment`, fix });
    }
  }
  return { documented: total - missing.length, total, missing };
}

interface Ban {
  readonly pattern: RegExp;
  /** Where the pattern is sought: in every line, or in comments of TypeScript only. */
  readonly within: "text" | "comments";
  readonly problem: string;
  readonly fix: string;
}

const BANS: readonly Ban[] = [
  {
    pattern: /(?<![\w.])\/(?:work|root|farm|home\/[a-z]\w*|Users\/[A-Za-z]\w*)\/[A-Za-z.]/,
    within: "text",
    problem: "names a path of one machine",
    fix: "make it relative to the repository, or take it as an argument",
  },
  {
    pattern: /\b(?:TODO|FIXME|XXX|HACK)\b/,
    within: "comments",
    problem: "leaves something to do",
    fix: "do it, or open an issue and say what holds until then",
  },
  {
    // Not @ts-expect-error: with it a test asserts that the compiler refuses something.
    pattern: /@ts-(?:ignore|nocheck)\b/,
    within: "comments",
    problem: "silences the compiler",
    fix: "give the value its type",
  },
];

/** Finds what no file may hold: paths of one machine, things left to do, a silenced compiler. */
export function checkBannedText(files: readonly SourceFile[]): Finding[] {
  return files.flatMap(({ path, text }) => [
    ...findIn(path, text.split("\n").map(numbered), "text"),
    ...(path.endsWith(".ts") && !isGenerated(path) ? findIn(path, comments(text), "comments") : []),
  ]);
}

interface Line {
  readonly text: string;
  readonly line: number;
}

function numbered(text: string, index: number): Line {
  return { text, line: index + 1 };
}

function comments(text: string): Line[] {
  return tokenize(text)
    .filter((token) => token.kind === "comment")
    .flatMap((token) => token.text.split("\n").map((each, index) => ({ text: each, line: token.line + index })));
}

function findIn(file: string, lines: readonly Line[], within: Ban["within"]): Finding[] {
  const bans = BANS.filter((ban) => ban.within === within);
  return lines.flatMap(({ text, line }) =>
    bans
      .filter((ban) => ban.pattern.test(text))
      .map(({ problem, fix }) => ({ file, line, problem: `${problem}: ${text.trim().slice(0, 80)}`, fix })),
  );
}
