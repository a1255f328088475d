import { spawn } from "node:child_process";
import { root } from "./repository.ts";

/** How a program ended. */
export interface Ended {
  /** Exit code; 128 and more for a signal, 124 when it ran out of time, 127 when it could not be started. */
  readonly code: number;
  /** stdout and stderr as they came. */
  readonly output: string;
  readonly stdout: string;
}

/** How to run a program. */
export interface RunOptions {
  /** Default: the repository's folder. */
  readonly cwd?: string;
  /** Default 10 minutes; then the program is killed. */
  readonly timeoutMs?: number;
}

/** Runs a program of PATH (node_modules/.bin stands first in it) to its end and keeps what it printed. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const { cwd = root, timeoutMs = 600_000 } = options;
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    let stdout = "";
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      output += `\nkilled after ${timeoutMs / 1000} s\n`;
      child.kill("SIGKILL");
    }, timeoutMs);
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      output += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    child.on("error", (error) => {
      clearTimeout(timer);
      resolve({ code: 127, output: `${error.message}\n`, stdout });
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code: isLate ? 124 : (code ?? 128), output, stdout });
    });
  });
}
