import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** Programs that test/registry/tools/get knows. */
export type ToolName =
  | "etcd-3.7"
  | "etcd-3.6"
  | "etcd-3.5"
  | "etcd-debian"
  | "etcdctl"
  | "consul"
  | "kube-apiserver"
  | "nacos"
  | "eureka";

const GET = fileURLToPath(new URL("./tools/get", import.meta.url));

/** A program's path, or why it can't be had on this machine. */
export type Tool = { readonly path: string } | { readonly missing: string };

/** Names of those that may be installed now, by commas; all when it is not set. */
export const BUILDS_VARIABLE = "BOWLINE_REGISTRY_BUILDS";

/**
 * Installs a program unless it is there: builds of Go programs take minutes the first time. One that {@link BUILDS_VARIABLE} does not allow
 * is used only if it is there. Never rejects.
 */
export function installTool(name: ToolName): Promise<Tool> {
  const { promise, resolve } = Promise.withResolvers<Tool>();
  const allowed = process.env[BUILDS_VARIABLE];
  const mayInstall = allowed === undefined || allowed.split(",").includes(name);
  const get = spawn("bash", [GET, ...(mayInstall ? [] : ["present"]), name], { stdio: ["ignore", "pipe", "pipe"] });
  let path = "";
  let log = "";
  get.stdout.setEncoding("utf8").on("data", (text: string) => {
    path += text;
  });
  get.stderr.setEncoding("utf8").on("data", (text: string) => {
    log += text;
    process.stderr.write(text);
  });
  get.on("error", (error) => resolve({ missing: `test/registry/tools/get can't be run: ${error.message}` }));
  get.on("close", (code) => resolve(code === 0 ? { path: path.trim() } : { missing: reasonIn(log) }));
  return promise;
}

/** `get` ends its log with a line that something "could not be installed"; the line before it says why. */
function reasonIn(log: string): string {
  const lines = log.trim().split("\n");
  return (lines.findLast((line) => !line.endsWith("could not be installed")) ?? "").replace(/^get: /, "");
}
