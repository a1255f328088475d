import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Child, type PeerLine } from "../peers/child.ts";
import type { LatencyWindow } from "./drift.ts";
import type { Sample } from "./samples.ts";

/** What the client has done so far. */
export interface ClientCounts {
  readonly calls: number;
  readonly cancelled: number;
  readonly connections: number;
  readonly wrong: number;
  readonly lastWrong: string;
}

/*
 * How Node is started for RSS to show what is held, and no leak to hide behind what is not:
 *
 * A message's buffers lie outside the heap. V8 frees them when it collects its young generation, each few seconds of this load when
 * that has its usual 64 MiB: up to 65 MB of dead buffers were seen, and glibc's malloc keeps much of their room when they are freed, in
 * steps that come at random (`malloc_trim` took 68 MB of 211 back). With a young generation of 3 MiB few are dead at a time.
 * Of a moment in which many calls waited, malloc gives back what has 16 KiB or more.
 */
const NODE_OPTIONS = ["--expose-gc", "--no-warnings", "--max-semi-space-size=1"];
const ENVIRONMENT = { MALLOC_ARENA_MAX: "1", MALLOC_MMAP_THRESHOLD_: "16384", MALLOC_TRIM_THRESHOLD_: "16384" };

/** A process of Bowline under test, and what was seen of it. */
export class SoakedProcess {
  readonly name: string;
  readonly child: Child;
  readonly samples: Sample[] = [];
  /** Of the client's calls. */
  readonly windows: LatencyWindow[] = [];
  /** Where it listens; empty for a client. */
  address = "";
  counts: ClientCounts = { calls: 0, cancelled: 0, connections: 0, wrong: 0, lastWrong: "" };
  #pid = 0;

  /** Begins to start `file`, beside this one. */
  constructor(name: string, file: string, args: readonly string[]) {
    this.name = name;
    const path = fileURLToPath(new URL(file, import.meta.url));
    this.child = new Child({ command: process.execPath, args: [...NODE_OPTIONS, path, ...args], env: ENVIRONMENT });
  }

  /** Resolves when it is ready. */
  async ready(): Promise<void> {
    const { addr, pid } = await this.child.next("ready");
    this.#pid = Number(pid);
    this.address = String(addr ?? "");
  }

  /** Adds one more sample, and of a client the latencies since the one before. `now` tells the ms since the start. */
  async sample(now: () => number): Promise<void> {
    const { rssBytes, heapBytes, externalBytes } = await this.child.memory();
    const handles = this.name === "client" ? await this.#count(now) : Number.NaN;
    const descriptors = descriptorsOf(this.#pid);
    this.samples.push({ atMs: now(), residentBytes: rssBytes, heapBytes, externalBytes, descriptors, handles });
  }

  async #count(now: () => number): Promise<number> {
    const line = this.child.next("calls");
    process.kill(this.#pid, "SIGUSR2");
    const { windows, handles, ...counts } = (await line) as PeerLine & ClientCounts & { windows: LatencyWindow[] };
    this.counts = counts;
    this.windows.push(...windows.map((each) => ({ ...each, kind: `client ${each.kind}`, atMs: now() })));
    return Number(handles);
  }
}

function descriptorsOf(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return Number.NaN;
  }
}
