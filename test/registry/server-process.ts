import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** How a server is run. */
export interface ServerPlan {
  /** Path of the program. */
  readonly program: string;
  /** `folder` is the server's own for its data; it stays the same over restarts. */
  args(folder: string): readonly string[];
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Resolves to true once the server does its work; asked each 50 ms until then. A rejection counts as not yet. */
  isReady(): Promise<boolean>;
  /** Longest wait for that, in ms. Default 30,000. */
  readonly readyWithinMs?: number;
}

const DEFAULT_READY_MS = 30_000;
const LOOK_MS = 50;
/** After SIGTERM; then SIGKILL. */
const STOP_MS = 5000;
/** End of what it printed that an error shows. */
const LOG_CHARS = 4000;

const running = new Set<ServerProcess>();
process.on("exit", () => {
  for (const server of running) server.signal("SIGKILL");
});

/** A real registry as a child process with a data folder of its own. It ends with this process at the latest. */
export class ServerProcess {
  readonly folder: string;
  readonly #plan: ServerPlan;
  #process: ChildProcess | null = null;
  #log = "";

  private constructor(plan: ServerPlan, folder: string) {
    this.#plan = plan;
    this.folder = folder;
  }

  /** Starts it, and resolves when it is ready. Rejects with the end of its log when it ends or takes too long. */
  static async start(plan: ServerPlan): Promise<ServerProcess> {
    const server = new ServerProcess(plan, await mkdtemp(join(tmpdir(), "bowline-registry-")));
    try {
      await server.start();
    } catch (error) {
      await server.remove();
      throw error;
    }
    return server;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.#process !== null;
  }

  /** The end of what it has printed. */
  get log(): string {
    return this.#log;
  }

  /** Starts it again with what is in its folder; nothing happens while it runs. */
  async start(): Promise<void> {
    if (this.#process !== null) return;
    const { program, args, env } = this.#plan;
    const child = spawn(program, args(this.folder), {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#process = child;
    running.add(this);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.#log = (this.#log + text).slice(-LOG_CHARS);
      });
    }
    child.on("error", (error) => {
      this.#log += error.message;
      this.#ended(child);
    });
    child.on("exit", () => this.#ended(child));
    await this.#ready(child);
  }

  /** Ends it, in order or by the signal given, and keeps its folder; nothing happens when it does not run. */
  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    const child = this.#process;
    if (child === null) return;
    const exited = once(child, "exit");
    // A process that stands still gets no SIGTERM.
    this.signal("SIGCONT");
    this.signal(signal);
    const timer = setTimeout(() => this.signal("SIGKILL"), STOP_MS);
    await exited;
    clearTimeout(timer);
  }

  /** Sends a signal, such as SIGSTOP and SIGCONT; nothing happens when it does not run. */
  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  /** Ends it and removes its folder. */
  async remove(): Promise<void> {
    await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  async #ready(child: ChildProcess): Promise<void> {
    const { program, isReady, readyWithinMs = DEFAULT_READY_MS } = this.#plan;
    const end = performance.now() + readyWithinMs;
    while (!(await isReady().catch(() => false))) {
      if (this.#process !== child) throw new Error(`${program} ended before it was ready:\n${this.#log}`);
      if (performance.now() > end)
        throw new Error(`${program} was not ready within ${readyWithinMs} ms:\n${this.#log}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  #ended(child: ChildProcess): void {
    if (this.#process !== child) return;
    this.#process = null;
    running.delete(this);
  }
}

/** Ports of 127.0.0.1 that are free now; all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers: Server[] = [];
  for (let i = 0; i < count; i++) {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    servers.push(server);
  }
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
