import { consul } from "../../packages/bowline/src/registry/consul/consul.ts";
import { entryId } from "../../packages/bowline/src/registry/remote/entry-id.ts";
import { ConsulServer, consulPorts } from "./consul-server.ts";
import { registryContract } from "./contract.ts";
import { ODD_NAMES } from "./harness.ts";
import { realRegistry } from "./suite.ts";

await realRegistry("consul", ["consul"], ([program]) => {
  let server: ConsulServer | undefined;
  registryContract("consul", {
    // It writes each registration to its disk, one after another.
    capabilities: { serviceNames: ODD_NAMES.filter((name) => name !== ".."), manyInstances: 100 },
    patienceMs: 45_000,
    open: async () => {
      const [ports] = await consulPorts(1);
      server = await ConsulServer.start({ program, ports, node: "one" });
    },
    close: () => server?.process.remove(),
    create: (context) => consul({ hosts: server?.address, ttlSeconds: 30 }).create(context),
    stop: () => server?.process.stop(),
    start: () => server?.process.start(),
    lose: async (service, instance) => {
      await server?.request("PUT", `/v1/agent/service/deregister/${entryId(service, instance.id)}`);
    },
    writeBad: async (service) => {
      const bad = [
        { Meta: { bowline: "{no json" }, Port: 1, Address: "10.0.0.1" },
        { Meta: { bowline: "[]" }, Port: 2, Address: "10.0.0.2" },
        { Port: 70_000, Address: "10.0.0.3" },
        { Port: 0, Address: "10.0.0.4" },
        { Port: 80, Address: "no host at all" },
      ];
      for (const [at, entry] of bad.entries()) {
        await server?.request("PUT", "/v1/agent/service/register", {
          ...entry,
          ID: `${service}-bad-${at}`,
          Name: service,
        });
      }
      return bad.length;
    },
  });
});
