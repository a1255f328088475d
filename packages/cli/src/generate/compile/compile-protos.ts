import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { CommandError } from "../../command-error.ts";
import { runBuf } from "./buf.ts";
import { type Diagnostic, DiagnosticError } from "./diagnostic.ts";
import type { ProtoSource, ProtoSources } from "./proto-sources.ts";

/**
 * Compiles the files with buf and returns an encoded google.protobuf.FileDescriptorSet with comments, imports first.
 *
 * buf sees a folder of its own with just these files: no buf.yaml of the user, no lint rules, no registry.
 * Faults in the files end in a {@link DiagnosticError} with paths relative to `cwd`.
 * `meanwhile` is called while buf works, and what it returns is handed on.
 */
export async function compileProtos<T>(
  protos: ProtoSources,
  cwd: string,
  meanwhile: () => T,
): Promise<[Uint8Array, T]> {
  const folder = await mkdtemp(join(tmpdir(), "bowline-generate-"));
  try {
    for (const source of protos.sources) {
      const copy = join(folder, source.importPath);
      await mkdir(dirname(copy), { recursive: true });
      await writeFile(copy, source.text);
    }
    const running = runBuf(["build", "--as-file-descriptor-set", "--error-format", "json", "--output", "-"], folder);
    const [result, other] = await Promise.all([running, Promise.resolve().then(meanwhile)]);
    if (result.exitCode === 0) return [result.stdout, other];
    throw compilerFault(result.stderr, protos, cwd);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** One line of `buf build --error-format json`. */
interface BufMessage {
  readonly path?: string;
  readonly start_line?: number;
  readonly start_column?: number;
  readonly end_line?: number;
  readonly end_column?: number;
  readonly message: string;
}

function compilerFault(stderr: string, protos: ProtoSources, cwd: string): Error {
  const files = new Map(protos.sources.map((source) => [source.importPath, source]));
  const diagnostics: Diagnostic[] = [];
  const texts = new Map<string, string>();
  for (const line of stderr.split("\n")) {
    const message = parseMessage(line);
    const source = files.get(message?.path ?? "");
    if (message === undefined || source === undefined) continue;
    const file = relative(cwd, source.file);
    texts.set(file, source.text);
    diagnostics.push(diagnosticOf(message, file, source, protos, cwd));
  }
  if (diagnostics.length > 0) return new DiagnosticError(diagnostics, texts);
  return new CommandError(`buf could not compile the .proto files: ${stderr.trim()}`);
}

function parseMessage(line: string): BufMessage | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function diagnosticOf(
  message: BufMessage,
  file: string,
  source: ProtoSource,
  protos: ProtoSources,
  cwd: string,
): Diagnostic {
  const line = message.start_line ?? 1;
  return {
    file,
    line,
    column: message.start_column ?? 1,
    endColumn: message.end_line === message.start_line ? message.end_column : undefined,
    message: message.message,
    hint: message.message.includes("file does not exist") ? importHint(source, line, protos, cwd) : undefined,
  };
}

function importHint(source: ProtoSource, line: number, protos: ProtoSources, cwd: string): string {
  const importPath = /["'](.+)["']/.exec(source.text.split("\n")[line - 1])?.[1] ?? "the file";
  const searched = protos.searched.slice(0, -1).map((folder) => JSON.stringify(relative(cwd, folder) || "."));
  return `Searched in ${searched.join(", ")}; name the folder that holds ${importPath} with --include <dir>.`;
}
