import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ClientOptions } from "bowline";
import { Chance } from "../../codec/chance.ts";
import type { CallLog } from "../ledger/call-log.ts";
import { type Balance, type IsExpected, Ledger } from "../ledger/ledger.ts";
import { type RunEvent, readRuns } from "../ledger/run-log.ts";
import type { Load, Meeting } from "../processes/options.ts";
import { ChaosClient, type ChaosClientOptions } from "./chaos-client.ts";
import { ChaosServer, type ChaosServerOptions } from "./chaos-server.ts";

/** What is asked of a server of the fleet. */
export type FleetServerOptions = Partial<Omit<ChaosServerOptions, "id" | "log">>;

/** What is called while nothing is wrong yet, of what machine and processes can do. */
const LOAD_SHARE = 0.5;
/** The first measurement sees code that was not compiled. */
const MEASUREMENTS = 6;

/** Servers and clients as processes, and the files with what they did. Ends them all when it is disposed of. */
export class Fleet implements AsyncDisposable {
  readonly chance: Chance;
  /** Options of the `local()` registry for this fleet alone. */
  readonly meeting: Meeting;
  /** All that were started, those that have left included. */
  readonly servers: ChaosServer[] = [];
  readonly clients: ChaosClient[] = [];
  /** Scratch space of this fleet alone, removed with it. */
  readonly directory: string;
  readonly #runFiles: string[] = [];
  readonly #fileOf = new Map<ChaosServer, string>();

  constructor(seed: number) {
    this.chance = new Chance(seed);
    this.directory = mkdtempSync(join(tmpdir(), "bowline-chaos-"));
    this.meeting = { directory: join(this.directory, "registry"), namespace: "chaos" };
  }

  /** Starts a server; it writes what it handles to a file of its own. */
  async startServer(options: FleetServerOptions = {}): Promise<ChaosServer> {
    const id = `s${this.#runFiles.length}`;
    const log = join(this.directory, `${id}.runs`);
    this.#runFiles.push(log);
    const server = await ChaosServer.start({ ...options, id, log });
    this.servers.push(server);
    this.#fileOf.set(server, log);
    return server;
  }

  /** Starts several servers at once. */
  startServers(count: number, options: FleetServerOptions = {}): Promise<ChaosServer[]> {
    return Promise.all(Array.from({ length: count }, () => this.startServer(options)));
  }

  /** Starts a client of this target. */
  async startClient(
    target: string,
    options: ClientOptions = {},
    more: Partial<Pick<ChaosClientOptions, "meeting" | "nodeOptions" | "release">> = {},
  ): Promise<ChaosClient> {
    const place = this.clients.length;
    // Its place is taken before it has started, so that clients that start together have different numbers.
    this.clients.length++;
    const client = await ChaosClient.start({ client: place, seed: this.chance.seed(), target, options, ...more });
    this.clients[place] = client;
    return client;
  }

  /** Starts several clients of this target at once. */
  startClients(count: number, ...args: Parameters<Fleet["startClient"]>): Promise<ChaosClient[]> {
    return Promise.all(Array.from({ length: count }, () => this.startClient(...args)));
  }

  /** Waits until each client is connected to so many servers. */
  async ready(count: number): Promise<void> {
    await Promise.all(this.clients.map((client) => client.ready(count)));
  }

  /** All clients call like this from now on. */
  load(load: Load): void {
    for (const client of this.clients) client.load(load);
  }

  /**
   * The load, at a rate that clients and servers can bear on this machine as it is: half of what they can do at most, and no more than
   * `load` says. An open loop above that finds out how busy the machine is, and not what the fault does.
   */
  async bearable(load: Load): Promise<Load> {
    let mostPerSecond = 0;
    for (let round = 0; round < MEASUREMENTS && mostPerSecond * LOAD_SHARE < load.perSecond; round++) {
      const quick = { ...load, sleepMs: 0, watchShare: 0 };
      const rates = await Promise.all(this.clients.map((client) => client.measure(quick)));
      mostPerSecond = Math.max(mostPerSecond, Math.min(...rates));
    }
    return { ...load, perSecond: Math.max(1, Math.min(load.perSecond, Math.floor(mostPerSecond * LOAD_SHARE))) };
  }

  /** Waits until no client has an open call. */
  async quiet(): Promise<void> {
    await Promise.all(this.clients.map((client) => client.quiet()));
  }

  /**
   * The longest time for which a client's event loop was held up since the last mark: what the machine, and not the fault, has added
   * to delays.
   */
  async longestStallMs(): Promise<number> {
    const marks = await Promise.all(this.clients.map((client) => client.mark()));
    return Math.max(...marks.map(({ longestBlockMs }) => longestBlockMs));
  }

  /** Ends the load of all clients, waits for their last calls, and gives their calls. */
  finish(): Promise<CallLog[]> {
    return Promise.all(this.clients.map((client) => client.finish(join(this.directory, `c${client.number}.calls`))));
  }

  /** All that handlers of all servers have done, so far. */
  *runs(): Iterable<RunEvent> {
    for (const path of this.#runFiles) yield* readRuns(path);
  }

  /** What handlers of one server have done, so far. */
  runsOf(server: ChaosServer): Iterable<RunEvent> {
    return readRuns(this.#fileOf.get(server) ?? "");
  }

  /** What calls and handlers add up to; `isExpected` says which failures may be. Ends the load. */
  async balance(isExpected: IsExpected): Promise<Balance & { readonly logs: readonly CallLog[] }> {
    const logs = await this.finish();
    return { ...new Ledger(logs, this.runs()).balance(isExpected), logs };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.servers, ...this.clients.filter(Boolean)].map((each) => each.end()));
    rmSync(this.directory, { recursive: true, force: true });
  }
}
