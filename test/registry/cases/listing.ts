import { expect } from "vitest";
import type { Registry } from "../../../packages/bowline/src/registry/registry.ts";
import type { RegistryCapabilities, RegistryHarness } from "../harness.ts";
import type { ContractScene } from "../scene.ts";
import { itIf } from "./applicable.ts";

/** What a registry says of the services that it has. `scene` is that of the test that runs. */
export function listingCases(scene: () => ContractScene, can: RegistryCapabilities, harness: RegistryHarness): void {
  const list = async (registry: Registry): Promise<readonly string[]> => (await registry.services?.()) ?? [];
  /** As a watch in a namespace of its own names them. */
  const listed = (service: string): string => service.replace(can.listsWithout, "");

  /** Asks again and again: some products make up their list from time to time. */
  const until = async (registry: Registry, wanted: readonly string[], unwanted: readonly string[]): Promise<void> => {
    let services: readonly string[] = [];
    let isAsking = false;
    const ended = (found: readonly string[]): void => {
      services = found;
      isAsking = false;
    };
    await scene().eventually(`${wanted} are listed and ${unwanted} are not`, () => {
      if (!isAsking) list(registry).then(ended, () => ended([]));
      isAsking = true;
      const has = (service: string): boolean => services.includes(listed(service));
      return services.length > 0 && wanted.every(has) && !unwanted.some(has);
    });
    expect(services).toEqual([...new Set(services)].sort());
  };

  itIf(true)("names those that have entries, whoever made them, each once and sorted", async () => {
    const [one, two, unused] = [scene().service(), scene().service(), scene().service()];
    const registry = await scene().registry();
    await scene().set(one, scene().instances(one, 1, 2));
    await scene().set(two, scene().instances(two, 3));
    await until(registry, [one, two], [unused]);
    await scene().set(one, []);
    if (can.forgetsServices) await until(registry, [two], [one]);
    await scene().done("it is closed", registry.close());
    await expect(scene().done("it is refused", list(registry))).rejects.toThrow(/closed/);
  });

  itIf(can.serviceNames.length > 0 && can.writes)("names services as they were registered", async () => {
    const registry = await scene().registry();
    const names = can.serviceNames.map((name) => (name.length > 200 ? name : `${name}-${scene().service()}`));
    const registering = names.map((name, at) => registry.register(name, scene().instance(at + 1, name)));
    await scene().done("all are registered", Promise.all(registering));
    await until(registry, names, []);
  });

  itIf(harness.stop !== undefined)("rejects while the registry can't be reached", async () => {
    const registry = await scene().registry();
    await scene().done("it stops", Promise.resolve(harness.stop?.()));
    await expect(scene().done("it is refused", list(registry))).rejects.toThrow(/registry|reach/);
    await scene().done("it starts", Promise.resolve(harness.start?.()));
  });
}
