import { memoryNetwork, VirtualClock } from "bowline/testing";
import { etcd } from "../../packages/bowline/src/registry/etcd/index.ts";
import { registryContract } from "./contract.ts";
import { EtcdDouble } from "./etcd-double.ts";
import type { RegistryHarness } from "./harness.ts";

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

function harness(): RegistryHarness {
  const clock = new SharedVirtualClock();
  const network = memoryNetwork({ clock });
  const member = new EtcdDouble(network, "etcd-1:2379");
  return {
    clock,
    capabilities: { manyInstances: 300 },
    patienceMs: 30_000,
    open: () => member.start(),
    close: () => member.stop(),
    create: (context) => etcd({ hosts: [member.host], network }).create(context),
    stop: () => member.stop(),
    start: () => member.start(),
    async lose(service, instance) {
      const details = `bowline/instances/${service}/`;
      for (const { key, value } of member.store.list({ key: details, end: `${details}\u{10ffff}` })) {
        if ((JSON.parse(String(value)) as { id: string }).id !== instance.id) continue;
        const lost = key.slice("bowline/instances/".length);
        const { promise, resolve } = Promise.withResolvers<void>();
        const stop = member.store.onChange(() => member.store.get(lost) !== undefined && resolve());
        member.store.delete(lost);
        await promise;
        stop();
      }
      return true;
    },
    writeBad(service) {
      const values = ['{"weight":1}', "", "10.0.0.7:70000", "10.0.0.7", "[]", "{", "x".repeat(1 << 20)];
      values.forEach((value, index) => {
        member.store.put(`${service}/bad-${index}`, value);
      });
      member.store.put(`bowline/instances/${service}/bad-1`, "{");
      return values.length + 1;
    },
  };
}

registryContract("etcd, spoken to by its double", harness());
