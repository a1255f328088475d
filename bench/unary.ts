import { closedLoop, load, openLoopAtHalf } from "./harness/load/load.ts";
import { SMALL_WARMUP } from "./harness/measure/pair.ts";
import type { Question } from "./harness/question.ts";
import type { Bar } from "./harness/report/report.ts";
import { GRPC_GO_ON_BOWLINE, goZero, grpcGo, grpcGoOnBowline, nodePair, peersOf, tonic } from "./peers/contestants.ts";
import { unaryMessages } from "./unary-messages.ts";

const CLOSED = ["1", "10", "100", "1000"];

const AT_100 = { load: "100", figure: "callsPerSecond", kind: "floor" } as const;
const SERVER_CPU = { load: "100", figure: "serverCpuUs", kind: "ceiling" } as const;

const BARS: readonly Bar[] = [
  { what: "100 in flight vs grpc-js", peer: "grpc-js", ...AT_100, must: 20, goal: 40 },
  { what: "100 in flight vs grpc-go", peer: "grpc-go", ...AT_100, must: 3, goal: 5 },
  { what: "server CPU vs grpc-go", peer: "grpc-go", ...SERVER_CPU, must: 1 / 4, goal: 1 / 8 },
  { what: "100 in flight vs tonic", peer: "tonic", ...AT_100, must: 2, goal: 4 },
  { what: "server CPU vs tonic", peer: "tonic", ...SERVER_CPU, must: 1 / 2, goal: 1 / 5 },
  { what: "100 in flight vs go-zero", peer: "go-zero", ...AT_100, must: 6, goal: 12 },
  { what: "server CPU vs go-zero", peer: "go-zero", ...SERVER_CPU, must: 1 / 8, goal: 1 / 16 },
  { what: "100 in flight vs bare framing", peer: "bare-framing", ...AT_100, must: 0.45, goal: 0.7 },
  { what: "server CPU of a call, µs", ...SERVER_CPU, must: 2, goal: 1 },
  { what: "client CPU of a call, µs", ...SERVER_CPU, figure: "clientCpuUs", must: 1.8, goal: 0.9 },
  {
    what: "latency of one call vs a bare socket",
    peer: "socket-echo",
    load: "1",
    figure: "p50Ms",
    kind: "ceiling",
    must: 1.25,
    goal: 1.05,
  },
  { what: "100 connections vs grpc-go", peer: "grpc-go", ...AT_100, load: "100 connections", must: 2, goal: 3.5 },
  {
    what: "grpc-go's client, server CPU on ours vs on grpc-go's",
    peer: `${GRPC_GO_ON_BOWLINE} : grpc-go`,
    ...SERVER_CPU,
    must: 1 / 4,
    goal: 1 / 7,
  },
];

/**
 * How many small unary calls does one core a side make, and what does a call cost?
 *
 * Bowline has everything on, a deadline that differs in each call and a trace of its own; its peers have neither.
 */
export const unary: Question = {
  name: "unary",
  asks: "small unary calls: rate, latency and CPU time, against other frameworks and the bare socket",
  figures: ["callsPerSecond", "p50Ms", "p99Ms", "clientCpuUs", "serverCpuUs"],
  loads: [
    ...[1, 10, 100, 1000].map((concurrency) => closedLoop(concurrency)),
    load("100 connections", { concurrency: 100, connections: 100 }),
    openLoopAtHalf(),
  ],
  quickLoads: ["1", "100"],
  warmups: [SMALL_WARMUP],
  // What is slow to measure, or known well enough, has fewer loads: the whole takes 11 minutes.
  peers: () =>
    peersOf(
      [
        nodePair("bowline"),
        nodePair("grpc-js", { only: CLOSED }),
        nodePair("connect-node", { only: ["100"] }),
        nodePair("node-http2", { only: ["1", "100"] }),
        nodePair("bare-framing", { only: CLOSED }),
        nodePair("socket-echo", { only: ["1"] }),
      ],
      grpcGo(),
      grpcGoOnBowline({ only: ["1", "100", "1000", "100 connections"] }),
      tonic({ only: CLOSED }),
      goZero({ only: ["100"] }),
    ),
  comparisons: [
    ...["grpc-js", "connect-node", "node-http2", "grpc-go", "go-zero", "tonic", "bare-framing", "socket-echo"].map(
      (theirs) => ({ ours: "bowline", theirs }),
    ),
    { ours: GRPC_GO_ON_BOWLINE, theirs: "grpc-go" },
  ],
  bars: BARS,
  withMessages: unaryMessages,
};
