import { Child, type Program } from "../../test/peers/child.ts";
import { loadAverage } from "./environment.ts";
import type { LoadDriver, Reading, StartDriver } from "./load-driver.ts";
import type { BenchOptions } from "./options.ts";
import { figure } from "./table.ts";

const SERVER_CORE = 0;
/** Load of a fresh pair before its first reading. */
const WARMUP_CONCURRENCY = 100;

/** A server and a client that are measured together. */
export interface Pair {
  readonly name: string;
  readonly server: Program;
  readonly driver: StartDriver;
}

/** A pair's readings by calls in flight; the n-th of each list belongs to round n. */
export type Readings = Map<string, Map<number, Reading[]>>;

/**
 * Measures all pairs in turns: each round starts a fresh server and client for each pair, warms them up and takes a reading for each
 * number of calls in flight. Every other round runs in reverse order, so that a noisy minute or a machine that slows down hits all.
 */
export async function measureRounds(
  pairs: readonly Pair[],
  concurrencies: readonly number[],
  options: BenchOptions,
  progress: (text: string) => void,
): Promise<Readings> {
  const readings: Readings = new Map(
    pairs.map((pair) => [pair.name, new Map(concurrencies.map((each) => [each, []]))]),
  );
  for (let round = 0; round < options.rounds; round++) {
    const forth = round % 2 === 0;
    for (const pair of forth ? pairs : pairs.toReversed()) {
      await measurePair(pair, forth ? concurrencies : concurrencies.toReversed(), options, (concurrency, reading) => {
        readings.get(pair.name)?.get(concurrency)?.push(reading);
        progress(describe(round, options.rounds, pair.name, concurrency, reading));
      });
    }
  }
  return readings;
}

async function measurePair(
  pair: Pair,
  concurrencies: readonly number[],
  options: BenchOptions,
  take: (concurrency: number, reading: Reading) => void,
): Promise<void> {
  const server = new Child(pair.server, SERVER_CORE);
  let driver: LoadDriver | undefined;
  try {
    const ready = await server.next("ready");
    driver = await pair.driver(server, String(ready.addr));
    if (options.warmupSeconds > 0) await driver.run(WARMUP_CONCURRENCY, options.warmupSeconds);
    for (const concurrency of concurrencies) take(concurrency, await driver.run(concurrency, options.seconds));
  } finally {
    await driver?.close();
    await server.stop();
  }
}

function describe(round: number, rounds: number, name: string, concurrency: number, reading: Reading): string {
  const { callsPerSecond, clientCpuUs, serverCpuUs, errors, firstError } = reading;
  const failures = errors === 0 ? "" : ` · ${errors} ERRORS, first: ${firstError}`;
  const cpu = `client ${figure(clientCpuUs)} µs, server ${figure(serverCpuUs)} µs`;
  const place = `round ${round + 1}/${rounds} · ${name} · ${concurrency} in flight`;
  return `${place}: ${figure(callsPerSecond)} calls/s · ${cpu} · load ${loadAverage()}${failures}`;
}
