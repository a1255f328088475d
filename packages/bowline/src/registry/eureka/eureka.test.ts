import { registryContract } from "../../../../../test/registry/contract.ts";
import { EurekaServer } from "../../../test/eureka-server.ts";
import { entryId } from "../remote/entry-id.ts";
import { eureka } from "./eureka.ts";
import { appName } from "./format.ts";

let server: EurekaServer;
registryContract("eureka", {
  capabilities: { manyInstances: 300 },
  patienceMs: 30_000,
  open: async () => {
    server = await EurekaServer.start();
  },
  close: () => server.close(),
  // It renews each 2 s: what is lost is missed before that.
  create: (context) => eureka({ hosts: server.address, ttlSeconds: 6, refreshSeconds: 0.2 }).create(context),
  stop: () => server.peer.goAway(),
  start: () => server.peer.comeBack(),
  lose: (service, instance) => void server.remove(appName(service), entryId(service, instance.id)),
  writeBad: (service) => {
    const port = { $: 80, "@enabled": "true" };
    const bad = [
      { ipAddr: "10.0.0.1", port, metadata: { bowline: "{no json" } },
      { ipAddr: "10.0.0.2", port: { $: 70_000, "@enabled": "true" } },
      { ipAddr: "10.0.0.3", port: { $: 80, "@enabled": "false" } },
      { hostName: "no host at all", port },
      { hostName: "x".repeat(2 ** 20), port },
    ];
    server.put(...bad.map((each, at) => ({ ...each, instanceId: `bad-${at}`, app: appName(service), status: "UP" })));
    return bad.length;
  },
});
