import { load } from "./harness/load/load.ts";
import type { Question } from "./harness/question.ts";
import { grpcGo, nodePair, peersOf } from "./peers/contestants.ts";

const DOWN = { method: "serverStream", messagesPerCall: 10_000, messageBytes: 100 } as const;
const PING = { method: "bidi" } as const;

const LOADS = [
  load("1 down", DOWN),
  load("10 down", { ...DOWN, concurrency: 10 }),
  load("1 ping-pong", PING),
  load("100 ping-pong", { ...PING, concurrency: 100 }),
];

/**
 * What does a message of a stream cost?
 *
 * Down: server streams of 10,000 messages of 100 bytes. Ping-pong: bidirectional streams that stay open, with one message of 24 bytes under
 * way on each.
 */
export const stream: Question = {
  name: "stream",
  asks: "streams of small messages: rate and CPU time of a message, against grpc-js and grpc-go",
  figures: ["messagesPerSecond", "p50Ms", "p99Ms", "clientCpuUs", "serverCpuUs"],
  loads: LOADS,
  quickLoads: LOADS.map((each) => each.name),
  warmups: [LOADS[1], LOADS[3]],
  peers: () => peersOf([nodePair("bowline"), nodePair("grpc-js")], grpcGo()),
  comparisons: ["grpc-js", "grpc-go"].map((theirs) => ({ ours: "bowline", theirs })),
  bars: [
    {
      what: "server stream of 100-byte messages vs grpc-js",
      peer: "grpc-js",
      load: "1 down",
      figure: "messagesPerSecond",
      kind: "floor",
      must: 10,
      goal: 25,
    },
  ],
};
