import { readdirSync } from "node:fs";

/** What a process holds. */
export interface Resources {
  /** Open file descriptors; 0 where the system can't say. */
  readonly descriptors: number;
  /** Sockets and servers of node. */
  readonly sockets: number;
  readonly timers: number;
}

/** What this process holds now. */
export function resourcesNow(): Resources {
  const names = process.getActiveResourcesInfo();
  const count = (isMeant: (name: string) => boolean): number => names.filter(isMeant).length;
  return {
    descriptors: descriptors(),
    sockets: count((name) => /^(TCP|TLS)/.test(name)),
    timers: count((name) => name === "Timeout"),
  };
}

function descriptors(): number {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return 0;
  }
}
