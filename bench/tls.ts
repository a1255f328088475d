import { fileURLToPath } from "node:url";
import { closedLoop } from "./harness/load/load.ts";
import { SMALL_WARMUP } from "./harness/measure/pair.ts";
import type { Question } from "./harness/question.ts";
import { grpcGo, nodePair, peersOf } from "./peers/contestants.ts";

/** The certificates of the tests: an authority, a server named 127.0.0.1 and a client. */
function certificate(file: string): string {
  return fileURLToPath(new URL(`../packages/bowline/test/certs/${file}`, import.meta.url));
}

const AUTHORITY = certificate("authority.crt");
const files = (side: string): [string, string] => [certificate(`${side}.crt`), certificate(`${side}.key`)];
const [SERVER, SERVER_KEY] = files("server");
const [CLIENT, CLIENT_KEY] = files("client");

const MUTUAL = {
  serverArgs: ["--cert", SERVER, "--key", SERVER_KEY, "--ca", AUTHORITY],
  clientArgs: ["--cert", CLIENT, "--key", CLIENT_KEY, "--ca", AUTHORITY],
};
const GO_MUTUAL = {
  serverArgs: ["-tls-cert", SERVER, "-tls-key", SERVER_KEY, "-tls-ca", AUTHORITY],
  clientArgs: ["-tls-cert", CLIENT, "-tls-key", CLIENT_KEY, "-tls-ca", AUTHORITY],
};

const TLS = "bowline mTLS";
const GO_TLS = "grpc-go mTLS";

/** What does mutual TLS cost? The ratio is that of Bowline with it to Bowline without. */
export const tls: Question = {
  name: "tls",
  asks: "small unary calls with mutual TLS, against plaintext and grpc-go",
  figures: ["callsPerSecond", "p50Ms", "p99Ms", "clientCpuUs", "serverCpuUs"],
  loads: [1, 10, 100, 1000].map((concurrency) => closedLoop(concurrency)),
  quickLoads: ["1", "100"],
  warmups: [SMALL_WARMUP],
  peers: () =>
    peersOf(
      [nodePair("bowline"), nodePair("bowline", { ...MUTUAL, name: TLS })],
      grpcGo({ ...GO_MUTUAL, name: GO_TLS }),
    ),
  comparisons: [
    { ours: TLS, theirs: "bowline" },
    { ours: TLS, theirs: GO_TLS },
  ],
  bars: [
    {
      what: "mutual TLS, calls/s that stay of plaintext",
      peer: `${TLS} : bowline`,
      load: "100",
      figure: "callsPerSecond",
      kind: "floor",
      must: 0.88,
      goal: 0.94,
    },
  ],
};
