import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { CompilerFault, CompilerInput, CompilerOutput } from "./compile-protos.ts";
import { characterColumn } from "./diagnostic.ts";
import { programOnPath, runProgram } from "./run-program.ts";

/** buf talks to its registry only when told to; a proxy that nobody answers at makes sure of it. */
const NOBODY = "http://127.0.0.1:9";
const NO_NETWORK = { HTTP_PROXY: NOBODY, HTTPS_PROXY: NOBODY, NO_PROXY: "", no_proxy: "" };

/** The packages that bring the binary, by Node's words for platform and processor. */
const PACKAGES: Readonly<Record<string, string>> = {
  "darwin arm64": "buf-darwin-arm64",
  "darwin x64": "buf-darwin-x64",
  "linux arm": "buf-linux-armv7",
  "linux arm64": "buf-linux-aarch64",
  "linux x64": "buf-linux-x64",
  "win32 arm64": "buf-win32-arm64",
  "win32 x64": "buf-win32-x64",
};

/**
 * The binary that @bufbuild/buf brought for this platform, else a `buf` on PATH, else undefined. Called directly, not through
 * the package's script: that would start a Node to start buf.
 */
export function findBuf(): string | undefined {
  // npm puts the package's script on PATH, also where it has no binary to start.
  return bufOfPackage() ?? programOnPath("buf", (path) => !/@bufbuild[\\/]buf[\\/]bin[\\/]buf$/.test(path));
}

/**
 * Compiles with buf in a folder that holds the files and nothing else: no buf.yaml of the user, no lint rules, no registry, and no
 * cache in a home folder, which not every container has.
 */
export async function compileWithBuf(buf: string, { folder, sources, signal }: CompilerInput): Promise<CompilerOutput> {
  const args = ["build", "--as-file-descriptor-set", "--error-format", "json", "--output", "-"];
  const cache = await mkdtemp(`${folder}-buf-`);
  try {
    const result = await runProgram(buf, args, { cwd: folder, env: { ...NO_NETWORK, BUF_CACHE_DIR: cache }, signal });
    if (result.exitCode === 0) return { descriptorSet: result.stdout };
    const texts = new Map(sources.map((source) => [source.importPath, source.text]));
    return { faults: bufFaults(result.stderr, texts), stderr: result.stderr };
  } finally {
    await rm(cache, { recursive: true, force: true });
  }
}

function bufOfPackage(): string | undefined {
  const name = PACKAGES[`${process.platform} ${process.arch}`];
  if (name === undefined) return undefined;
  const program = process.platform === "win32" ? "buf.exe" : "buf";
  try {
    const script = createRequire(import.meta.url).resolve("@bufbuild/buf/package.json");
    return existing(() => createRequire(script).resolve(`@bufbuild/${name}/bin/${program}`), downloaded(script, name));
  } catch {
    return undefined;
  }
}

/** Where the package's install script puts the binary when the optional package is not there. */
function downloaded(script: string, name: string): string {
  const program = process.platform === "win32" ? "buf.exe" : "buf";
  return join(dirname(script), `downloaded-@bufbuild-${name}-${program}`);
}

function existing(resolve: () => string, otherwise: string): string | undefined {
  try {
    return resolve();
  } catch {
    return existsSync(otherwise) ? otherwise : undefined;
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

/** The faults in what buf printed with `--error-format json`; `texts` are those of the files by import path. */
export function bufFaults(stderr: string, texts: ReadonlyMap<string, string>): CompilerFault[] {
  return stderr.split("\n").flatMap((printed) => {
    const found = parseMessage(printed);
    if (found?.path === undefined) return [];
    const { path: importPath, start_line: line = 1, message } = found;
    const text = texts.get(importPath)?.split(/\r?\n/)[line - 1] ?? "";
    const column = characterColumn(text, found.start_column ?? 1, 1);
    const endColumn = found.end_line === line ? characterColumn(text, found.end_column ?? 1, 1) : undefined;
    const isMissingImport = message.includes("file does not exist");
    return { importPath, line, column, endColumn, message, isMissingImport };
  });
}

function parseMessage(line: string): BufMessage | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
