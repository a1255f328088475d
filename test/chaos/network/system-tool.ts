import { spawnSync } from "node:child_process";

/** What may be said about {@link runTool}. */
export interface ToolOptions {
  /** Text for its stdin. Default: none. */
  readonly input?: string;
  /** Longest time that it may take, in ms. Default 20,000. */
  readonly patienceMs?: number;
}

/**
 * Runs a program of the system and gives what it prints on stdout. It blocks: `ip` takes some ms, and namespaces must go away in handlers
 * of `exit`, too.
 *
 * @throws Error with the command and its stderr when it fails, is not there or takes too long
 */
export function runTool(command: string, args: readonly string[], options: ToolOptions = {}): string {
  const { input = "", patienceMs = 20_000 } = options;
  const { error, status, signal, stdout, stderr } = spawnSync(command, args, {
    encoding: "utf8",
    input,
    timeout: patienceMs,
  });
  if (error === undefined && status === 0) return stdout;
  const why = error?.message ?? `ended with ${signal ?? status}: ${stderr.trim()}`;
  const fed = input === "" ? "" : ` <<< ${JSON.stringify(input)}`;
  throw new Error(`${[command, ...args].join(" ")}${fed} ${why}`);
}
