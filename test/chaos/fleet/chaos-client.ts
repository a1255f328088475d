import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Child } from "../../peers/child.ts";
import { CallLog } from "../ledger/call-log.ts";
import type { ClientProcessOptions, Load, Meeting } from "../processes/options.ts";

/** Unary calls that ended between two marks. */
export interface Mark {
  readonly ok: number;
  readonly failed: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Calls of all kinds that have not ended. */
  readonly open: number;
  /** The longest time that its event loop was held up. */
  readonly longestBlockMs: number;
}

/** An endpoint as the client sees it. */
export interface EndpointView {
  readonly address: string;
  readonly connectionState: string;
  readonly inFlight: number;
}

/** How a client process is started. */
export interface ChaosClientOptions extends Omit<ClientProcessOptions, "options"> {
  readonly options?: ClientProcessOptions["options"];
  readonly meeting?: Meeting;
  /** More arguments for node, such as `--import`. */
  readonly nodeOptions?: readonly string[];
}

/** A busy machine needs long to start a process, beyond the time that any line may take. */
const START_MS = 40_000;
const PROGRAM = fileURLToPath(new URL("../processes/client.ts", import.meta.url));
const POLL_MS = 20;
/** Time for what must come in any case. */
const PATIENCE_MS = 60_000;

/** A client of chaos.v1.Chaos in a process of its own. */
export class ChaosClient {
  readonly number: number;
  readonly pid: number;
  readonly #child: Child;

  private constructor(child: Child, number: number, pid: number) {
    this.#child = child;
    this.number = number;
    this.pid = pid;
  }

  /** Starts it; it is not connected yet. */
  static async start({ nodeOptions = [], options = {}, ...rest }: ChaosClientOptions): Promise<ChaosClient> {
    const told = { ...rest, options };
    const args = ["--expose-gc", "--no-warnings", ...nodeOptions, PROGRAM, "--options", JSON.stringify(told)];
    const child = new Child({ command: process.execPath, args });
    return new ChaosClient(child, rest.client, Number((await child.next("ready", START_MS)).pid));
  }

  /** Connects without a call. */
  async connect(): Promise<void> {
    const line = this.#child.next("connected");
    this.#child.send({ connect: true });
    await line;
  }

  /** Begins calls at this rate, or goes on at another. */
  load(load: Load): void {
    this.#child.send({ load });
  }

  /** Begins a second's calls of this load at once. */
  burst(load: Load): void {
    this.#child.send({ burst: load });
  }

  /** Calls as many as can be made, for half a second; gives how many ended in a second. */
  async measure(load: Load): Promise<number> {
    const line = this.#child.next("measured", PATIENCE_MS);
    this.#child.send({ measure: load });
    return ((await line).measured as { perSecond: number }).perSecond;
  }

  /** What ended since the last mark. */
  async mark(): Promise<Mark> {
    const line = this.#child.next("marked");
    this.#child.send({ mark: true });
    return (await line).marked as Mark;
  }

  /** Waits until no call is open. */
  async quiet(): Promise<void> {
    const line = this.#child.next("quiet", PATIENCE_MS);
    this.#child.send({ quiet: true });
    await line;
  }

  /** All endpoints as they are. */
  async endpoints(): Promise<readonly EndpointView[]> {
    const line = this.#child.next("endpoints");
    this.#child.send({ endpoints: true });
    return (await line).endpoints as EndpointView[];
  }

  /** Waits until so many endpoints are connected. */
  async ready(count: number): Promise<void> {
    await this.connect();
    await this.until((endpoints) => endpoints.filter((each) => each.connectionState === "ready").length >= count);
  }

  /**
   * Waits until the endpoints are as wished; gives the ms that it took.
   *
   * @throws Error with the endpoints as they are, when they are not so within a minute
   */
  async until(isSo: (endpoints: readonly EndpointView[]) => boolean): Promise<number> {
    const startedAt = performance.now();
    for (;;) {
      const endpoints = await this.endpoints();
      const tookMs = performance.now() - startedAt;
      if (isSo(endpoints)) return tookMs;
      if (tookMs > PATIENCE_MS) throw new Error(`client ${this.number}: endpoints are ${JSON.stringify(endpoints)}`);
      await delay(POLL_MS);
    }
  }

  /** Begins no more calls, waits for those that are open, and gives all that it has made; `path` is a file for that. */
  async finish(path: string): Promise<CallLog> {
    const line = this.#child.next("finished", PATIENCE_MS);
    this.#child.send({ finish: path });
    const { unhandled } = (await line).finished as { unhandled: number };
    if (unhandled > 0) throw new Error(`client ${this.number}: ${unhandled} promises were rejected and nobody heard`);
    return CallLog.load(this.number, path);
  }

  /** Memory after a collection of garbage. */
  memory(): Promise<{ readonly rssBytes: number; readonly heapBytes: number }> {
    return this.#child.memory();
  }

  /** Ends the process. */
  async end(): Promise<void> {
    this.#child.kill();
    await this.#child.stop();
  }
}
