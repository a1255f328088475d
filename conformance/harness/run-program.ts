import { spawn } from "node:child_process";

/** How a program ended. */
export interface ProgramEnd {
  /** 0 = well; null when a signal or the time limit ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end; after `timeoutMs` it is killed. Rejects when it can't be started. */
export function runProgram(command: string, args: readonly string[], timeoutMs: number): Promise<ProgramEnd> {
  const { promise, resolve, reject } = Promise.withResolvers<ProgramEnd>();
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], timeout: timeoutMs, killSignal: "SIGKILL" });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  child.on("error", reject);
  child.on("close", (code) => {
    process.off("exit", kill);
    resolve({ code, stdout, stderr });
  });
  return promise;
}

/** The last lines of what a program wrote, to say why it failed. */
export function tail(text: string, lines = 8): string {
  return text.trim().split("\n").slice(-lines).join("\n");
}
