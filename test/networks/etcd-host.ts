import type { Host } from "../chaos/network/host.ts";
import { ServerProcess } from "../registry/server-process.ts";

/** Port of etcd on its host. */
export const ETCD_PORT = 2379;

/** Waits in the host's own network: nothing of it can be reached from here. A start of Node for each look would cost more than etcd does. */
const AWAIT_HEALTH = `
const end = performance.now() + 20_000;
for (;;) {
  const health = await fetch("http://127.0.0.1:${ETCD_PORT}/health").then((answer) => answer.json()).catch(() => ({}));
  if (health.health === "true") break;
  if (performance.now() > end) process.exit(1);
  await new Promise((resolve) => setTimeout(resolve, 50));
}`;

/** Starts etcd on a host, for clients on all its addresses. It ends with this process at the latest. */
export function startEtcd(host: Host, program: string): Promise<ServerProcess> {
  const url = `http://${host.address()}:${ETCD_PORT}`;
  const peers = "http://127.0.0.1:2380";
  const flags = [
    ["--name", "m0"],
    ["--listen-client-urls", `http://[::]:${ETCD_PORT}`],
    ["--advertise-client-urls", url],
    ["--listen-peer-urls", peers],
    ["--initial-advertise-peer-urls", peers],
    ["--initial-cluster", `m0=${peers}`],
    ["--log-level", "error"],
  ];
  return ServerProcess.start({
    program: "ip",
    args: (folder) => ["netns", "exec", host.namespace, program, ...flags.flat(), "--data-dir", `${folder}/data`],
    readyWithinMs: 60_000,
    isReady: async () => {
      const args = ["--input-type=module", "--eval", AWAIT_HEALTH];
      return (await host.execute({ command: process.execPath, args })).exitCode === 0;
    },
  });
}
