import { readdirSync, readFileSync, writeFileSync } from "node:fs";

/** Forgets the peak of a process's RSS so far; false where the system can't (anything but Linux). */
export function clearPeak(pid: number): boolean {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, "5");
    return true;
  } catch {
    return false;
  }
}

/** The peak of its RSS since then, in bytes. */
export function peakOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmHWM:\s*([0-9]+) kB/.exec(status)?.[1] ?? Number.NaN) * 1024;
}

/** CPU time that the first thread of a process has used, the one with the event loop, in ms; NaN where the system does not tell. */
export function loopCpuMs(pid: number): number {
  try {
    // proc(5): time on a CPU in ns, time waiting for one, and how often.
    return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "latin1").split(" ")[0]) / 1e6;
  } catch {
    return Number.NaN;
  }
}

/** Descriptors that a process has open; NaN where the system does not tell. */
export function openDescriptors(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return Number.NaN;
  }
}
