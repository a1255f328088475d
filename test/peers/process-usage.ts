import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";

const HAS_PROC = existsSync("/proc/self/stat");

/** Where CPU times come from on this machine, for the report. */
export const CPU_TIME_SOURCE: "/proc/PID/stat" | "getrusage" = HAS_PROC ? "/proc/PID/stat" : "getrusage";

let ticksPerSecond = 0;
let pageBytes = 0;

/**
 * CPU time that a process has used in all its threads, user and system, in microseconds, in steps of one clock tick (10 ms).
 * Undefined where there is no /proc: ask the process itself.
 */
export function cpuMicroseconds(pid: number): number | undefined {
  if (!HAS_PROC) return undefined;
  ticksPerSecond ||= Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // Field 2 is the program's name in brackets and may hold spaces: utime and stime are the 12th and 13th behind it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[11]) + Number(fields[12])) * 1e6) / ticksPerSecond;
}

/** Physical memory of a process in bytes; undefined where there is no /proc. */
export function residentBytes(pid: number): number | undefined {
  if (!HAS_PROC) return undefined;
  pageBytes ||= Number(execFileSync("getconf", ["PAGESIZE"], { encoding: "utf8" }));
  return Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) * pageBytes;
}
