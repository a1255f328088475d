import { Child, type PeerLine } from "../peers/child.ts";
import type { LatencyWindow } from "./drift.ts";

/** What grpc-go's clients do at the same time, each an open loop of so many calls a second. */
const LOADS: Readonly<Record<string, readonly string[]>> = {
  unary: ["-rate", "200"],
  compressed: ["-rate", "50", "-size", "20000", "-compression", "gzip"],
  serverStream: ["-rate", "50", "-method", "serverStream", "-messages", "30", "-size", "700"],
};
const CALLS_AT_ONCE = 16;

/** A client of grpc-go that calls a server of Bowline. */
export class GoLoad {
  readonly child: Child;
  readonly windows: LatencyWindow[] = [];
  /** Its last line, once the time is over. */
  readonly done: Promise<PeerLine>;

  constructor(program: string, kind: string, address: string, seconds: number, windowSeconds: number) {
    const args = ["-target", address, "-load", "-c", String(CALLS_AT_ONCE), "-warmup", "0s", "-d", `${seconds}s`];
    this.child = new Child({ command: program, args: [...args, "-every", `${windowSeconds}s`, ...LOADS[kind]] });
    this.done = this.child.next("load", seconds * 1000);
    void this.#read(`server ${kind}`, windowSeconds * 1000);
  }

  async #read(kind: string, windowMs: number): Promise<void> {
    try {
      for (;;) {
        const { t, ok, p99_ms } = await this.child.next("t", windowMs);
        this.windows.push({ kind, atMs: Number(t) * 1000, calls: Number(ok), p99Ms: Number(p99_ms) });
      }
    } catch {
      // It has ended; `done` says how.
    }
  }
}

/** Starts all of them. `folder` holds the program. */
export function startGoLoads(folder: string, address: string, seconds: number, windowSeconds: number): GoLoad[] {
  const program = `${folder}/grpcgo-client`;
  return Object.keys(LOADS).map((kind) => new GoLoad(program, kind, address, seconds, windowSeconds));
}
