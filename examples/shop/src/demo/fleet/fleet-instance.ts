import { type ChildProcess, fork, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import type { ChannelReport, FromInstance, ToInstance } from "../../instance/report.ts";
import type { RunFolders } from "./run-folder.ts";
import { Statistics } from "./statistics.ts";

/** The services of the shop, in the order in which they are shown. */
export const SERVICES = ["storefront", "user", "order", "inventory", "payment"] as const;
export type ServiceName = (typeof SERVICES)[number];

/** A call takes so much longer at each instance: about what a database would take. */
const WORK_MS = "3";

/**
 * ```text
 *   starting ──► ready ◄──► frozen          (SIGSTOP, SIGCONT)
 *                  └── SIGTERM ──► draining ──► stopped
 *   from anywhere: SIGKILL ──► killed, ended by itself ──► crashed
 * ```
 */
export type InstanceState = "starting" | "ready" | "frozen" | "draining" | "stopped" | "killed" | "crashed";

/** Told of each change, with the state before. */
export type StateListener = (instance: FleetInstance, before: InstanceState) => void;

/** One process of the shop, as the demo sees it. */
export class FleetInstance {
  readonly service: ServiceName;
  readonly name: string;
  readonly logFile: string;
  readonly statistics: Statistics = new Statistics();
  /** Monotonic milliseconds. */
  readonly startedAt: number = performance.now();
  endedAt = 0;
  state: InstanceState = "starting";
  address = "";
  /** What its clients believe of those whom they call. */
  channels: readonly ChannelReport[] = [];
  readonly #child: ChildProcess;
  readonly #ready: Promise<boolean>;
  readonly #ended: Promise<void>;
  #resolveReady: (isReady: boolean) => void = () => {};
  readonly #onState: StateListener;
  #isReleased = false;
  #guard: ChildProcess | null = null;
  #guardEnded: Promise<void> = Promise.resolve();

  /** `registry` is the flag of that name. */
  constructor(service: ServiceName, name: string, registry: string, folders: RunFolders, onState: StateListener) {
    this.service = service;
    this.name = name;
    this.#onState = onState;
    this.logFile = join(folders.logs, `${name}.log`);
    const log = openSync(this.logFile, "a");
    const main = join(import.meta.dirname, "..", "..", service, "main.ts");
    const args = [
      "--name",
      name,
      "--namespace",
      folders.namespace,
      "--registry",
      registry,
      "--data",
      folders.data,
      "--work-ms",
      WORK_MS,
    ];
    // A session of its own: Ctrl-C in the terminal is the demo's business alone.
    this.#child = fork(main, args, { stdio: ["ignore", log, log, "ipc"], detached: true, execArgv: [] });
    closeSync(log);
    this.#child.send({ removeWhenAlone: folders.all } satisfies ToInstance);
    this.#child.on("message", (message: FromInstance) => this.#take(message));
    // A process that dies while it is told something; its end tells us.
    this.#child.on("error", () => {});
    this.#ready = new Promise((resolve) => (this.#resolveReady = resolve));
    this.#ended = new Promise((resolve) => this.#child.once("exit", () => resolve(this.#exited())));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get isAlive(): boolean {
    return this.endedAt === 0;
  }

  /** Resolves to true when it serves, to false when it has ended before. */
  ready(): Promise<boolean> {
    return this.#ready;
  }

  /** SIGKILL: gone without a word. */
  kill(): void {
    this.#become("killed");
    this.#child.kill("SIGKILL");
  }

  /** SIGTERM: it stops in order. */
  terminate(): void {
    this.#child.kill("SIGTERM");
  }

  /** SIGSTOP: it is there but does nothing, like a machine that swaps or a debugger at a breakpoint. */
  freeze(): void {
    if (this.state !== "ready") return;
    // A stopped process can't notice that the demo is gone. The guard can, and wakes it, also when the demo is killed.
    const script = 'trap "" INT TERM HUP; read -r _; kill -CONT "$1" 2>/dev/null';
    const guard = spawn("sh", ["-c", script, "sh", String(this.pid)], {
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
    });
    this.#guardEnded = new Promise((resolve) => guard.once("exit", () => resolve()));
    this.#guard = guard;
    this.#child.kill("SIGSTOP");
    this.#become("frozen");
  }

  /** Wakes a frozen one. Resolves when it runs again. */
  async thaw(): Promise<void> {
    this.#guard?.stdin?.end();
    this.#guard = null;
    await this.#guardEnded;
    if (this.state === "frozen") this.#become("ready");
  }

  /** Lets it go: it ends by itself, at once. Resolves when it has; it is killed if that takes longer than `patienceMs`. */
  async release(patienceMs: number): Promise<void> {
    this.#isReleased = true;
    await this.thaw();
    if (this.#child.connected) this.#child.disconnect();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), patienceMs);
    await this.#ended;
    clearTimeout(timer);
  }

  /** Resolves when the process is gone. */
  ended(): Promise<void> {
    return this.#ended;
  }

  #take(message: FromInstance): void {
    switch (message.kind) {
      case "ready":
        this.address = message.address;
        this.#resolveReady(true);
        return this.#become("ready");
      case "stopping":
        return this.#become("draining");
      case "report":
        this.channels = message.channels;
        this.statistics.add(message.methods, performance.now());
    }
  }

  #exited(): void {
    this.endedAt = performance.now();
    this.#resolveReady(false);
    void this.thaw();
    if (this.state !== "killed") this.#become(this.state === "draining" || this.#isReleased ? "stopped" : "crashed");
  }

  #become(state: InstanceState): void {
    const before = this.state;
    if (before === state) return;
    this.state = state;
    this.#onState(this, before);
  }
}
