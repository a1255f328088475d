import { setTimeout as delay } from "node:timers/promises";
import { Child, type Program } from "../../../test/peers/child.ts";
import { ECHO_MESSAGE, SLOW_MESSAGE, SLOW_PATH, UNARY_PATH } from "../../peers/echo.ts";
import type { FigureKey, Figures } from "../load/reading.ts";
import type { Contestant, Round } from "../measure/contestant.ts";
import { startServer } from "../measure/pair.ts";
import { RawConnection } from "./raw-connection.ts";

/** How much is opened. */
export interface MemoryAmounts {
  readonly connections: number;
  readonly openCalls: number;
}

/** A server, and a client that opens calls, both with `--expose-gc` where it is Node. */
export interface MemoryPair {
  readonly name: string;
  readonly server: Program;
  /** `PROGRAM ADDRESS` that opens as many calls as the line `{"open":N}` says; undefined where there is none. */
  readonly client?: Program;
}

/** Calls on one connection: no server's default allows fewer. */
const CALLS_A_CONNECTION = 100;
/** Connections and calls that come and go first, so that what is made once is there. */
const WARMUP_CONNECTIONS = 1000;
/** Time for the last bytes to arrive and for timers of a connection's beginning, in ms. */
const SETTLE_MS = 1000;
/** Longer than any measurement. */
const OPEN_TIMEOUT = "600S";

/**
 * What a connection and an open call take. Raw connections do the same to each server: each makes one call and is idle then;
 * afterwards, on connections of their own, calls with a deadline stay open. Memory is read after a collection of garbage.
 */
export function memoryContestant(pair: MemoryPair, amounts: MemoryAmounts): Contestant {
  return {
    name: pair.name,
    measure: async (round: Round) => {
      const { child, address } = await startServer(pair.server, undefined);
      try {
        const figures = {
          ...(await idleConnections(child, address, amounts.connections)),
          ...(await openCalls(child, address, amounts.openCalls)),
          ...(pair.client === undefined ? {} : await clientCalls(pair.client, address, amounts.openCalls)),
        };
        for (const load of round.loads) round.take(load, { figures, errors: 0 });
      } finally {
        await child.stop();
      }
    },
  };
}

async function idleConnections(server: Child, address: string, count: number): Promise<Figures> {
  for (const connection of await openIdle(address, WARMUP_CONNECTIONS)) connection.close();
  const before = await settled(server);
  const connections = await openIdle(address, count);
  const after = await settled(server);
  for (const connection of connections) connection.close();
  return {
    idleConnectionRssBytes: (after.rssBytes - before.rssBytes) / count,
    idleConnectionHeapBytes: (after.heapBytes - before.heapBytes) / count,
  };
}

/** Connections that have made one call each. */
async function openIdle(address: string, count: number): Promise<RawConnection[]> {
  const connections: RawConnection[] = [];
  for (let opened = 0; opened < count; opened++) {
    const connection = await RawConnection.open(address);
    await connection.call({ path: UNARY_PATH, message: ECHO_MESSAGE });
    connections.push(connection);
  }
  return connections;
}

async function openCalls(server: Child, address: string, count: number): Promise<Figures> {
  const connections = await openIdle(address, Math.ceil(count / CALLS_A_CONNECTION));
  const before = await settled(server);
  for (let opened = 0; opened < count; opened++) {
    const connection = connections[opened % connections.length];
    void connection.call({ path: SLOW_PATH, message: SLOW_MESSAGE, timeout: OPEN_TIMEOUT });
  }
  const after = await settled(server);
  for (const connection of connections) connection.close();
  return { openCallServerHeapBytes: (after.heapBytes - before.heapBytes) / count };
}

async function clientCalls(program: Program, address: string, count: number): Promise<Figures> {
  const client = new Child({ ...program, args: [...program.args, address] });
  try {
    await client.next("ready");
    await open(client, WARMUP_CONNECTIONS);
    const before = await settled(client);
    await open(client, count);
    const after = await settled(client);
    const key: FigureKey = "openCallClientHeapBytes";
    return { [key]: (after.heapBytes - before.heapBytes) / count };
  } finally {
    await client.stop();
  }
}

async function open(client: Child, count: number): Promise<void> {
  const opened = client.next("opened");
  client.send({ open: count });
  await opened;
}

async function settled(child: Child): Promise<{ readonly rssBytes: number; readonly heapBytes: number }> {
  await delay(SETTLE_MS);
  return child.memory();
}
