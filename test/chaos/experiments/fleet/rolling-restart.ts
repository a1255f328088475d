import { setTimeout as delay } from "node:timers/promises";
import { Code } from "bowline";
import type { Experiment, Outcome, Scale } from "../../experiment.ts";
import type { ChaosServer } from "../../fleet/chaos-server.ts";
import { Fleet } from "../../fleet/fleet.ts";
import type { Failure } from "../../ledger/call-log.ts";
import type { Load } from "../../processes/options.ts";
import { rounds } from "../../rounds.ts";

const SERVERS = 3;
const CLIENTS = 2;
/** What a restart may add to the 99th percentile, as a factor, and below which value nobody asks. */
const MOST_SLOWER = 2;
const QUICK_MS = 50;
/** Timers fire in slots; a stream's end travels. */
const EARLY_MS = 20;
/** Unary calls of the full form. */
const LEAST_CALLS = 1_000_000;

/** SIGTERM to each server in turn: another one comes while it leaves the registry, drains and ends. */
export const rollingRestart: Experiment = {
  number: 1,
  name: "rolling restart",
  promise:
    "no unary call fails; streams end with UNAVAILABLE and only when the drain's time is over; the 99th percentile at most doubles",
  fullMinutes: 11,
  needsRoot: false,
  run,
};

/** How much is done. */
interface Form {
  readonly drainTimeoutMs: number;
  readonly load: Load;
}

const SHORT: Form = {
  drainTimeoutMs: 1200,
  load: {
    perSecond: 150,
    writeShare: 0.5,
    watchShare: 0.02,
    sleepMs: 10,
    watchCount: 20,
    watchIntervalMs: 200,
  },
};
const FULL: Form = {
  drainTimeoutMs: 1500,
  load: {
    perSecond: 1000,
    writeShare: 0.5,
    watchShare: 0.001,
    sleepMs: 10,
    watchCount: 60,
    watchIntervalMs: 1000,
  },
};

async function run(scale: Scale): Promise<Outcome> {
  const { isShort, seed } = scale;
  const form = isShort ? SHORT : FULL;
  await using fleet = new Fleet(seed);
  const { meeting } = fleet;
  const options = { drainAcceptMs: form.drainTimeoutMs / 4, drainTimeoutMs: form.drainTimeoutMs };
  const live = await fleet.startServers(SERVERS, { meeting, options });
  await fleet.startClients(CLIENTS, "chaos.rpc", {}, { meeting });
  await fleet.ready(SERVERS);
  const load = await fleet.bearable(form.load);
  fleet.load(load);
  const loadedAt = performance.now();
  const calm = await calmP99Ms(fleet, isShort ? 1 : SERVERS);
  let restarts = 0;
  const cycle = async (): Promise<void> => {
    for (let place = 0; place < SERVERS; place++) {
      const leaver = live[place] as ChaosServer;
      [live[place]] = await Promise.all([fleet.startServer({ meeting, options }), leaver.leave(form.drainTimeoutMs)]);
      await fleet.ready(SERVERS);
      restarts++;
    }
  };
  for (const _ of rounds(scale, 1, 100)) await cycle();
  // A machine that bears less load takes longer for as many calls; a few do not become due while it is held up.
  const isWhole = !isShort && scale.minutes === undefined;
  const enoughMs = (1.05 * LEAST_CALLS * 1000) / (CLIENTS * load.perSecond);
  while (isWhole && performance.now() < loadedAt + enoughMs) await cycle();
  const restarting = await p99Ms(fleet);
  const { logs: _, faults, ...figures } = await fleet.balance((failure) => isOfDrain(failure, fleet, form));
  const found = [...faults];
  const mostMs = Math.max(QUICK_MS, calm * MOST_SLOWER);
  if (restarting > mostMs) found.push(`the 99th percentile went from ${calm} ms to ${restarting} ms`);
  if (isWhole && figures.calls < LEAST_CALLS) found.push(`only ${figures.calls} calls were made`);
  const perSecond = CLIENTS * load.perSecond;
  return { figures: { restarts, perSecond, ...figures, calmP99Ms: calm, restartingP99Ms: restarting }, faults: found };
}

/** The 99th percentile while processes start and end that serve nobody: what they cost the machine is not the restart's doing. */
async function calmP99Ms(fleet: Fleet, rounds: number): Promise<number> {
  await p99Ms(fleet);
  for (let round = 0; round < rounds; round++) {
    const bystander = await fleet.startServer();
    await delay(200);
    await bystander.end();
  }
  return p99Ms(fleet);
}

/** The worst client's since the last time. */
async function p99Ms(fleet: Fleet): Promise<number> {
  const marks = await Promise.all(fleet.clients.map((client) => client.mark()));
  return Math.max(...marks.map((mark) => mark.p99Ms));
}

/** True for a stream that still ran when its server's time to drain was over. */
function isOfDrain({ kind, code, serverId, endedAtMs }: Failure, fleet: Fleet, { drainTimeoutMs }: Form): boolean {
  if (kind !== "watch" || code !== Code.UNAVAILABLE) return false;
  const server = fleet.servers.find(({ id }) => id === serverId);
  return server !== undefined && server.leftAtMs > 0 && endedAtMs >= server.leftAtMs + drainTimeoutMs - EARLY_MS;
}
