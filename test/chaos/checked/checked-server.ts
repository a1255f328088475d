import { fileURLToPath } from "node:url";
import type { ServerOptions } from "bowline";
import type { Child } from "../../peers/child.ts";
import { type Launch, START_MS } from "./launch.ts";
import type { Resources } from "./resources.ts";

/** What a server process is told on its command line. */
export interface CheckedServerOptions {
  readonly id: string;
  /** Of `createServer`, as far as JSON has them. */
  readonly options?: ServerOptions;
}

/** What a server holds. */
export interface CheckedServerReport {
  /** Open HTTP/2 connections. */
  readonly connections: number;
  readonly unhandled: number;
  /** What it held before the first connection. */
  readonly baseline: Resources;
  readonly now: Resources;
}

const PROGRAM = fileURLToPath(new URL("./server.ts", import.meta.url));

/** A server of peer.v1.Echo in a process of its own; `log` is the file with the handlers that it began. */
export class CheckedServer {
  readonly address: string;
  readonly log: string;
  readonly #child: Child;

  private constructor(child: Child, address: string, log: string) {
    this.#child = child;
    this.address = address;
    this.log = log;
  }

  /** Starts it; resolves when it serves. */
  static async start(told: CheckedServerOptions, log: string, launch: Launch): Promise<CheckedServer> {
    const args = ["--no-warnings", PROGRAM, "--options", JSON.stringify({ ...told, log })];
    const child = launch({ command: process.execPath, args });
    return new CheckedServer(child, String((await child.next("ready", START_MS)).addr), log);
  }

  /** What it holds now. */
  async report(): Promise<CheckedServerReport> {
    const line = this.#child.next("report");
    this.#child.send({ report: true });
    return (await line).report as CheckedServerReport;
  }
}
