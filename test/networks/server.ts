// A server of peer.v1.Echo in etcd: node server.ts PLAN. Prints {"registered": [...]}, then {"warning": text} for what it logs.
import { createServer } from "bowline";
import { etcd } from "bowline/registry/etcd";
import { Echo } from "../gen/peer/v1/echo_rpc.ts";
import { echoHandlers } from "../peers/echo-handlers.ts";
import { printLine } from "../peers/peer-lines.ts";
import type { ServerPlan } from "./server-plan.ts";

const plan = JSON.parse(process.argv[2]) as ServerPlan;
const server = createServer({
  name: plan.name,
  listen: plan.listen,
  registry: etcd({ hosts: [plan.registry], ttlSeconds: 3 }),
  advertise: plan.advertise,
  instanceId: plan.id,
  drainAcceptMs: 0,
  logger: {
    info() {},
    warn: (_fields, warning) => printLine({ warning }),
    error: (_fields, warning) => printLine({ warning }),
  },
});
server.add(Echo, echoHandlers(plan.id));
await server.start();
process.stdin.on("end", () => void server.close()).resume();
const addresses = server.registration?.addresses ?? [];
printLine({
  registered: addresses.map(({ network, address }) => (network === "" ? address : `${network}=${address}`)),
});
