import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join, relative, resolve } from "node:path";
import { CommandError } from "../command-error.ts";
import type { GenerateFlags } from "../commands/generate.ts";
import type { Terminal } from "../terminal.ts";
import { compileProtos } from "./compile/compile-protos.ts";
import { DiagnosticError, renderDiagnostic } from "./compile/diagnostic.ts";
import { findProtoSources, type ProtoSources } from "./compile/proto-sources.ts";
import { generateFiles, type TargetFile } from "./emit/generate-files.ts";
import { loadPluginRuntime } from "./emit/plugin-runtime.ts";
import { importExtensionFor } from "./import-extension.ts";
import { compareOutput, type OutputFile, writeOutput } from "./output-folder.ts";

/** The flags, and what they are relative to. */
export interface GenerateOptions extends GenerateFlags {
  /** .proto files and folders; empty: those of the project. */
  readonly paths: readonly string[];
  /** The folder that all paths are relative to. */
  readonly cwd: string;
}

/** What `bowline generate` did, or with `check` would do. */
export interface GenerateResult {
  /** Absolute. */
  readonly folder: string;
  readonly files: readonly OutputFile[];
}

/** Generates and tells the terminal about it. Throws a CommandError when nothing could be generated or a check failed. */
export async function runGenerate(options: GenerateOptions, terminal: Terminal): Promise<void> {
  const result = await generate(options).catch((error: unknown) => {
    throw error instanceof DiagnosticError ? showDiagnostics(error, terminal) : error;
  });
  showResult(result, options, terminal);
}

/**
 * Generates code from .proto files. Nothing is written unless all of them compile.
 *
 * Throws a DiagnosticError for faults in the files and a CommandError for everything else that the user can mend.
 */
export async function generate(options: GenerateOptions): Promise<GenerateResult> {
  const folder = resolve(options.cwd, options.out ?? defaultFolder(options.cwd));
  const protos = await findProtoSources({ cwd: options.cwd, paths: options.paths, include: options.include ?? [] });
  // Loading takes as long as compiling and blocks this process, not buf's.
  const [descriptorSet, runtime] = await compileProtos(protos, options.cwd, loadPluginRuntime);
  const importExtension = options.importExtension ?? importExtensionFor(folder);
  const texts = generateFiles({ descriptorSet, targets: targetsOf(protos, options.cwd), importExtension }, runtime);
  const files = await compareOutput(folder, texts, options.clean === true);
  if (options.check !== true) await writeOutput(folder, files);
  return { folder, files };
}

function targetsOf(protos: ProtoSources, cwd: string): Map<string, TargetFile> {
  const targets = protos.sources.filter((source) => source.isTarget);
  return new Map(targets.map(({ importPath, file, text }) => [importPath, { shown: relative(cwd, file), text }]));
}

function defaultFolder(cwd: string): string {
  return existsSync(join(cwd, "src")) ? join("src", "gen") : "gen";
}

function showDiagnostics(error: DiagnosticError, terminal: Terminal): CommandError {
  for (const diagnostic of error.diagnostics) {
    const source = error.sources.get(diagnostic.file);
    terminal.writeError(
      renderDiagnostic(diagnostic, source, { error: terminal.paintError, faint: terminal.paintFaint }),
    );
  }
  const count = error.diagnostics.length;
  return new CommandError(`${count === 1 ? "1 error" : `${count} errors`}; nothing was written`);
}

function showResult(result: GenerateResult, options: GenerateOptions, terminal: Terminal): void {
  const shown = relative(options.cwd, result.folder) || ".";
  const touched = result.files.filter((file) => file.state !== "unchanged");
  if (options.json === true) terminal.write(`${jsonOf(result, shown)}\n`);
  else for (const file of touched) terminal.item(file.state, join(shown, file.path));
  if (options.check === true && touched.length > 0) {
    throw new CommandError(
      `${counted(touched.length)} of ${shown} not up to date`,
      "Run bowline generate and commit the result.",
    );
  }
  if (options.json === true) return;
  const unchanged = result.files.length - touched.length;
  terminal.write(`${counted(result.files.length)} in ${shown}, ${unchanged} unchanged\n`);
  hintAtMissingPackages(result.folder, terminal);
}

function jsonOf(result: GenerateResult, shown: string): string {
  const files = result.files.map(({ path, state }) => ({ path, state }));
  return JSON.stringify({ folder: shown, files }, undefined, 2);
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
