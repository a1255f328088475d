import { closedLoop, openLoopAtHalf } from "./harness/load/load.ts";
import { SMALL_WARMUP } from "./harness/measure/pair.ts";
import type { Question } from "./harness/question.ts";
import { generateProtobufjs } from "./libraries/protobufjs.ts";
import { CALL_KINDS, isCallKind } from "./messages/answers.ts";
import { writeRequestFile } from "./messages/request-file.ts";
import { grpcGo, nodePair, peersOf } from "./peers/contestants.ts";

const AT_100 = { load: "100", figure: "callsPerSecond", kind: "floor" } as const;
const CLOSED = ["1", "10", "100", "1000"];

/**
 * How many unary calls with typed messages does one core a side make? A server decodes each request, its handler makes the answer of it,
 * and that is encoded.
 *
 * @throws Error for a kind that bench.v1.Bench has no method for
 */
export function unaryMessages(kind: string): Question {
  if (!isCallKind(kind)) throw new Error(`--messages ${kind}: give one of ${CALL_KINDS.join(", ")}`);
  const node = { roles: { server: "message-server", client: "message-client" }, clientArgs: ["--messages", kind] };
  return {
    name: `unary ${kind}`,
    asks: `unary calls with messages of the kind ${kind}, encoded and decoded at both sides`,
    figures: ["callsPerSecond", "p50Ms", "p99Ms", "clientCpuUs", "serverCpuUs"],
    loads: [...CLOSED.map((name) => closedLoop(Number(name))), openLoopAtHalf()],
    quickLoads: ["1", "100"],
    warmups: [SMALL_WARMUP],
    peers: () => {
      generateProtobufjs();
      const requests = writeRequestFile(kind);
      return peersOf(
        [
          nodePair("bowline", node),
          nodePair("grpc-js", { ...node, only: CLOSED }),
          nodePair("connect-node", { ...node, only: ["100"] }),
        ],
        grpcGo({ clientArgs: ["-message", kind, "-requests", requests] }),
      );
    },
    comparisons: ["grpc-js", "connect-node", "grpc-go"].map((theirs) => ({ ours: "bowline", theirs })),
    bars: [
      { what: "100 in flight vs grpc-js", peer: "grpc-js", ...AT_100, must: 20, goal: 30 },
      { what: "100 in flight vs grpc-go", peer: "grpc-go", ...AT_100, must: 3, goal: 5 },
      {
        what: "server CPU vs grpc-go",
        peer: "grpc-go",
        ...AT_100,
        figure: "serverCpuUs",
        kind: "ceiling",
        must: 1 / 3,
        goal: 1 / 5,
      },
    ],
    notes: [
      "grpc-js has the static code of protobufjs as its serialize and deserialize, connect-node has protobuf-es, grpc-go what protoc-gen-go generates.",
      "Requests are 64 different messages in turns. Each answer is looked at; the first to each message in full (grpc-go: not in full).",
    ],
  };
}
