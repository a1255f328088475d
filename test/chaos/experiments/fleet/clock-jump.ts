import { setTimeout as delay } from "node:timers/promises";
import type { Experiment, Outcome, Scale } from "../../experiment.ts";
import { Fleet } from "../../fleet/fleet.ts";
import { deadlinesOfChain } from "./deadlines.ts";

const SERVERS = 3;
const CLIENTS = 2;
const MODULE = new URL("../../processes/jumping-clock.ts", import.meta.url).href;
/** How late timers may be in processes whose timers are skewed. */
const LATE_MS = 30;

/** The wall clock of each process jumps by an hour, to and fro, fifty times a second. */
export const clockJump: Experiment = {
  number: 24,
  name: "clocks that jump by an hour",
  promise:
    "no call expires before its time, those that do expire do so in time on every hop, and no connection is given up",
  fullMinutes: 4,
  needsRoot: false,
  run,
};

async function run(scale: Scale): Promise<Outcome> {
  const loaded = await underLoad(scale);
  const chain = await deadlinesOfChain(scale, jumping(scale.seed, 0));
  const { reached: expired, lateMs: expiredLateMs } = chain.figures;
  return {
    figures: { ...loaded.figures, expired: expired ?? 0, expiredLateMs: expiredLateMs ?? 0 },
    faults: [...loaded.faults, ...chain.faults],
  };
}

async function underLoad({ isShort, seed, minutes }: Scale): Promise<Outcome> {
  await using fleet = new Fleet(seed);
  const nodeOptions = jumping(seed, LATE_MS);
  const keepalive = { timeMs: 100, timeoutMs: 5000 };
  const servers = await fleet.startServers(SERVERS, { nodeOptions, options: { keepalive } });
  const target = `static:///${servers.map(({ address }) => address).join(",")}`;
  await fleet.startClients(CLIENTS, target, {}, { nodeOptions });
  await fleet.ready(SERVERS);
  const load = { perSecond: isShort ? 100 : 500, writeShare: 0.4, watchShare: 0.05, sleepMs: 40, timeoutMs: 10_000 };
  fleet.load(await fleet.bearable(load));
  await delay(isShort ? 2500 : (minutes ?? 3) * 60_000);
  const reports = await Promise.all(servers.map((server) => server.report()));
  const { logs: _, faults, ...figures } = await fleet.balance(() => false);
  const lost = reports.flatMap(({ misbehaved }) => Object.entries(misbehaved));
  return { figures, faults: [...faults, ...lost.map(([kind, count]) => `${count} connections were ended: ${kind}`)] };
}

function jumping(seed: number, lateMs: number): string[] {
  return ["--import", `${MODULE}?seed=${seed}&lateMs=${lateMs}`];
}
