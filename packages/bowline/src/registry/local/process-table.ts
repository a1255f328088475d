import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/** Which process wrote something; a number alone is given to another process sooner or later. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it began, in the kernel's ticks since boot; empty where the system does not tell. */
  readonly startTime: string;
  /** Names the boot and the container in which `pid` means this process. */
  readonly pidSpace: string;
}

/** What can be said of another process. */
export interface ProcessTable {
  /** The process that asks. */
  readonly self: ProcessIdentity;
  /**
   * `running`, a stopped one too; `gone`, also if its number belongs to another by now or only its exit status is left;
   * `unseen` if it lives in another container or machine.
   *
   * Without `closely` only the number is looked up: one system call instead of reading a file.
   */
  state(process: ProcessIdentity, closely: boolean): "running" | "gone" | "unseen";
}

/** Largest process number on any supported system; zero and negative ones mean groups to `kill`. */
export const MAX_PID = 0x7fffffff;

/** The table of the machine, with `/proc` where there is one. */
export function systemProcessTable(): ProcessTable {
  const self = { pid: process.pid, startTime: readStat("self")?.startTime ?? "", pidSpace: pidSpace() };
  return {
    self,
    state(other, closely) {
      if (other.pidSpace !== self.pidSpace) return "unseen";
      if (!exists(other.pid)) return "gone";
      // On a system that tells no start times a number in use has to do; the heartbeat finds out the rest.
      if (!closely || self.startTime === "" || other.startTime === "") return "running";
      const stat = readStat(String(other.pid));
      return stat === undefined || stat.hasExited || stat.startTime !== other.startTime ? "gone" : "running";
    },
  };
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** proc_pid_stat(5): the name in parentheses may hold anything, so fields are counted behind the last one. */
function readStat(pid: string): { startTime: string; hasExited: boolean } | undefined {
  const text = readOrEmpty(() => readFileSync(`/proc/${pid}/stat`, "utf8"));
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [state, startTime] = [fields[0], fields[19]];
  return startTime === undefined ? undefined : { startTime, hasExited: state === "Z" || state === "X" };
}

function pidSpace(): string {
  const boot = readOrEmpty(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  const container = readOrEmpty(() => readlinkSync("/proc/self/ns/pid"));
  return boot === "" ? `host ${hostname()}` : `${boot} ${container}`;
}

function readOrEmpty(read: () => string): string {
  try {
    return read();
  } catch {
    return "";
  }
}
