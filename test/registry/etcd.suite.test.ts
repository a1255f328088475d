import { etcd } from "../../packages/bowline/src/registry/etcd/index.ts";
import { registryContract } from "./contract.ts";
import { EtcdServer } from "./etcd-server.ts";
import type { RegistryHarness } from "./harness.ts";
import { realRegistry } from "./suite.ts";
import type { ToolName } from "./tools.ts";

const VERSIONS: readonly ToolName[] = ["etcd-debian", "etcd-3.5", "etcd-3.6", "etcd-3.7"];

for (const version of VERSIONS) {
  await realRegistry(version, [version], ([program]) => registryContract(version, harness(program)));
}

function harness(program: string): RegistryHarness {
  let server: EtcdServer;
  return {
    // The longest wait is for a lease whose life begins anew when etcd is back.
    patienceMs: 20_000,
    async open() {
      server = await EtcdServer.start({ program });
    },
    close: () => server.remove(),
    create: (context) => etcd({ hosts: server.hosts, ttlSeconds: 5 }).create(context),
    stop: () => server.stop(),
    start: () => server.resume(),
    async lose(service, instance) {
      for (const { key, value } of await server.list(`bowline/instances/${service}/`)) {
        if ((JSON.parse(value) as { id: string }).id !== instance.id) continue;
        const lost = key.slice("bowline/instances/".length);
        await server.delete(lost);
        while (!(await server.list(lost)).some((each) => each.key === lost));
      }
      return true;
    },
    async writeBad(service) {
      const values = ['{"weight":1}', "", "10.0.0.7:70000", "10.0.0.7", "[]", "{", "x".repeat(1 << 20)];
      for (const [index, value] of values.entries()) await server.put(`${service}/bad-${index}`, value);
      await server.put(`bowline/instances/${service}/bad-1`, "{");
      return values.length + 1;
    },
  };
}
