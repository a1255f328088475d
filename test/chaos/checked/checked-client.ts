import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { ClientOptions } from "bowline";
import type { Child } from "../../peers/child.ts";
import { CallLog } from "../ledger/call-log.ts";
import type { Lateness } from "./call-book.ts";
import { type Launch, START_MS } from "./launch.ts";
import type { Resources } from "./resources.ts";

/** What a client process is told on its command line. */
export interface CheckedClientOptions {
  readonly client: number;
  readonly seed: number;
  readonly target: string;
  /** Channels, each with connections of its own. Default 1. */
  readonly channels?: number;
  /** Of `createClient`, as far as JSON has them. */
  readonly options?: ClientOptions;
}

/** What a client does until it is told to stop. */
export interface CheckedLoad {
  /** Calls that are begun each second, whatever becomes of those before. */
  readonly perSecond: number;
  readonly timeoutMs: number;
  /** Of each message. Default 1000. */
  readonly maxBytes?: number;
  /** Default false: all four kinds. */
  readonly isUnaryOnly?: boolean;
  /** Ends every backoff at once, so that connections are made as fast as they are lost. Default false. */
  readonly reconnects?: boolean;
}

/** A line to the client process. */
export interface ClientOrder {
  readonly open?: true;
  readonly load?: CheckedLoad;
  readonly watch?: number;
  readonly download?: { readonly bytes: number; readonly messageBytes: number };
  readonly roundTrips?: number;
  readonly finish?: { readonly path: string; readonly withinMs: number };
  readonly endpoints?: true;
  readonly stalled?: { readonly fromMs: number; readonly toMs: number };
  readonly close?: true;
  readonly resources?: true;
}

/** How a stream without deadline ended. */
export interface WatchEnd {
  readonly code: number;
  /** From its last message to its end, without the time in which the process was held up. */
  readonly silentMs: number;
}

/** What became of a download. */
export interface Download {
  readonly code: number;
  readonly bytes: number;
  readonly ms: number;
}

/** An endpoint as a client sees it. */
export interface EndpointState {
  readonly address: string;
  readonly connectionState: string;
}

/** What a client comes to. */
export interface ClientReport extends Lateness {
  readonly log: CallLog;
  readonly calls: number;
  /** Calls that had not ended when the time was over. */
  readonly hung: number;
  /** Answers that were not what they must be, and the first of them in words. */
  readonly wrongCount: number;
  readonly wrong: readonly string[];
  readonly unhandled: number;
}

const PROGRAM = fileURLToPath(new URL("./client.ts", import.meta.url));
const POLL_MS = 20;
const PATIENCE_MS = 60_000;

/** A client of peer.v1.Echo in a process of its own, which checks each octet of what it gets. */
export class CheckedClient {
  readonly number: number;
  /** What it holds before its first channel. */
  readonly baseline: Resources;
  readonly #child: Child;

  private constructor(child: Child, number: number, baseline: Resources) {
    this.#child = child;
    this.number = number;
    this.baseline = baseline;
  }

  /** Starts it; it has its channels, but is not connected yet. */
  static async start(told: CheckedClientOptions, launch: Launch): Promise<CheckedClient> {
    const args = ["--no-warnings", PROGRAM, "--options", JSON.stringify({ channels: 1, options: {}, ...told })];
    const child = launch({ command: process.execPath, args });
    await child.next("ready", START_MS);
    const line = child.next("resources");
    child.send({ resources: true });
    const client = new CheckedClient(child, told.client, (await line).resources as Resources);
    client.#order({ open: true });
    return client;
  }

  /** Begins calls, or goes on with others. */
  load(load: CheckedLoad): void {
    this.#order({ load });
  }

  /** Opens a stream without deadline on each channel, with an answer each `intervalMs`; resolves when all have ended. */
  async watch(intervalMs: number, withinMs: number): Promise<readonly WatchEnd[]> {
    return (await this.#ask({ watch: intervalMs }, "watched", withinMs)) as WatchEnd[];
  }

  /** Reads so many bytes from one stream of answers. */
  async download(bytes: number, messageBytes: number): Promise<Download> {
    return (await this.#ask({ download: { bytes, messageBytes } }, "downloaded", PATIENCE_MS)) as Download;
  }

  /** Times of so many small calls, one behind the other, in ms and sorted. */
  async roundTrips(count: number): Promise<readonly number[]> {
    return (await this.#ask({ roundTrips: count }, "roundTrips", PATIENCE_MS)) as number[];
  }

  /** How long its process was held up between two times, see `wallMs`. */
  async stalledMs(fromMs: number, toMs: number): Promise<number> {
    return Number(await this.#ask({ stalled: { fromMs, toMs } }, "stalledMs"));
  }

  /** All endpoints of all channels. */
  async endpoints(): Promise<readonly EndpointState[]> {
    return (await this.#ask({ endpoints: true }, "endpoints")) as EndpointState[];
  }

  /**
   * Waits until the endpoints are as wished.
   *
   * @throws Error with the endpoints as they are, when they are not so in time
   */
  async until(isSo: (endpoints: readonly EndpointState[]) => boolean, withinMs: number = PATIENCE_MS): Promise<void> {
    const startedAt = performance.now();
    for (;;) {
      const endpoints = await this.endpoints();
      if (isSo(endpoints)) return;
      if (performance.now() - startedAt > withinMs) {
        throw new Error(`client ${this.number}: endpoints are ${JSON.stringify(endpoints)}`);
      }
      await delay(POLL_MS);
    }
  }

  /** Begins no more calls, waits for those that are open, but no longer than `withinMs`; `path` is a file for what was written down. */
  async finish(path: string, withinMs: number): Promise<ClientReport> {
    const finished = await this.#ask({ finish: { path, withinMs } }, "finished", withinMs);
    return { ...(finished as Omit<ClientReport, "log">), log: CallLog.load(this.number, path) };
  }

  /** Closes all its channels. */
  async close(): Promise<void> {
    await this.#ask({ close: true }, "closed");
  }

  /** What it holds now. */
  async resources(): Promise<Resources> {
    return (await this.#ask({ resources: true }, "resources")) as Resources;
  }

  #order(order: ClientOrder): void {
    this.#child.send({ ...order });
  }

  async #ask(order: ClientOrder, key: string, withinMs = 0): Promise<unknown> {
    const line = this.#child.next(key, withinMs);
    this.#order(order);
    return (await line)[key];
  }
}
