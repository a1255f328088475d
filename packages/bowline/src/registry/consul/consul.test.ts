import { registryContract } from "../../../../../test/registry/contract.ts";
import { ODD_NAMES } from "../../../../../test/registry/harness.ts";
import { ConsulAgent } from "../../../test/consul-agent.ts";
import { entryId } from "../remote/entry-id.ts";
import { consul } from "./consul.ts";

let agent: ConsulAgent;
registryContract("consul", {
  capabilities: { serviceNames: ODD_NAMES.filter((name) => name !== ".."), manyInstances: 300 },
  patienceMs: 20_000,
  open: async () => {
    agent = await ConsulAgent.start();
  },
  close: () => agent.close(),
  create: (context) => consul({ hosts: agent.address, ttlSeconds: 2 }).create(context),
  stop: () => agent.peer.goAway(),
  start: () => agent.peer.comeBack(),
  lose: (service, instance) => agent.lose(entryId(service, instance.id)),
  writeBad: (service) => {
    const bad = [
      { Meta: { bowline: "{no json" }, Port: 1, Address: "10.0.0.1" },
      { Meta: { bowline: "[]" }, Port: 2, Address: "10.0.0.2" },
      { Port: 70_000, Address: "10.0.0.3" },
      { Port: 80, Address: "no host at all" },
      { Port: 80, Address: "x".repeat(2 ** 20) },
    ];
    agent.put(...bad.map((entry, at) => ({ ...entry, ID: `${service}-bad-${at}`, Name: service })));
    return bad.length;
  },
});
