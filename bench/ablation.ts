import { closedLoop } from "./harness/load/load.ts";
import type { Contestant } from "./harness/measure/contestant.ts";
import { SMALL_WARMUP } from "./harness/measure/pair.ts";
import type { Question } from "./harness/question.ts";
import { nodePair, peersOf } from "./peers/contestants.ts";

/** Built-in layers of a client that can be left out. */
export const CLIENT_LAYERS: readonly string[] = ["trace", "metrics", "deadline", "retry"];
/** Those of a server. */
export const SERVER_LAYERS: readonly string[] = ["trace", "metrics", "deadline"];
const ALL_OFF = "without all";

function without(name: string, leftOut: readonly string[]): Contestant {
  const args = (layers: readonly string[]): string[] => {
    const own = layers.filter((layer) => leftOut.includes(layer));
    return own.length === 0 ? [] : ["--without", own.join(",")];
  };
  return nodePair("bowline", { name, clientArgs: args(CLIENT_LAYERS), serverArgs: args(SERVER_LAYERS) });
}

const ABLATIONS: readonly Contestant[] = [
  ...CLIENT_LAYERS.map((layer) => without(`without ${layer}`, [layer])),
  without(ALL_OFF, CLIENT_LAYERS),
];

/** What does each built-in layer cost? It is left out on both sides; the ratio is that of everything on to that. */
export const ablation: Question = {
  name: "ablation",
  asks: "Bowline with everything on against itself without trace, metrics, deadline, retry, and without all of them",
  figures: ["callsPerSecond", "p50Ms", "p99Ms", "clientCpuUs", "serverCpuUs"],
  loads: [100, 1000].map((concurrency) => closedLoop(concurrency)),
  quickLoads: ["100"],
  warmups: [SMALL_WARMUP],
  peers: () => peersOf([nodePair("bowline"), ...ABLATIONS]),
  comparisons: ABLATIONS.map(({ name }) => ({ ours: "bowline", theirs: name })),
  bars: [
    {
      what: "all layers on, calls/s that stay of all off",
      peer: ALL_OFF,
      load: "100",
      figure: "callsPerSecond",
      kind: "floor",
      must: 0.7,
      goal: 0.85,
    },
  ],
  notes: ["The context in AsyncLocalStorage and the choice of an endpoint have no switch: they are on in all rows."],
};
