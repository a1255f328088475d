import { createRequire } from "node:module";
import { join, relative } from "node:path";
import { CommandError } from "../command-error.ts";
import type { Terminal } from "../terminal.ts";
import { type DiagnosticError, renderDiagnostic } from "./compile/diagnostic.ts";
import type { OutputState } from "./output-folder.ts";

/** How results are shown. */
export interface ResultOptions {
  /** Paths are shown relative to it. */
  readonly cwd: string;
  readonly check?: boolean | undefined;
  readonly json?: boolean | undefined;
}

/** Prints what was done, or with `check` would be. Throws a CommandError when a check failed. */
export function showResults(results: readonly OutputState[], options: ResultOptions, terminal: Terminal): void {
  const outputs = results.map(({ folder, files }) => ({ folder: relative(options.cwd, folder) || ".", files }));
  if (options.json === true) terminal.write(`${jsonOf(outputs)}\n`);
  else for (const { folder, files } of outputs) showTouched(folder, files, terminal);
  const stale = outputs.filter(({ files }) => touched(files).length > 0);
  if (options.check === true && stale.length > 0) {
    const count = stale.reduce((sum, { files }) => sum + touched(files).length, 0);
    throw new CommandError(
      `${counted(count)} of ${stale.map(({ folder }) => folder).join(" and ")} not up to date`,
      "Run bowline generate and commit the result.",
    );
  }
  if (options.json === true) return;
  for (const { folder, files } of outputs) {
    const present = files.filter((file) => file.state !== "gone");
    const unchanged = present.filter((file) => file.state === "unchanged");
    terminal.write(`${counted(present.length)} in ${folder}, ${unchanged.length} unchanged\n`);
  }
  hintAtMissingPackages(results[0].folder, terminal);
}

/** Prints the faults with their lines; the error that is returned counts them. */
export function showDiagnostics(error: DiagnosticError, terminal: Terminal): CommandError {
  for (const diagnostic of error.diagnostics) {
    const source = error.sources.get(diagnostic.file) || undefined;
    const paint = { error: terminal.paintError, faint: terminal.paintFaint };
    terminal.writeError(renderDiagnostic(diagnostic, source, paint));
  }
  const count = error.diagnostics.length;
  return new CommandError(`${count === 1 ? "1 error" : `${count} errors`}; nothing was written`);
}

function touched(files: OutputState["files"]): OutputState["files"] {
  return files.filter((file) => file.state !== "unchanged");
}

function showTouched(folder: string, files: OutputState["files"], terminal: Terminal): void {
  for (const file of touched(files)) terminal.item(file.state, join(folder, file.path));
}

function jsonOf(outputs: readonly OutputState[]): string {
  const plain = outputs.map(({ folder, files }) => ({
    folder,
    files: files.map(({ path, state }) => ({ path, state })),
  }));
  return JSON.stringify({ outputs: plain }, undefined, 2);
}

function counted(count: number): string {
  return count === 1 ? "1 file" : `${count} files`;
}

/** The code that was just written is of no use without the packages it imports. */
function hintAtMissingPackages(folder: string, terminal: Terminal): void {
  const require = createRequire(join(folder, "index.js"));
  const packages = ["bowline", "@bufbuild/protobuf"];
  const missing = packages.filter((name) => {
    try {
      return require.resolve(`${name}/${name === "bowline" ? "codegen" : "codegenv2"}`) === "";
    } catch {
      return true;
    }
  });
  if (missing.length === 0) return;
  terminal.error(
    `The generated code imports ${missing.join(" and ")}, not found from here.`,
    `Run: npm install ${missing.join(" ")}`,
  );
}
