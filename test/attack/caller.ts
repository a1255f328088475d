import { fileURLToPath } from "node:url";
import { Child } from "../peers/child.ts";
import { cpuMicroseconds, residentBytes } from "../peers/process-usage.ts";
import type { Misdeeds } from "./reason-verdict.ts";

/** Honest calls between two marks. */
export interface Mark {
  readonly ok: number;
  readonly failed: number;
  readonly failures: readonly string[];
  readonly ms: number;
  readonly unhandled: number;
  readonly p99Ms: number;
  /** Calls that are begun each second; as many end when all is well. */
  readonly pace: number;
}

/** How calls to an attacker are made. */
export interface CallHow {
  readonly timeoutMs: number;
  /** Options of `createClient`, given as JSON. */
  readonly options?: object;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** How a call to an attacker ended. */
export interface CallEnd {
  readonly code: number;
  readonly text: string;
}

const PROGRAM = fileURLToPath(new URL("./victims/caller.ts", import.meta.url));

/** A Bowline client in a process of its own: the honest one beside an attacker, and the one that is attacked by a server. */
export class Caller implements AsyncDisposable {
  readonly #child: Child;
  readonly #pid: number;

  private constructor(child: Child, pid: number) {
    this.#child = child;
    this.#pid = pid;
  }

  static async start(): Promise<Caller> {
    const child = new Child({ command: process.execPath, args: ["--expose-gc", PROGRAM] });
    return new Caller(child, Number((await child.next("ready")).pid));
  }

  /** Begins honest calls at a fixed rate, until the end. */
  startLoad(target: string, options: object = {}): void {
    this.#child.send({ start: target, options });
  }

  /** Makes so many honest calls as fast as they go; after `startLoad`. */
  async burst(calls: number): Promise<void> {
    const line = this.#child.next("burst");
    this.#child.send({ burst: calls });
    await line;
  }

  /** Honest calls that have ended since the last mark. */
  async mark(): Promise<Mark> {
    const line = this.#child.next("marked");
    this.#child.send({ mark: true });
    const { marked, p99Ms } = await line;
    return { ...(marked as Mark), p99Ms: Number(p99Ms) };
  }

  /** Makes `count` calls of Echo.Unary to a server and resolves when all have ended. One attempt each, no retries. */
  async call(target: string, count: number, how: CallHow): Promise<readonly CallEnd[]> {
    const line = this.#child.next("called", how.timeoutMs);
    this.#child.send({ call: { target, count, ...how } });
    return ((await line).called as { ends: CallEnd[] }).ends;
  }

  /** What servers that attacked it did wrong, since its start. */
  async misdeeds(): Promise<Misdeeds> {
    const line = this.#child.next("report");
    this.#child.send({ report: true });
    return (await line).report as Misdeeds;
  }

  /** CPU time it has used, in ms; NaN where the system does not tell. */
  get cpuMs(): number {
    return (cpuMicroseconds(this.#pid) ?? Number.NaN) / 1000;
  }

  /** Memory after a collection of garbage. */
  memory(): Promise<{ readonly rssBytes: number; readonly heapBytes: number }> {
    return this.#child.memory();
  }

  /** Memory as it is. */
  get residentBytes(): number {
    return residentBytes(this.#pid) ?? Number.NaN;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stop();
  }
}
