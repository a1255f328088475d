import { fileURLToPath } from "node:url";
import type { ServerOptions } from "bowline";
import { Child } from "../../peers/child.ts";
import { residentBytes } from "../../peers/process-usage.ts";
import { wallMs } from "../ledger/call-log.ts";
import type { ServerProcessOptions } from "../processes/options.ts";

/** What a server counted since it started; `longestBlockMs` since the last report. */
export interface ServerReport {
  readonly begun: number;
  readonly running: number;
  readonly cancelled: number;
  readonly producedBytes: number;
  readonly misbehaved: Readonly<Record<string, number>>;
  readonly connections: number;
  readonly unhandled: number;
  /** The longest time that its event loop was held up. */
  readonly longestBlockMs: number;
}

/** How a server process is started. */
export interface ChaosServerOptions extends Omit<ServerProcessOptions, "options"> {
  readonly options?: ServerOptions;
  /** More arguments for node, such as `--import`. */
  readonly nodeOptions?: readonly string[];
}

/** A busy machine needs long to start a process, beyond the time that any line may take. */
const START_MS = 40_000;
const PROGRAM = fileURLToPath(new URL("../processes/server.ts", import.meta.url));

/** A server of chaos.v1.Chaos in a process of its own. */
export class ChaosServer {
  readonly id: string;
  readonly address: string;
  readonly pid: number;
  /** When it was told to stop or was killed, see `wallMs`; 0 before. */
  leftAtMs = 0;
  readonly #child: Child;

  private constructor(child: Child, id: string, address: string, pid: number) {
    this.#child = child;
    this.id = id;
    this.address = address;
    this.pid = pid;
  }

  /** Starts it; resolves when it serves. */
  static async start({ nodeOptions = [], options, ...rest }: ChaosServerOptions): Promise<ChaosServer> {
    const told: ServerProcessOptions = { ...rest, options: { listen: "127.0.0.1:0", ...options } };
    const args = ["--expose-gc", "--no-warnings", ...nodeOptions, PROGRAM, "--options", JSON.stringify(told)];
    const child = new Child({ command: process.execPath, args });
    const { addr, pid } = await child.next("ready", START_MS);
    return new ChaosServer(child, rest.id, String(addr), Number(pid));
  }

  /** SIGTERM: it leaves in order. Resolves when the process has ended, after `withinMs` at the latest. */
  async leave(withinMs: number): Promise<void> {
    this.leftAtMs = wallMs();
    const exited = this.#child.next("exited", withinMs);
    process.kill(this.pid, "SIGTERM");
    await exited;
  }

  /** kill -9. */
  kill(): void {
    this.leftAtMs = wallMs();
    this.#child.kill();
  }

  /** SIGSTOP: the process is frozen, its connections stay. */
  freeze(): void {
    process.kill(this.pid, "SIGSTOP");
  }

  /** SIGCONT. */
  thaw(): void {
    process.kill(this.pid, "SIGCONT");
  }

  /** What it has counted. */
  async report(): Promise<ServerReport> {
    const line = this.#child.next("report");
    this.#child.send({ report: true });
    return (await line).report as ServerReport;
  }

  /** Memory after a collection of garbage. */
  memory(): Promise<{ readonly rssBytes: number; readonly heapBytes: number }> {
    return this.#child.memory();
  }

  /** Memory as it is. */
  get residentBytes(): number {
    return residentBytes(this.pid) ?? Number.NaN;
  }

  /** Ends the process at once, frozen or not. */
  async end(): Promise<void> {
    this.#child.kill();
    await this.#child.stop();
  }
}
