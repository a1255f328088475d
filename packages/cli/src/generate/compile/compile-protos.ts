import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { CommandError } from "../../command-error.ts";
import { fileError } from "../../file-error.ts";
import { compileWithBuf, findBuf } from "./buf.ts";
import { type Diagnostic, DiagnosticError } from "./diagnostic.ts";
import type { ProtoSource, ProtoSources } from "./proto-sources.ts";
import { compileWithProtoc } from "./protoc.ts";
import { programOnPath } from "./run-program.ts";

/** Which program compiles .proto files; `auto` is buf, or protoc where there is no buf. */
export type CompilerName = "auto" | "buf" | "protoc";

/** What a compiler is given. */
export interface CompilerInput {
  /** Holds all files below their import paths, and nothing else. */
  readonly folder: string;
  readonly sources: readonly ProtoSource[];
  readonly signal: AbortSignal | undefined;
}

/** A fault as the compiler told it. */
export interface CompilerFault {
  readonly importPath: string;
  /** From 1; columns in characters. */
  readonly line: number;
  readonly column: number;
  readonly endColumn?: number | undefined;
  readonly message: string;
  readonly hint?: string | undefined;
  /** The line is an import of a file that is not there. */
  readonly isMissingImport: boolean;
}

/** An encoded google.protobuf.FileDescriptorSet with comments, imports first; or what is wrong with the files. */
export type CompilerOutput =
  | { readonly descriptorSet: Uint8Array }
  | { readonly faults: readonly CompilerFault[]; readonly stderr: string };

/** How to compile. */
export interface CompileOptions {
  /** The user's folder, which paths in messages are relative to. */
  readonly cwd: string;
  readonly compiler: CompilerName;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Compiles the files and returns an encoded google.protobuf.FileDescriptorSet with comments, imports first.
 *
 * The compiler sees a folder of its own with just these files. Faults in them end in a {@link DiagnosticError} with paths
 * relative to `cwd`. `meanwhile` is called while the compiler works, and what it returns is handed on.
 */
export async function compileProtos<T>(
  protos: ProtoSources,
  options: CompileOptions,
  meanwhile: () => T,
): Promise<[Uint8Array, T]> {
  const compile = chooseCompiler(options.compiler);
  const folder = await mkdtemp(join(tmpdir(), "bowline-generate-")).catch((error) => {
    throw fileError("write", tmpdir(), error);
  });
  try {
    for (const source of protos.sources) await copy(source, folder);
    const running = compile({ folder, sources: protos.sources, signal: options.signal });
    const [output, other] = await Promise.all([running, Promise.resolve().then(meanwhile)]);
    if ("descriptorSet" in output) return [output.descriptorSet, other];
    throw compilerError(output.faults, output.stderr, protos, options.cwd);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function chooseCompiler(name: CompilerName): (input: CompilerInput) => Promise<CompilerOutput> {
  const buf = name === "protoc" ? undefined : findBuf();
  if (buf !== undefined) return (input) => compileWithBuf(buf, input);
  const protoc = name === "buf" ? undefined : programOnPath("protoc");
  if (protoc !== undefined) return (input) => compileWithProtoc(protoc, input);
  if (name === "protoc") {
    throw new CommandError(
      "there is no protoc on PATH",
      "Install protoc, or leave out --compiler: buf comes with Bowline.",
    );
  }
  const platform = `${process.platform} ${process.arch}`;
  throw new CommandError(
    `the compiler for .proto files is not installed: @bufbuild/buf has no binary for ${platform} here`,
    name === "buf"
      ? "Install it: npm install @bufbuild/buf"
      : "Install it (npm install @bufbuild/buf), put protoc on PATH, or give a compiled file: --descriptor-set <file>",
  );
}

async function copy(source: ProtoSource, folder: string): Promise<void> {
  const path = join(folder, source.importPath);
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, source.text);
  } catch (error) {
    throw fileError("write", path, error);
  }
}

function compilerError(faults: readonly CompilerFault[], stderr: string, protos: ProtoSources, cwd: string): Error {
  const files = new Map(protos.sources.map((source) => [source.importPath, source]));
  const diagnostics: Diagnostic[] = [];
  const texts = new Map<string, string>();
  for (const fault of faults) {
    const source = files.get(fault.importPath);
    if (source === undefined) continue;
    const file = relative(cwd, source.file);
    texts.set(file, source.text);
    const { line, column, endColumn, message } = fault;
    const hint = fault.isMissingImport ? importHint(source, fault, protos, cwd) : fault.hint;
    diagnostics.push({ file, line, column, endColumn, message, hint });
  }
  if (diagnostics.length > 0) return new DiagnosticError(diagnostics, texts);
  return new CommandError(`the .proto files do not compile: ${stderr.trim()}`);
}

/** Where an import was searched, or how the file that is probably meant is imported. */
function importHint(source: ProtoSource, { line, column }: CompilerFault, protos: ProtoSources, cwd: string): string {
  const statement = Array.from(source.text.split(/\r?\n/)[line - 1] ?? "").slice(column - 1);
  const importPath = /["']([^"']+)["']/.exec(statement.join(""))?.[1] ?? "the file";
  const meant = protos.sources.find((each) => each.importPath.endsWith(`/${importPath}`));
  if (meant !== undefined) return `There is ${relative(cwd, meant.file)}: import "${meant.importPath}".`;
  const searched = protos.searched.slice(0, -1).map((folder) => JSON.stringify(relative(cwd, folder) || "."));
  const hint = `Searched in ${searched.join(", ")}; name the folder that holds ${importPath} with --include <dir>.`;
  if (!protos.hasBufDependencies) return hint;
  return `${hint}\n  Nothing is fetched for deps of buf.yaml: buf export <dep> -o third_party, then --include third_party.`;
}
