import { execFile } from "node:child_process";
import { accessSync, constants, realpathSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { CommandError } from "../../command-error.ts";

/** How a run of a program ended. */
export interface ProgramResult {
  readonly exitCode: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Larger than any descriptor set; the default of 1 MiB is not. */
const MAX_OUTPUT_BYTES = 1024 * 1024 * 1024;

/** How a program is run. */
export interface ProgramOptions {
  readonly cwd: string;
  /** Set on top of this process's own. */
  readonly env?: Readonly<Record<string, string>>;
  /** Ends the program; the promise rejects with an AbortError then. */
  readonly signal?: AbortSignal | undefined;
}

/** Runs a program to its end. Throws a CommandError when it can't be started or a signal ended it. */
export function runProgram(file: string, args: readonly string[], options: ProgramOptions): Promise<ProgramResult> {
  return new Promise((resolve, reject) => {
    const { cwd, env, signal } = options;
    const settings = { cwd, encoding: "buffer", env: { ...process.env, ...env }, maxBuffer: MAX_OUTPUT_BYTES, signal };
    execFile(file, args, settings as typeof settings & { encoding: "buffer" }, (error, stdout, stderr) => {
      if (error === null || typeof error.code === "number") {
        resolve({ exitCode: Number(error?.code ?? 0), stdout, stderr: stderr.toString("utf8") });
      } else if (signal?.aborted === true) {
        reject(error);
      } else {
        reject(new CommandError(`${file} could not be run: ${error.message}`));
      }
    });
  });
}

/**
 * The program of this name in the folders of PATH, absolute, or undefined; one that `isWanted` is false for is passed over. It is
 * given the path behind all links.
 */
export function programOnPath(name: string, isWanted: (realPath: string) => boolean = () => true): string | undefined {
  const file = process.platform === "win32" ? `${name}.exe` : name;
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  return folders.map((folder) => join(folder, file)).find((path) => isProgram(path) && isWanted(realpathSync(path)));
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
