import { execFileSync } from "node:child_process";

/** What the program prints on stdout, without white space at its ends; undefined when it is not there or fails. */
export function attempt(program: string, args: readonly string[]): string | undefined {
  try {
    return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return undefined;
  }
}
