import { cpus, loadavg, release, type } from "node:os";
import { attempt } from "../../../test/peers/attempt.ts";
import { canPin } from "../../../test/peers/pinning.ts";
import { CPU_TIME_SOURCE } from "../../../test/peers/process-usage.ts";

/** What a figure depends on besides the code. */
export interface Environment {
  readonly node: string;
  readonly cpu: string;
  readonly cores: number;
  readonly system: string;
  /** Commit of the repository, with `+` when files differ from it; empty outside a repository. */
  readonly commit: string;
  /** The server and the client each have a core of their own. */
  readonly pinned: boolean;
  /** Which process is where, or why not. */
  readonly placement: string;
  readonly cpuTimeSource: string;
  /** Load average of one minute before the first reading and after the last. */
  readonly loadBefore: number;
  loadAfter: number;
}

/** How a question measures, where that is not as most do it: a server on one core, a client on the other, CPU time from outside. */
export interface MeasuredBy {
  readonly placement?: string;
  readonly cpuTimeSource?: string;
}

/** Describes this machine now. `isPinned`: the question wants its processes bound to cores. */
export function describeEnvironment(isPinned: boolean, measuredBy: MeasuredBy = {}): Environment {
  const pinned = isPinned && canPin();
  return {
    node: process.version,
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    system: `${type()} ${release()}`,
    commit: describeCommit(),
    pinned,
    placement: pinned ? (measuredBy.placement ?? PINNED) : isPinned ? NOT_PINNED : "no process is bound to a core",
    cpuTimeSource: measuredBy.cpuTimeSource ?? CPU_TIME_SOURCE,
    loadBefore: loadAverage(),
    loadAfter: 0,
  };
}

const PINNED = "server on core 0, client on core 1";
const NOT_PINNED = "NOT pinned to cores: taskset or a second core is missing";

/** Load average of the last minute, to one hundredth. */
export function loadAverage(): number {
  return Math.round(loadavg()[0] * 100) / 100;
}

function describeCommit(): string {
  const commit = attempt("git", ["rev-parse", "--short", "HEAD"]);
  if (commit === undefined) return "";
  return attempt("git", ["status", "--porcelain", "--untracked-files=no"]) === "" ? commit : `${commit}+`;
}
