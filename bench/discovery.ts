import { installTool } from "../test/registry/tools.ts";
import { etcdBackend, localBackend } from "./harness/discovery/backend.ts";
import {
  DISCOVERY_LOADS,
  type DiscoveryAmounts,
  etcdContestant,
  localContestant,
} from "./harness/discovery/discovery-contestant.ts";
import { load } from "./harness/load/load.ts";
import type { FigureKey } from "./harness/load/reading.ts";
import type { Contestant } from "./harness/measure/contestant.ts";
import type { Question } from "./harness/question.ts";
import type { Bar } from "./harness/report/report.ts";

const FULL: DiscoveryAmounts = {
  trials: 30,
  kills: 4,
  instances: 5000,
  services: 500,
  registrations: 1000,
  outageMs: 15_000,
};
const QUICK: DiscoveryAmounts = {
  trials: 3,
  kills: 1,
  instances: 500,
  services: 50,
  registrations: 50,
  outageMs: 200,
};
const ETCD = "etcd 3.6";
const LOCAL = "local";
const { reach, kill, instances, services, restart } = DISCOVERY_LOADS;

function ceiling(of: string, load: string, figure: FigureKey, what: string, must: number, goal: number): Bar {
  return { what: `${of}: ${what}`, of, load, figure, kind: "ceiling", must, goal };
}

const BARS: readonly Bar[] = [
  ...[ETCD, LOCAL].flatMap((peer) => [
    ceiling(peer, reach, "p99Ms", "resume() to the first call, p99 ms", 20, 10),
    ceiling(peer, kill, "failedCalls", "idempotent calls that failed after kill -9", 0, 0),
    ceiling(peer, kill, "lastRepeatedMs", "kill -9 to the last call that was repeated, ms", 100, 50),
  ]),
  ceiling(ETCD, instances, "resyncMs", "full read of 5,000 instances, ms", 2000, 500),
  ceiling(ETCD, instances, "blockedMs", "longest blocked loop in it, ms", 50, 20),
  ceiling(ETCD, instances, "instanceBytes", "bytes an instance", 1024, 512),
  ceiling(ETCD, services, "streams", "streams for 500 services", 1, 1),
];

async function contestants(amounts: DiscoveryAmounts): Promise<{
  readonly contestants: readonly Contestant[];
  readonly skipped: Readonly<Record<string, string>>;
}> {
  const embedded = localContestant(LOCAL, localBackend, amounts);
  const etcd = await installTool("etcd-3.6");
  if ("missing" in etcd) return { contestants: [embedded], skipped: { [ETCD]: etcd.missing } };
  const { path } = etcd;
  return { contestants: [etcdContestant(ETCD, path, etcdBackend(path), amounts), embedded], skipped: {} };
}

/** How fast do clients learn what changes in a registry, and what do many instances and services cost? */
export const discovery: Question = {
  name: "discovery",
  asks: "from a change in the registry to the calls, a killed server, 5,000 instances, 500 services: with etcd and embedded",
  figures: [
    "p50Ms",
    "p99Ms",
    "registeredMs",
    "lastRepeatedMs",
    "repeatedCalls",
    "failedCalls",
    "resyncMs",
    "blockedMs",
    "changeMs",
    "instanceBytes",
    "streams",
    "requestsPerSecond",
    "healedMs",
  ],
  loads: Object.values(DISCOVERY_LOADS).map((name) => load(name)),
  quickLoads: Object.values(DISCOVERY_LOADS),
  warmups: [],
  isPinned: false,
  layout: "by-load",
  peers: ({ quick }) => contestants(quick ? QUICK : FULL),
  comparisons: [],
  bars: BARS,
  notes: [
    `${reach}: from server.resume() in one process to the end of the first call that it answers, ${FULL.trials} times a round; the client makes one call after the other and has four other servers all the time. "registered" is what resume() itself took at the median: two writes of etcd to its disk.`,
    `${kill}: SIGKILL to one of two servers, ${FULL.kills} times a round, with 16 idempotent calls in flight and the client's own two attempts; counted up to 1.5 s after it.`,
    `${instances}: ${FULL.instances} of one service, read by a fresh process; a change is another weight of one of them; memory is heap after a collection of garbage, with the set that a channel keeps. ${services}: ${FULL.services} services of one instance, watched by one process; streams are counted by etcd.`,
    `${restart}: ${FULL.registrations} registrations with connections and leases of their own, in one process; etcd is killed and is back after ${FULL.outageMs / 1000} s, when all leases are over. Requests in the worst second, as etcd counts them, and the time until all are registered again.`,
    "With --quick there are fewer of all these.",
  ],
};
