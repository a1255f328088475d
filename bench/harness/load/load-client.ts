import { createInterface } from "node:readline";
import { announce, printLine } from "../../../test/peers/peer-lines.ts";
import type { Load } from "./load.ts";
import { LoadLoop } from "./load-loop.ts";
import type { LoadResult } from "./load-result.ts";
import { OpenLoop } from "./open-loop.ts";
import type { StartCall } from "./slot.ts";

/** One connection of a client: how the calls of a load are started on it. */
export interface LoadConnection {
  /** Throws when this client does not know the load's method. */
  start(load: Load): StartCall;
}

/** Connects to `host:port` and makes one call to see that the answer is right. */
export type Connect = (address: string) => Promise<LoadConnection>;

/**
 * The main of a client program: connects to `address`, then runs a load for each line `{"load":{…},"seconds":2}` on
 * stdin, printing `{"begin":true}` when counting starts and the result when it is over. Further connections are made when a load
 * wants them and stay; of several addresses, separated by commas, each gets as many.
 */
export async function runLoadClient(address: string, connect: Connect): Promise<void> {
  const addresses = address.split(",");
  const connections = [await connect(addresses[0])];
  announce({});
  for await (const line of createInterface({ input: process.stdin })) {
    const { load, seconds } = JSON.parse(line) as { load: Load; seconds: number };
    while (connections.length < load.connections) {
      connections.push(await connect(addresses[connections.length % addresses.length]));
    }
    const start = spread(connections.slice(0, load.connections).map((connection) => connection.start(load)));
    printLine({ ...(await run(start, load, seconds)) });
  }
}

/** The n-th slot calls on the n-th connection. */
function spread(starts: readonly StartCall[]): StartCall {
  return starts.length === 1 ? starts[0] : (slot) => starts[slot.index % starts.length](slot);
}

function run(start: StartCall, load: Load, seconds: number): Promise<LoadResult> {
  const begin = (): void => printLine({ begin: true });
  const { ratePerSecond, concurrency } = load;
  if (ratePerSecond > 0) return new OpenLoop(start).run(ratePerSecond, concurrency, seconds, begin);
  return new LoadLoop(start).run(concurrency, seconds, begin);
}

/** For clients that know unary calls only. */
export function unaryOnly(load: Load): void {
  if (load.method !== "unary") throw new Error(`this client makes unary calls only, not ${load.method}`);
}
