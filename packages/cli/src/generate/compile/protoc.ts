import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { CompilerFault, CompilerInput, CompilerOutput } from "./compile-protos.ts";
import { characterColumn } from "./diagnostic.ts";
import { runProgram } from "./run-program.ts";

/** Compiles with protoc, which brings the files of google/protobuf itself. */
export async function compileWithProtoc(
  protoc: string,
  { folder, sources, signal }: CompilerInput,
): Promise<CompilerOutput> {
  // Beside the files, not among them. Their names go into a file, as a command line has an end; with ./, as flags begin with -.
  const scratch = await mkdtemp(`${folder}-protoc-`);
  try {
    const names = join(scratch, "names");
    await writeFile(names, sources.map((source) => `./${source.importPath}\n`).join(""));
    const output = join(scratch, "descriptors");
    const flags = [
      "--include_imports",
      "--include_source_info",
      "--error_format=gcc",
      `--descriptor_set_out=${output}`,
    ];
    const result = await runProgram(protoc, ["--proto_path=.", ...flags, `@${names}`], { cwd: folder, signal });
    if (result.exitCode === 0) return { descriptorSet: await readFile(output) };
    const texts = new Map(sources.map((source) => [source.importPath, source.text]));
    return { faults: protocFaults(result.stderr, texts), stderr: result.stderr };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** `a/b.proto:3:1: Import "c.proto" was not found or had errors.`, or the same without a place. */
const MESSAGE = /^(.+?\.proto):(?:(\d+):(\d+):)? (?!warning: )(.+)$/;
const IMPORT = /^Import "(.+)" was not found or had errors\.$/;
/** protoc counts bytes, and a tab as far as the next multiple of 8. */
const TAB_WIDTH = 8;
const EDITION = /^\s*edition\s*=/;

/** The faults in what protoc printed with `--error_format=gcc`; `texts` are those of the files by import path. */
export function protocFaults(stderr: string, texts: ReadonlyMap<string, string>): CompilerFault[] {
  const faults: CompilerFault[] = [];
  const unreadable = new Set<string>();
  for (const printed of stderr.split(/\r?\n/)) {
    const [, importPath, line, column, message] = MESSAGE.exec(printed) ?? [];
    const text = texts.get(importPath);
    if (text === undefined || unreadable.has(importPath)) continue;
    const fault = faultAt(importPath, text, Number(line ?? 1), Number(column ?? 1), message);
    if (fault === undefined) continue;
    // All that follows in such a file is the same fault again.
    if (fault.hint !== undefined) unreadable.add(importPath);
    const missing = IMPORT.exec(message)?.[1];
    if (missing === undefined || !texts.has(missing)) faults.push(fault);
  }
  return faults;
}

function faultAt(importPath: string, text: string, line: number, byteColumn: number, message: string): CompilerFault {
  const before = text.split(/\r?\n/);
  const edition =
    line === 1 || EDITION.test(before[line - 1] ?? "") ? before.findIndex((each) => EDITION.test(each)) : -1;
  if (edition >= 0 && /top-level statement|edition/i.test(message)) {
    const hint = "This protoc may be too old for the edition: take a newer one, or --compiler buf.";
    return { importPath, line: edition + 1, column: 1, endColumn: 8, message, hint, isMissingImport: false };
  }
  const shown = before[line - 1] ?? "";
  const column = characterColumn(shown, byteColumn, TAB_WIDTH);
  const token =
    /^(?:[\w.]+|"[^"]*"|'[^']*')/u.exec(
      Array.from(shown)
        .slice(column - 1)
        .join(""),
    )?.[0] ?? "";
  const endColumn = column + Math.max(1, Array.from(token).length);
  return { importPath, line, column, endColumn, message, isMissingImport: IMPORT.test(message) };
}
