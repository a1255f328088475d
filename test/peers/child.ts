import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { canPin } from "./pinning.ts";
import { cpuMicroseconds, residentBytes } from "./process-usage.ts";

/** A command line. */
export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** False: it is not one of ours, what it prints on stdout is ignored. Default true. */
  readonly printsLines?: boolean;
}

/** One line that a peer program printed: an object with whatever it has to say. */
export type PeerLine = Readonly<Record<string, unknown>>;

/** Time that a program has to say what is waited for, beyond any load it was told to run. */
const PATIENCE_MS = 20_000;
/** End of what it wrote to stderr that an error shows. */
const STDERR_BYTES = 2000;

const running = new Set<Child>();
process.on("exit", () => {
  for (const child of running) child.kill();
});

/** A program in a process of its own that speaks JSON lines on stdin and stdout. It ends with this process at the latest. */
export class Child {
  readonly #program: Program;
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #waiting = new Map<string, { resolve: (line: PeerLine) => void; reject: (error: Error) => void }>();
  #stderr = "";

  /** Starts it, bound to a core when one is named and the system can do that. */
  constructor(program: Program, core?: number) {
    const { command, args, env } = program;
    const pinned =
      core !== undefined && canPin() ? ["taskset", "-c", String(core), command, ...args] : [command, ...args];
    this.#program = program;
    this.#process = spawn(pinned[0], pinned.slice(1), { env: { ...process.env, ...env }, stdio: "pipe" });
    running.add(this);
    this.#process.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_BYTES);
    });
    this.#process.stdin.on("error", () => {}); // it ended; `exit` says so
    this.#process.on("error", (error) => this.#ended(error.message));
    this.#process.on("exit", (code, signal) => this.#ended(`ended with ${signal ?? code}`));
    if (program.printsLines === false) this.#process.stdout.resume();
    else createInterface({ input: this.#process.stdout }).on("line", (line) => this.#read(line));
  }

  /** Waits for the next line that has `key`. One wait for each key at a time. Rejects when the program ends or stays silent. */
  next(key: string, withinMs = 0): Promise<PeerLine> {
    const { promise, resolve, reject } = Promise.withResolvers<PeerLine>();
    const timer = setTimeout(() => reject(this.#error(`said nothing about ${key}`)), PATIENCE_MS + withinMs);
    this.#waiting.set(key, { resolve, reject });
    if (this.#process.exitCode !== null) this.#ended(`ended with ${this.#process.exitCode}`);
    const line = promise.finally(() => clearTimeout(timer));
    // Who waits for several lines hears of the program's end by the first of them.
    line.catch(() => {});
    return line;
  }

  /** Writes a line to its stdin. */
  send(line: PeerLine): void {
    this.#process.stdin.write(`${JSON.stringify(line)}\n`);
  }

  /** CPU time it has used so far, in microseconds. */
  async cpuMicroseconds(): Promise<number> {
    const used = cpuMicroseconds(this.#process.pid ?? 0);
    if (used !== undefined) return used;
    const usage = this.next("cpu_seconds");
    this.#process.kill("SIGHUP");
    return Number((await usage).cpu_seconds) * 1e6;
  }

  /** Memory that it has now, in bytes, after it collected its garbage; NaN where it can't tell. */
  async memory(): Promise<{ readonly rssBytes: number; readonly heapBytes: number; readonly externalBytes: number }> {
    const line = this.next("heap_bytes");
    this.#process.kill("SIGHUP");
    const usage = await line;
    const rssBytes = residentBytes(this.#process.pid ?? 0) ?? Number(usage.rss_bytes ?? Number.NaN);
    const externalBytes = Number(usage.external_bytes ?? Number.NaN);
    return { rssBytes, heapBytes: Number(usage.heap_bytes), externalBytes };
  }

  /** Asks it to end and waits until it has; insists after 5 s. */
  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exited = once(this.#process, "exit");
    this.#process.kill("SIGTERM");
    const timer = setTimeout(() => this.kill(), 5000);
    await exited;
    clearTimeout(timer);
  }

  /** Ends it at once. */
  kill(): void {
    this.#process.kill("SIGKILL");
  }

  #read(text: string): void {
    let line: PeerLine;
    try {
      line = JSON.parse(text) as PeerLine;
    } catch {
      throw this.#error(`printed a line that is no JSON: ${text.slice(0, 200)}`);
    }
    for (const [key, waiter] of this.#waiting) {
      if (!(key in line)) continue;
      this.#waiting.delete(key);
      waiter.resolve(line);
    }
  }

  #ended(reason: string): void {
    running.delete(this);
    for (const waiter of this.#waiting.values()) waiter.reject(this.#error(reason));
    this.#waiting.clear();
  }

  #error(reason: string): Error {
    const { command, args } = this.#program;
    return new Error(`${[command, ...args].join(" ")} ${reason}\n${this.#stderr}`.trimEnd());
  }
}
