import { dirname } from "node:path/posix";
import type { Finding } from "../findings.ts";
import { isTest } from "../repository.ts";

/** Lines that a file may have. */
export const maxLines = 400;
/** Lines that a file with an entry in {@link longFiles} may have. */
export const hardMaxLines = 600;
/** Source files that a folder below `packages/…/src` may have, tests apart. */
export const maxFilesInFolder = 12;
/** How deep a file may lie below `src`, its own name counted. */
export const maxDepth = 4;

/** A file that may be longer than {@link maxLines}, up to {@link hardMaxLines}. */
export interface LongFile {
  readonly path: string;
  readonly reason: string;
}

/** Files that would not become clearer by being split. */
export const longFiles: readonly LongFile[] = [
  {
    path: "packages/bowline/src/client/call/call.ts",
    reason: "the states of a call and of its attempts in one place; what it sends, waits for and says stands apart",
  },
  {
    path: "packages/bowline/src/grpc/server-stream.ts",
    reason: "a call from its headers to its status in one place; framing, reading and what clients share stand apart",
  },
  {
    path: "packages/bowline/src/http2/connection.ts",
    reason:
      "the life of a connection from its first octet to its last is told in one place; what it consists of stands apart",
  },
];

/** A source file and its number of lines. */
export interface FileSize {
  readonly path: string;
  readonly lines: number;
}

/** Finds files that are too long or too deep, folders that are too full, and exceptions that nothing needs any more. */
export function checkSizes(files: readonly FileSize[], exceptions: readonly LongFile[] = longFiles): Finding[] {
  const inside = files.filter((file) => /^packages\/[^/]+\/src\//.test(file.path));
  return [
    ...files.flatMap((file) => lineFindings(file, exceptions)),
    ...unusedExceptions(files, exceptions),
    ...inside.flatMap(depthFindings),
    ...folderFindings(inside),
  ];
}

function lineFindings({ path, lines }: FileSize, exceptions: readonly LongFile[]): Finding[] {
  const excepted = exceptions.some((each) => each.path === path);
  const limit = excepted ? hardMaxLines : maxLines;
  if (lines <= limit) return [];
  const problem = `${lines} lines, ${limit} are allowed`;
  if (excepted || isTest(path)) return [{ file: path, problem, fix: "split it by behaviour" }];
  return [
    {
      file: path,
      problem,
      fix: "split it; or, if that makes it less clear, list it with its reason in rules/sizes.ts",
    },
  ];
}

function unusedExceptions(files: readonly FileSize[], exceptions: readonly LongFile[]): Finding[] {
  return exceptions
    .filter(({ path }) => !files.some((file) => file.path === path && file.lines > maxLines))
    .map(({ path }) => ({
      file: path,
      problem: `has an entry in the list of long files, but no more than ${maxLines} lines`,
      fix: "remove the entry from scripts/rules/sizes.ts",
    }));
}

function depthFindings({ path }: FileSize): Finding[] {
  const depth = path.split("/").length - 3;
  if (depth <= maxDepth) return [];
  return [{ file: path, problem: `lies ${depth} deep below src, ${maxDepth} are allowed`, fix: "flatten its folders" }];
}

function folderFindings(files: readonly FileSize[]): Finding[] {
  const counts = new Map<string, number>();
  for (const { path } of files) {
    if (isTest(path)) continue;
    counts.set(dirname(path), (counts.get(dirname(path)) ?? 0) + 1);
  }
  return [...counts]
    .filter(([, count]) => count > maxFilesInFolder)
    .map(([file, count]) => ({
      file,
      problem: `${count} source files, ${maxFilesInFolder} are allowed`,
      fix: "merge what has one caller, or give a part that stands alone its own folder",
    }));
}
