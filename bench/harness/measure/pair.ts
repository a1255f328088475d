import { Child, type Program } from "../../../test/peers/child.ts";
import { closedLoop, type Load } from "../load/load.ts";
import { CLIENT_CORE, type LoadDriver, SERVER_CORE, type StartDriver } from "../load/load-driver.ts";
import type { Contestant, Round } from "./contestant.ts";

/** A server and a client that are measured together. */
export interface Pair {
  readonly name: string;
  readonly server: ServerSource;
  readonly driver: StartDriver;
  readonly only?: readonly string[];
  readonly can?: (load: Load) => boolean;
  /** The server has a core and the client another. Default true. */
  readonly isPinned?: boolean;
}

/** A program that prints `{"ready":true,"addr":"HOST:PORT"}`, or a function that starts one that does not. */
export type ServerSource = Program | StartServer;

/** Starts a server and waits until it serves. */
export type StartServer = (core: number | undefined) => Promise<RunningServer>;

/** A server that answers calls on `address`, `host:port`. */
export interface RunningServer {
  readonly child: Child;
  readonly address: string;
}

/** The load before the first reading where a question names no other. */
export const SMALL_WARMUP: Load = closedLoop(100);

/** A pair as a contestant: fresh processes each round, warm-up, a reading for each load. */
export function pairContestant(pair: Pair): Contestant {
  const { name, only, can } = pair;
  return {
    name,
    ...(only === undefined ? {} : { only }),
    ...(can === undefined ? {} : { can }),
    measure: (round) => measurePair(pair, round),
  };
}

async function measurePair(pair: Pair, round: Round): Promise<void> {
  const [serverCore, clientCore] = pair.isPinned === false ? [undefined, undefined] : [SERVER_CORE, CLIENT_CORE];
  const { child, address } = await startServer(pair.server, serverCore);
  let driver: LoadDriver | undefined;
  try {
    driver = await pair.driver(child, address, clientCore);
    const capacity = await warmUp(driver, round);
    for (const load of round.loads) {
      round.take(load, await driver.run(atCapacity(load, capacity), round.options.seconds));
    }
  } finally {
    await driver?.close();
    await child.stop();
  }
}

/** Starts a server of either kind. */
export async function startServer(source: ServerSource, core: number | undefined): Promise<RunningServer> {
  if (typeof source === "function") return source(core);
  const child = new Child(source, core);
  const ready = await child.next("ready");
  return { child, address: String(ready.addr) };
}

/** Runs the warm-ups and gives the calls a second of the last; without warm-up, of a short run. */
async function warmUp(driver: LoadDriver, { warmups, loads, options }: Round): Promise<number> {
  const needsCapacity = loads.some((load) => load.capacityShare > 0);
  const seconds = options.warmupSeconds > 0 ? options.warmupSeconds : needsCapacity ? 0.4 : 0;
  let callsPerSecond = 0;
  if (seconds === 0) return callsPerSecond;
  for (const load of warmups) callsPerSecond = (await driver.run(load, seconds)).figures.callsPerSecond ?? 0;
  return callsPerSecond;
}

function atCapacity(load: Load, capacity: number): Load {
  return load.capacityShare > 0 ? { ...load, ratePerSecond: Math.round(load.capacityShare * capacity) } : load;
}
