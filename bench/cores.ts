import { load } from "./harness/load/load.ts";
import type { Contestant } from "./harness/measure/contestant.ts";
import type { Question } from "./harness/question.ts";
import { nodePair, peersOf } from "./peers/contestants.ts";

/** CPU time that the handler burns in each call, in µs: the client's share of both cores stays small beside it. */
const BURN_US = "500";
const LOAD = load("32 in flight", { concurrency: 32, connections: 16 });
const ONE = "1 worker";
const TWO_SHARED = "2 workers one port";
const TWO_OWN = "2 workers two ports";

function workers(name: string, count: string, ports: string): Contestant {
  return nodePair("bowline", {
    name,
    serverArgs: ["--burn", BURN_US, "--workers", count, "--ports", ports],
    isPinned: false,
  });
}

/** How much more do two workers serve than one, when the machine has two cores for them? */
export const cores: Question = {
  name: "cores",
  asks: "two workers against one: calls whose handler burns 500 µs of CPU",
  figures: ["callsPerSecond", "p50Ms", "p99Ms", "clientCpuUs"],
  loads: [LOAD],
  quickLoads: [LOAD.name],
  warmups: [LOAD],
  peers: () => peersOf([workers(ONE, "1", "shared"), workers(TWO_SHARED, "2", "shared"), workers(TWO_OWN, "2", "own")]),
  comparisons: [TWO_SHARED, TWO_OWN].map((ours) => ({ ours, theirs: ONE })),
  bars: [],
  isPinned: false,
  notes: [
    `Driven by one client process over 16 connections, 32 calls in flight; each handler burns ${BURN_US} µs. No process is bound to a core: the client takes its share of the cores too, the column "client µs" tells how much. A second worker can't bring more than the machine has cores for.`,
  ],
};
