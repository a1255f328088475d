import { memoryNetwork, VirtualClock } from "bowline/testing";
import { nacos } from "../../packages/bowline/src/registry/nacos/index.ts";
import { registryContract } from "./contract.ts";
import type { RegistryHarness } from "./harness.ts";
import { NacosDouble } from "./nacos-double.ts";

/** Time that several may wait for together: it moves once for all of them. */
class SharedVirtualClock extends VirtualClock {
  #advancing: Promise<void> | null = null;

  override advance(ms: number): Promise<void> {
    this.#advancing ??= super.advance(ms).finally(() => {
      this.#advancing = null;
    });
    return this.#advancing;
  }
}

function harness(saysSetup: boolean): RegistryHarness {
  const clock = new SharedVirtualClock();
  const network = memoryNetwork({ clock });
  const server = new NacosDouble(network, "nacos-1:8848");
  server.saysSetup = saysSetup;
  return {
    clock,
    capabilities: { manyInstances: 300, forgetsServices: false, keepsData: false },
    patienceMs: 60_000,
    open: () => server.start(),
    close: () => server.stop(),
    create: (context) => nacos({ hosts: server.host, protocol: "grpc", network }).create(context),
    stop: () => server.stop(),
    start: () => server.start(),
    lose(service, instance) {
      for (const [owner, hosts] of [...(server.store.services.get(service) ?? [])]) {
        const left = hosts.filter(
          ({ metadata }) => !String((metadata as { bowline?: string }).bowline).includes(`"id":"${instance.id}"`),
        );
        server.store.set(service, owner, left);
      }
    },
    writeBad(service) {
      const details = ["{", "[]", '{"v":1}', "x".repeat(1 << 20)];
      const hosts: Record<string, unknown>[] = [
        ...details.map((bowline, at) => ({ ip: `10.1.0.${at}`, port: 80, metadata: { bowline } })),
        { ip: "10.2.0.1", port: 70_000 },
        { ip: "10.2.0.2", port: "80" },
        { ip: "", port: 80 },
        {},
      ];
      server.store.set(service, "a stranger", hosts);
      return hosts.length;
    },
  };
}

registryContract("nacos, spoken to by its double, as 2.3 and 3 speak", harness(true));
registryContract("nacos, spoken to by its double, as 2.0 speaks", harness(false));
