import { buildGoPrograms, GO_PROGRAMS_MISSING } from "../test/peers/go-programs.ts";
import { buildTonicPeer, TONIC_PEER_MISSING } from "../test/peers/tonic-program.ts";
import { h2loadDriver } from "./harness/h2load/h2load-driver.ts";
import { NGHTTP2_TOOLS_MISSING, nghttp2Tools, nghttpdServer } from "./harness/h2load/nghttp2-tools.ts";
import { load } from "./harness/load/load.ts";
import type { Contestant } from "./harness/measure/contestant.ts";
import { pairContestant, type ServerSource } from "./harness/measure/pair.ts";
import type { Peers, Question } from "./harness/question.ts";
import { grpcGoServer, needed, nodeServer, peersOf, tonicServer } from "./peers/contestants.ts";

const LOAD = load("100 streams", { concurrency: 100 });
const NAMES = ["bowline", "nghttpd", "tonic", "grpc-go", "grpc-js", "node-http2"];
const CPU = { load: LOAD.name, figure: "serverCpuUs", kind: "ceiling" } as const;

/** What does a call cost each server, when the same foreign client calls them all? */
export const server: Question = {
  name: "server",
  asks: "servers alone under h2load, one connection with 100 streams: CPU time of a unary call",
  figures: ["serverCpuUs", "callsPerSecond"],
  loads: [LOAD],
  quickLoads: [LOAD.name],
  warmups: [LOAD],
  peers,
  comparisons: NAMES.slice(1).map((theirs) => ({ ours: "bowline", theirs })),
  bars: [
    { what: "server CPU vs nghttpd (C)", peer: "nghttpd", ...CPU, must: 1.3, goal: 0.8 },
    { what: "server CPU vs tonic", peer: "tonic", ...CPU, must: 1 / 2, goal: 1 / 4 },
    { what: "server CPU vs grpc-go", peer: "grpc-go", ...CPU, must: 1 / 4, goal: 1 / 7 },
  ],
  notes: [
    "h2load sends the same header block in each request, without deadline and trace. nghttpd does no gRPC: it answers with a file of the same size, without trailers.",
  ],
};

function peers(): Peers {
  const tools = nghttp2Tools();
  if (tools === undefined) {
    return { contestants: [], skipped: Object.fromEntries(NAMES.map((name) => [name, NGHTTP2_TOOLS_MISSING])) };
  }
  const driver = h2loadDriver(tools.h2load, tools.body);
  const alone = (name: string, source: ServerSource): Contestant => pairContestant({ name, server: source, driver });
  return peersOf(
    [
      alone("bowline", nodeServer("bowline")),
      alone("nghttpd", nghttpdServer(tools)),
      alone("grpc-js", nodeServer("grpc-js")),
      alone("node-http2", nodeServer("node-http2")),
    ],
    needed("tonic", buildTonicPeer(), TONIC_PEER_MISSING, (path) => [alone("tonic", tonicServer(path))]),
    needed("grpc-go", buildGoPrograms("grpcgo-server"), GO_PROGRAMS_MISSING, (folder) => [
      alone("grpc-go", grpcGoServer(folder)),
    ]),
  );
}
