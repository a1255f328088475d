import { load } from "./harness/load/load.ts";
import { type MemoryAmounts, memoryContestant } from "./harness/memory/memory-contestant.ts";
import type { Question } from "./harness/question.ts";
import { go, grpcGoServer, type NodePeer, nodeProgram, nodeServer, peersOf } from "./peers/contestants.ts";

const AMOUNTS: MemoryAmounts = { connections: 4000, openCalls: 5000 };
const QUICK: MemoryAmounts = { connections: 100, openCalls: 100 };
const GC = ["--expose-gc"];

const LOAD = "open";
const KIBIBYTE = 1024;

/** How much memory do an idle connection and an open call take? */
export const memory: Question = {
  name: "memory",
  asks: "bytes of an idle connection and of an open call, against grpc-js and grpc-go",
  figures: ["idleConnectionRssBytes", "idleConnectionHeapBytes", "openCallServerHeapBytes", "openCallClientHeapBytes"],
  loads: [load(LOAD)],
  quickLoads: [LOAD],
  warmups: [],
  isPinned: false,
  peers: ({ quick }) => {
    const amounts = quick ? QUICK : AMOUNTS;
    const node = (name: NodePeer) =>
      memoryContestant(
        { name, server: nodeServer(name, [], GC), client: nodeProgram(name, "open-client", [], GC) },
        amounts,
      );
    return peersOf(
      [node("bowline"), node("grpc-js")],
      go(["grpcgo-server"], "grpc-go", (folder) => [
        memoryContestant({ name: "grpc-go", server: grpcGoServer(folder) }, amounts),
      ]),
    );
  },
  comparisons: ["grpc-js", "grpc-go"].map((theirs) => ({ ours: "bowline", theirs })),
  bars: [
    {
      what: "idle server connection, bytes of RSS",
      load: LOAD,
      figure: "idleConnectionRssBytes",
      kind: "ceiling",
      must: 16 * KIBIBYTE,
      goal: 8 * KIBIBYTE,
    },
    ...(["openCallServerHeapBytes", "openCallClientHeapBytes"] as const).map((figure) => ({
      what: `open call, bytes of heap at the ${figure === "openCallServerHeapBytes" ? "server" : "client"}`,
      load: LOAD,
      figure,
      kind: "ceiling" as const,
      must: 3 * KIBIBYTE,
      goal: 1.5 * KIBIBYTE,
    })),
  ],
  notes: [
    "A connection has made one call and is idle; RSS and heap (with memory outside of it; grpc-go: heap and stacks) of the server.",
    "An open call has a deadline of its own; the handler waits for the end of the call.",
  ],
};
