import { fileURLToPath } from "node:url";
import type { Program } from "../../test/peers/child.ts";
import { readConnectOutput } from "../harness/connect-output.ts";
import { runProgram } from "../harness/run-program.ts";
import type { Suite } from "../harness/suite.ts";
import { installTools } from "../harness/tools.ts";
import { complete } from "./h2spec.ts";
import { ownProgram } from "./program-path.ts";

const CONFIG = fileURLToPath(new URL("./connect.yaml", import.meta.url));
const TIMEOUT_MS = 300_000;

/** The runner's clients, one on connect-go and one on grpc-go, call our server. */
export const connectServer: Suite = connect(
  "server",
  1862,
  "our server, by the clients of Connect's conformance runner (connect-go and grpc-go)",
);

/** Our client calls the runner's servers, which can also be told to misbehave. */
export const connectClient: Suite = connect(
  "client",
  2282,
  "our client, by the servers of Connect's conformance runner (connect-go and grpc-go)",
);

/** Our client and our server, where the runner only judges. */
export const connectSelf: Suite = connect(
  "both",
  1530,
  "our client on our server, by the cases of Connect's conformance runner",
);

/** `cases`: what the runner makes of connect.yaml; a run of fewer has failed. */
function connect(mode: "server" | "client" | "both", cases: number, about: string): Suite {
  return {
    name: `connect-${mode === "both" ? "self" : mode}`,
    about,
    prepare: () => installTools("connectconformance"),
    run: async ({ connectconformance }) => {
      const args = ["--mode", mode, "--conf", CONFIG, "--vv", "--", ...commandOf(mode)];
      const { stdout, stderr } = await runProgram(connectconformance, args, TIMEOUT_MS);
      const output = `${stdout}\n${stderr}`;
      return complete(readConnectOutput(output), cases, output);
    },
  };
}

function commandOf(mode: "server" | "client" | "both"): readonly string[] {
  const words = ({ command, args }: Program): readonly string[] => [command, ...args];
  const [client, server] = [words(ownProgram("connect/client", [])), words(ownProgram("connect/server", []))];
  if (mode === "both") return [...client, "----", ...server];
  return mode === "client" ? client : server;
}
