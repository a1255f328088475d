import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Chance } from "../../codec/chance.ts";
import type { Child } from "../../peers/child.ts";
import { type Balance, type IsExpected, Ledger } from "../ledger/ledger.ts";
import { type RunEvent, readRuns } from "../ledger/run-log.ts";
import { CheckedClient, type CheckedClientOptions, type ClientReport } from "./checked-client.ts";
import { CheckedServer, type CheckedServerOptions } from "./checked-server.ts";
import { type Launch, launchHere } from "./launch.ts";

/** What calls and handlers of a trial come to. */
export interface Verdict {
  readonly balance: Balance;
  readonly reports: readonly ClientReport[];
  /** The most by which a call outlived its deadline, in ms, without the time in which its process was held up. */
  readonly latestMs: number;
  /** The longest time that a client's process was held up, in ms. */
  readonly longestStallMs: number;
  /** What does not add up, answers that are wrong and promises that nobody heard included. */
  readonly faults: readonly string[];
}

/** Checked servers and clients as processes, and the files with what they did. Ends them all when it is disposed of. */
export class Trial implements AsyncDisposable {
  readonly chance: Chance;
  readonly servers: CheckedServer[] = [];
  readonly clients: CheckedClient[] = [];
  readonly #directory = mkdtempSync(join(tmpdir(), "bowline-chaos-"));
  /** All that were started, those that have not said so yet included. */
  readonly #children: Child[] = [];
  #clientCount = 0;
  #serverCount = 0;

  constructor(seed: number) {
    this.chance = new Chance(seed);
  }

  /** Starts a server. */
  async startServer(options?: CheckedServerOptions["options"], launch?: Launch): Promise<CheckedServer> {
    const id = `s${this.#serverCount++}`;
    const server = await CheckedServer.start({ id, options }, join(this.#directory, `${id}.runs`), this.#kept(launch));
    this.servers.push(server);
    return server;
  }

  /** Starts a client of this target. */
  async startClient(target: string, told: Partial<CheckedClientOptions> = {}, launch?: Launch): Promise<CheckedClient> {
    const number = this.#clientCount++;
    const client = await CheckedClient.start(
      { client: number, seed: this.chance.seed(), target, ...told },
      this.#kept(launch),
    );
    this.clients.push(client);
    return client;
  }

  /** Ends the load, waits for open calls, but no longer than `withinMs`, and adds up. `isExpected` says which failures may be. */
  async settle(withinMs: number, isExpected: IsExpected): Promise<Verdict> {
    const path = (number: number): string => join(this.#directory, `c${number}.calls`);
    const reports = await Promise.all(this.clients.map((client) => client.finish(path(client.number), withinMs)));
    const balance = new Ledger(
      reports.map(({ log }) => log),
      this.#runs(),
    ).balance(isExpected);
    const most = (of: "latestMs" | "longestStallMs"): number => Math.max(0, ...reports.map((report) => report[of]));
    const faults = [...balance.faults, ...reports.flatMap(faultsOf)];
    return { balance, reports, latestMs: most("latestMs"), longestStallMs: most("longestStallMs"), faults };
  }

  #kept(launch: Launch = launchHere): Launch {
    return (program) => {
      const child = launch(program);
      this.#children.push(child);
      return child;
    };
  }

  *#runs(): Iterable<RunEvent> {
    for (const { log } of this.servers) yield* readRuns(log);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#children.map((child) => child.stop()));
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

function faultsOf({ wrongCount, wrong, unhandled }: ClientReport): string[] {
  return [
    ...(wrongCount === 0 ? [] : [`${wrongCount} wrong answers: ${wrong.join("; ")}`]),
    ...(unhandled === 0 ? [] : [`${unhandled} promises were rejected and nobody heard`]),
  ];
}
