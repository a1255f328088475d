import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import { CommandError } from "../../command-error.ts";

/** How a run of buf ended. */
export interface BufResult {
  readonly exitCode: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Larger than any descriptor set; the default of 1 MiB is not. */
const MAX_OUTPUT_BYTES = 1024 * 1024 * 1024;

/** buf talks to its registry only when told to; a proxy that nobody answers at makes sure of it. */
const NOBODY = "http://127.0.0.1:9";
const NO_NETWORK = { HTTP_PROXY: NOBODY, HTTPS_PROXY: NOBODY, NO_PROXY: "", no_proxy: "" };

/** Runs the compiler that came with @bufbuild/buf in `cwd`, without network. */
export function runBuf(args: readonly string[], cwd: string): Promise<BufResult> {
  return new Promise((resolve, reject) => {
    const options = {
      cwd,
      encoding: "buffer",
      env: { ...process.env, ...NO_NETWORK },
      maxBuffer: MAX_OUTPUT_BYTES,
    } as const;
    execFile(process.execPath, [bufPath(), ...args], options, (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== "number") {
        reject(
          new CommandError(`buf could not be run: ${error.message}`, "Install it again: npm install @bufbuild/buf"),
        );
        return;
      }
      resolve({ exitCode: error === null ? 0 : Number(error.code), stdout, stderr: stderr.toString("utf8") });
    });
  });
}

/**
 * Folders of the modules that a buf.yaml (or buf.work.yaml) in `folder` lists, absolute.
 * Its `deps` are left alone: they would have to be downloaded.
 */
export async function bufModuleFolders(folder: string): Promise<string[]> {
  const result = await runBuf(["config", "ls-modules", "--format", "path"], folder);
  if (result.exitCode !== 0) {
    throw new CommandError(`buf can't read its configuration in ${folder}: ${result.stderr.trim()}`);
  }
  const paths = result.stdout
    .toString("utf8")
    .split("\n")
    .filter((line) => line !== "");
  return paths.map((path) => join(folder, path));
}

function bufPath(): string {
  try {
    return createRequire(import.meta.url).resolve("@bufbuild/buf/bin/buf");
  } catch {
    throw new CommandError("the compiler for .proto files is not installed", "Install it: npm install @bufbuild/buf");
  }
}
