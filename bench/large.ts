import { load } from "./harness/load/load.ts";
import type { Question } from "./harness/question.ts";
import { grpcGo, nodePair, peersOf } from "./peers/contestants.ts";

const MEBIBYTE = 1024 * 1024;
const ECHO = { messageBytes: MEBIBYTE } as const;
const LOADS = [
  load("1 echo", ECHO),
  load("8 echoes", { ...ECHO, concurrency: 8 }),
  load("1 down", { ...ECHO, method: "serverStream", messagesPerCall: 64 }),
];
const ECHOES = LOADS.slice(0, 2).map((each) => each.name);

/** How fast do large messages go? Echo: 1 MiB there and back in a unary call. Down: server streams of 64 messages of 1 MiB. */
export const large: Question = {
  name: "large",
  asks: "messages of 1 MiB: MB/s in one direction, against a bare socket that copies them, grpc-js and grpc-go",
  figures: ["megabytesPerSecond", "p50Ms", "p99Ms", "clientCpuUs", "serverCpuUs"],
  loads: LOADS,
  quickLoads: LOADS.map((each) => each.name),
  warmups: [LOADS[1]],
  peers: () =>
    peersOf([nodePair("bowline"), nodePair("grpc-js"), nodePair("bare-framing", { only: ECHOES })], grpcGo()),
  comparisons: ["grpc-js", "grpc-go", "bare-framing"].map((theirs) => ({ ours: "bowline", theirs })),
  bars: ECHOES.map((each) => ({
    what: `1 MiB ${each} vs a bare socket that copies`,
    peer: "bare-framing",
    load: each,
    figure: "megabytesPerSecond",
    kind: "floor",
    must: 0.5,
    goal: 0.75,
  })),
};
