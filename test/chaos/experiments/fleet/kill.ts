import { setTimeout as delay } from "node:timers/promises";
import { Code } from "bowline";
import type { Experiment, Outcome, Scale } from "../../experiment.ts";
import type { ChaosServer } from "../../fleet/chaos-server.ts";
import { Fleet } from "../../fleet/fleet.ts";
import { freePorts } from "../../fleet/free-ports.ts";
import type { Failure } from "../../ledger/call-log.ts";
import { rounds } from "../../rounds.ts";

const SERVERS = 3;
const CLIENTS = 2;
/** Within this time after a process is gone calls go elsewhere. */
const MOVED_MS = 100;

/** kill -9: what was running is lost, what may be repeated is. */
export const kill: Experiment = {
  number: 2,
  name: "kill -9",
  promise:
    "no idempotent call fails; others fail with UNAVAILABLE, on the killed instance only, and only if they began within 100 ms of its end",
  fullMinutes: 6,
  needsRoot: false,
  run,
};

/** A server that was killed. */
interface Death {
  readonly address: string;
  readonly atMs: number;
}

async function run(scale: Scale): Promise<Outcome> {
  const { isShort, seed } = scale;
  await using fleet = new Fleet(seed);
  const addresses = (await freePorts(SERVERS, fleet.chance)).map((port) => `127.0.0.1:${port}`);
  const live = await Promise.all(addresses.map((listen) => fleet.startServer({ options: { listen } })));
  await fleet.startClients(CLIENTS, `static:///${addresses.join(",")}`);
  await fleet.ready(SERVERS);
  const most = { perSecond: isShort ? 150 : 250, writeShare: 0.5, sleepMs: 30, timeoutMs: 20_000 };
  const load = await fleet.bearable(most);
  fleet.load(load);
  const deaths: Death[] = [];
  for (const _ of rounds(scale, 3, 100)) {
    await delay(fleet.chance.int(200, 600));
    const place = fleet.chance.int(0, SERVERS - 1);
    const victim = live[place] as ChaosServer;
    victim.kill();
    deaths.push({ address: victim.address, atMs: victim.leftAtMs });
    live[place] = await fleet.startServer({ options: { listen: victim.address } });
    await fleet.ready(SERVERS);
  }
  const stallMs = await fleet.longestStallMs();
  const late: number[] = [];
  const { logs: _, faults, ...figures } = await fleet.balance((failure) => isOfDeath(failure, deaths, stallMs, late));
  return {
    figures: {
      kills: deaths.length,
      perSecond: CLIENTS * load.perSecond,
      ...figures,
      lastFailedAfterMs: Math.max(0, ...late),
      stallMs,
    },
    faults,
  };
}

/** True for a call that a kill explains; notes how long after the kill it began. */
function isOfDeath(failure: Failure, deaths: readonly Death[], stallMs: number, late: number[]): boolean {
  const { kind, code, instance, startedAtMs, endedAtMs } = failure;
  if (kind !== "write" || code !== Code.UNAVAILABLE) return false;
  const death = deaths.find(({ address, atMs }) => {
    const isDuring = startedAtMs <= atMs + MOVED_MS + stallMs && endedAtMs >= atMs;
    return instance.includes(address) && isDuring;
  });
  if (death !== undefined) late.push(startedAtMs - death.atMs);
  return death !== undefined;
}
