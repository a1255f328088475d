import { parseArgs } from "node:util";
import type { ClientOptions, ServerOptions } from "bowline";
import type { Release } from "./orders.ts";

/** Where servers and clients of one experiment meet: options of the `local()` registry. */
export interface Meeting {
  readonly directory: string;
  readonly namespace: string;
}

/** What a server process is told on its command line. */
export interface ServerProcessOptions {
  readonly id: string;
  /** File of its run log. */
  readonly log: string;
  readonly meeting?: Meeting;
  /** Address of the server that `Relay` goes on to; absent: this one is the last. */
  readonly next?: string;
  /** Serves this release of the contract of orders, too. */
  readonly release?: Release;
  /** Of `createServer`, as far as JSON has them. */
  readonly options: ServerOptions;
}

/** What a client process is told on its command line. */
export interface ClientProcessOptions {
  readonly client: number;
  readonly seed: number;
  readonly target: string;
  /** Unary calls are orders of this release of their contract. */
  readonly release?: Release;
  /** Of `createClient`, as far as JSON has them. */
  readonly options: ClientOptions;
}

/** What a client does until it is told to stop. */
export interface Load {
  /** Calls that are begun each second, whatever becomes of those before. */
  readonly perSecond: number;
  /** Shares of the kinds, 0..1; the rest are reads. */
  readonly writeShare?: number;
  readonly watchShare?: number;
  /** Handlers of unary calls rest for at most this long; drawn anew for each call. */
  readonly sleepMs?: number;
  /** Handlers of unary calls keep the event loop for this long. */
  readonly blockMs?: number;
  readonly timeoutMs?: number;
  /** Streams: answers, and the time between two. */
  readonly watchCount?: number;
  readonly watchIntervalMs?: number;
  readonly fillingBytes?: number;
  readonly payloadBytes?: number;
}

/** What this process was told. */
export function processOptions<T>(): T {
  const { values } = parseArgs({ options: { options: { type: "string", default: "{}" } } });
  return JSON.parse(values.options) as T;
}
