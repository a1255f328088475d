import type { ClientOptions } from "../client/client-options.ts";
import { type Client, createClient } from "../client/create-client.ts";
import { jsonLogger, type Logger } from "../observe/logger.ts";
import type { Clock } from "../rpc/clock.ts";
import { Code } from "../rpc/code.ts";
import type { Service } from "../rpc/method.ts";
import { checkOptions, type OptionSpecs } from "../rpc/options.ts";
import { type Random, seededRandom } from "../rpc/random.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import { createServer } from "../server/create-server.ts";
import type { Server } from "../server/server.ts";
import type { ServerOptions } from "../server/server-options.ts";
import { type MemoryNetwork, type MemoryNetworkOptions, memoryNetwork } from "./network/memory-network.ts";

/** How a service and its client are joined; all of it is optional. */
export interface InMemoryOptions {
  /** Of network, server and client. Default: real time. */
  readonly clock?: Clock;
  /** Of network, server and client. Default: `seededRandom(1)`, so that each run is the same. */
  readonly random?: Random;
  /** Of the connections, see `memoryNetwork`; not with `network`, which has its own. Default: none. */
  readonly faults?: MemoryNetworkOptions["faults"];
  /** Joins a network that is there, beside other services. Default: one of its own. */
  readonly network?: MemoryNetwork;
  /** Where the server listens. Default `server:1`. */
  readonly address?: string;
  /** Go before the defaults: no signals, no time for draining, and a logger that shows errors only. */
  readonly server?: ServerOptions;
  /** What the client is made with; its defaults are those of `createClient`. */
  readonly client?: ClientOptions;
}

const SPECS: OptionSpecs = {
  clock: { kind: "object", methods: ["now", "fresh", "setTimeout", "setInterval"], example: "a VirtualClock" },
  random: { kind: "function" },
  faults: { kind: "any" },
  network: { kind: "object", methods: ["listen", "dial", "freeAddress", "links"], example: "a memoryNetwork()" },
  address: { kind: "string" },
  server: { kind: "object" },
  client: { kind: "object" },
};

/** A line that the server logged. */
export interface LogLine {
  readonly level: "info" | "warn" | "error";
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** A service and its client, joined in memory. */
export interface InMemory<Methods> extends AsyncDisposable {
  readonly client: Client<Methods>;
  readonly server: Server;
  /** For faults, further servers and clients, and peers that misbehave. */
  readonly network: MemoryNetwork;
  /** Where the server listens, for further clients. */
  readonly address: string;
  /** What the server logged so far, unless `server.logger` was given. */
  readonly log: readonly LogLine[];
  /** Closes client and server, breaks their links, and cancels handlers that still run. Needs no time to pass. */
  close(): Promise<void>;
}

/**
 * Serves `handlers` in memory and gives a client for them: the whole of Bowline, without a port.
 *
 * Handlers may be left out: their methods answer UNIMPLEMENTED. What a handler throws that is no RpcError is written to
 * standard error, since callers are told UNKNOWN and no more.
 *
 * Rejects with what went wrong at the start: an option, a handler that belongs to no method.
 */
export async function inMemory<Methods, Handlers extends object>(
  service: Service<Methods, Handlers>,
  handlers: Partial<Handlers>,
  options: InMemoryOptions = {},
): Promise<InMemory<Methods>> {
  checkInMemoryOptions(options);
  const { clock, random = seededRandom(1), faults } = options;
  const network = options.network ?? memoryNetwork({ clock, random, faults });
  const log: LogLine[] = [];
  const logger = recorder(log);
  const listen = network.freeAddress(options.server?.listen ?? options.address ?? "server:1");
  const server = createServer({ network, clock, random, logger, ...quiet(listen), ...options.server, listen });
  server.add(service, filled(service, handlers) as Handlers);
  await server.start();
  const { address } = server;
  let client: Client<Methods>;
  try {
    client = createClient(service, address, { network, clock, random, logger, ...options.client });
  } catch (error) {
    await server.close();
    throw error;
  }
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= closeAll(client, server, network);
    return closing;
  };
  return { client, server, network, address, log, close, [Symbol.asyncDispose]: close };
}

function checkInMemoryOptions(options: InMemoryOptions): void {
  checkOptions("inMemory options", options, SPECS);
  if (options.network === undefined || options.faults === undefined) return;
  throw new TypeError(
    "inMemory options.faults are those of a network of its own: with options.network give them to memoryNetwork(), or call network.setFaults",
  );
}

/** The id is the address: servers of one seed would draw the same. */
function quiet(listen: string): ServerOptions {
  return { handleSignals: false, drainAcceptMs: 0, drainTimeoutMs: 0, instanceId: listen };
}

async function closeAll<Methods>(client: Client<Methods>, server: Server, network: MemoryNetwork): Promise<void> {
  try {
    await client[Symbol.asyncDispose]();
  } finally {
    // An end that hangs or is slow would be waited for, and perhaps in virtual time.
    for (const link of network.links(server.address)) link.reset();
    await server.close();
  }
}

/** The handlers, with one that refuses for each method that has none. What else an object of a class has is its own affair. */
function filled<Handlers extends object>(
  service: Service<unknown, Handlers>,
  handlers: Partial<Handlers>,
): Record<string, unknown> {
  const given = handlers as Readonly<Record<string, unknown>>;
  const prototype: unknown = Object.getPrototypeOf(handlers);
  const isPlain = prototype === Object.prototype || prototype === null;
  const all: Record<string, unknown> = isPlain ? { ...handlers } : {};
  for (const { localName, path } of Object.values(service.methods)) {
    const handler = given[localName];
    all[localName] = typeof handler === "function" ? handler.bind(handlers) : handler;
    if (handler !== undefined) continue;
    all[localName] = () => {
      throw new RpcError(Code.UNIMPLEMENTED, `this test gave no handler for ${path}`, { reason: "unimplemented" });
    };
  }
  return all;
}

function recorder(log: LogLine[]): Logger {
  const line = (level: LogLine["level"]) => (fields: object, message: string) => {
    log.push({ level, fields: { ...fields }, message });
    if (level === "error") jsonLogger.error(fields, message);
  };
  return { info: line("info"), warn: line("warn"), error: line("error") };
}
