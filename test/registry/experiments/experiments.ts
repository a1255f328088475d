import type { ToolName } from "../tools.ts";
import { endWithoutAgent } from "./consul-ended.ts";
import { killConsulLeaders, resetBehindClients, resetConsulIndex } from "./consul-experiments.ts";
import { killLeaders, lagAndCompact, loseQuorum, pauseRegistrar, restartTogether } from "./etcd-experiments.ts";
import type { Figures } from "./etcd-fleet.ts";
import { restartApiServer } from "./kubernetes-experiments.ts";
import { loseNacosPushes, restartNacos } from "./nacos-experiments.ts";
import { vanishAll } from "./vanishing-set.ts";

/** What a figure has to be. */
export interface Limits {
  readonly atMost?: number;
  readonly atLeast?: number;
}

/** One experiment with real products. */
export interface Experiment {
  /** `16-leader-kills`: its number first. */
  readonly name: string;
  /** Programs that it needs, in the order in which `run` takes their paths. */
  readonly tools: readonly ToolName[];
  readonly run: (programs: readonly string[], isShort: boolean) => Promise<Figures>;
  /** What it takes to pass. */
  readonly limits: Readonly<Record<string, Limits>>;
}

const MINUTE_MS = 60_000;
const TTL_MS = 10_000;
/** A third of the life of a lease. */
const HEARTBEAT_MS = TTL_MS / 3;
/** etcd's election timeout is 1 s, and it may take more than one. */
const ELECTION_MS = 5000;
/** Between two beats of a client of Nacos. */
const NACOS_BEAT_MS = 5000;
/**
 * Until a Consul server that was restarted has told the catalog what is on its disk: while it finds no leader it tries again after 0.4,
 * 0.9, 1.8 and 3.5 s (agent/consul/rpc.go, `getWaitTime`).
 */
const CONSUL_SYNC_MS = 4000;
const ETCD: readonly ToolName[] = ["etcd-3.6"];
const NONE: Limits = { atMost: 0 };
/** What no watcher may ever do. */
const SOUND: Readonly<Record<string, Limits>> = { resurrections: NONE, goneBack: NONE };

/** All of them, in the order of their numbers. */
export const EXPERIMENTS: readonly Experiment[] = [
  {
    name: "15-all-vanish",
    tools: ETCD,
    run: ([etcd], isShort) => vanishAll(etcd, isShort ? 1 : 10),
    limits: { failedCalls: NONE, calls: { atLeast: 1000 } },
  },
  {
    name: "16-leader-kills",
    tools: ETCD,
    run: ([etcd], isShort) =>
      isShort ? killLeaders(etcd, 20_000, 4000, 50) : killLeaders(etcd, 30 * MINUTE_MS, 30_000, 50),
    limits: {
      ...SOUND,
      trueAfterQuietMs: { atMost: 2000 },
      longestMissingMs: { atMost: HEARTBEAT_MS },
      longestDeadSinceKillMs: { atMost: TTL_MS + ELECTION_MS },
    },
  },
  {
    name: "17-lag-and-compaction",
    tools: ETCD,
    run: ([etcd], isShort) => lagAndCompact(etcd, isShort ? 4 : 20),
    limits: { ...SOUND, missed: NONE },
  },
  {
    name: "18-quorum-lost",
    tools: ETCD,
    run: ([etcd], isShort) => loseQuorum(etcd, isShort ? 12_000 : 5 * MINUTE_MS),
    limits: { goneBack: NONE, keptInOutage: { atLeast: 1 }, longestMissingMs: { atMost: HEARTBEAT_MS } },
  },
  {
    name: "19-paused-registrar",
    tools: ETCD,
    run: ([etcd], isShort) => pauseRegistrar(etcd, isShort ? 1 : 10),
    limits: { slowestGoneMs: { atMost: TTL_MS + 1000 }, slowestBackMs: { atMost: 1000 } },
  },
  {
    name: "20-consul-leader-kills",
    tools: ["consul"],
    run: ([consul], isShort) => killConsulLeaders(consul, isShort ? 2 : 7),
    limits: { ...SOUND, trueAfterQuietMs: { atMost: 2000 }, longestMissingMs: { atMost: HEARTBEAT_MS } },
  },
  {
    name: "20-consul-index-reset",
    tools: ["consul"],
    run: ([consul], isShort) => resetConsulIndex(consul, isShort ? 1 : 10),
    limits: {
      ...SOUND,
      furthestReset: { atLeast: 1 },
      slowestTruthMs: { atMost: 2000 },
      longestMissingMs: { atMost: HEARTBEAT_MS },
    },
  },
  {
    name: "20-consul-reset-behind-clients",
    tools: ["consul"],
    run: ([consul], isShort) => resetBehindClients(consul, isShort ? 2 : 9),
    limits: { ...SOUND, trueAfterQuietMs: { atMost: 2000 }, longestMissingMs: { atMost: HEARTBEAT_MS } },
  },
  ...[1, 3].map(
    (servers): Experiment => ({
      name: `20-consul-ended-${servers}`,
      tools: ["consul"],
      run: ([consul], isShort) => endWithoutAgent(consul, servers, isShort ? 2 : 4),
      limits: {
        ...SOUND,
        closedGoneMs: { atMost: servers === 1 ? CONSUL_SYNC_MS : 2000 },
        killedGoneMs: { atMost: CONSUL_SYNC_MS },
        longestMissingMs: { atMost: HEARTBEAT_MS },
      },
    }),
  ),
  {
    name: "20-kubernetes-restart",
    tools: ["kube-apiserver", "etcd-3.6"],
    run: ([apiServer, etcd], isShort) => restartApiServer(apiServer, etcd, isShort ? 1 : 10),
    limits: { ...SOUND, missed: NONE, slowestTruthMs: { atMost: 2000 } },
  },
  {
    name: "20-nacos-restart",
    tools: ["nacos"],
    run: ([nacos], isShort) => restartNacos(nacos, isShort ? 1 : 7),
    limits: { ...SOUND, longestMissingMs: { atMost: NACOS_BEAT_MS }, slowestTruthMs: { atMost: 2000 } },
  },
  {
    name: "20-nacos-pushes-lost",
    tools: ["nacos"],
    run: ([nacos], isShort) => loseNacosPushes(nacos, isShort ? 2 : 8),
    limits: { ...SOUND, unseen: { atLeast: 1 }, missed: NONE, slowestTruthMs: { atMost: 2000 } },
  },
  {
    name: "restart-together",
    tools: ETCD,
    run: ([etcd], isShort) => restartTogether(etcd, isShort ? 200 : 1000),
    // A lease, a put, two watches and a renewal each, at most twice.
    limits: { missing: NONE, peakRequestsPerSecond: { atMost: 10_000 } },
  },
];

/** What of the figures is not as it has to be, a sentence each. */
export function shortfalls(figures: Figures, limits: Experiment["limits"]): string[] {
  return Object.entries(limits).flatMap(([name, { atMost = Infinity, atLeast = -Infinity }]) => {
    const value = figures[name] ?? Number.NaN;
    if (value <= atMost && value >= atLeast) return [];
    const wanted = atMost === Number.POSITIVE_INFINITY ? `at least ${atLeast}` : `at most ${Math.round(atMost)}`;
    return [`${name} is ${Math.round(value)}, ${wanted} was wanted`];
  });
}
