import { isIP } from "node:net";
import { expect, it } from "vitest";
import type { Instance } from "../../../packages/bowline/src/registry/registry.ts";
import type { RegistryCapabilities, RegistryHarness } from "../harness.ts";
import type { ContractScene } from "../scene.ts";
import { itIf } from "./applicable.ts";

/** What registrations promise. `scene` is that of the test that runs. */
export function registeringCases(
  scene: () => ContractScene,
  can: RegistryCapabilities,
  harness: RegistryHarness,
): void {
  /** A service, a registry to register in and a watch of another. */
  const start = async () => {
    const service = scene().service();
    const registry = await scene().registry();
    const seen = await scene().watch(service);
    const [first, second] = scene().instances(service, 1, 2);
    const register = (instance: Instance) =>
      scene().done(`${instance.id} is registered`, registry.register(service, instance));
    return { service, registry, seen, first, second, register };
  };

  it("makes an instance known to all, and says that it is registered", async () => {
    const { seen, first, register } = await start();
    const registration = await register(first);
    await scene().eventually("it is registered", () => registration.state === "registered");
    scene().expectSame((await scene().until(seen, [first])).instances, [first]);
  });

  it("says from which address of this machine it is reached, as far as it knows, unless only this machine sees it", async () => {
    const { registry, first, register } = await start();
    await register(first);
    const asked = registry.reachedFrom?.() ?? Promise.resolve(undefined);
    const address = await scene().done("it has said so", asked);
    const isKnown = address === null || isIP(address ?? "") !== 0;
    expect(isKnown || registry.isMachineOnly === true).toBe(true);
  });

  itIf(can.keeps.includes("weight"))("shows a change of the weight, and keeps what was not changed", async () => {
    const { seen, first, register } = await start();
    const registration = await register(first);
    for (const weight of [0, 7.5]) {
      await scene().done("it is updated", registration.update({ weight }));
      const changed = await scene().untilOne(seen, `the weight is ${weight}`, (each) => each.weight === weight);
      scene().expectSame([changed], [{ ...first, weight }]);
    }
  });

  itIf(can.keeps.includes("state"))("shows that an instance drains, and that it is back", async () => {
    const { seen, first, register } = await start();
    const registration = await register(first);
    for (const state of ["draining", "ready"] as const) {
      await scene().done("it is updated", registration.update({ state }));
      const changed = await scene().untilOne(seen, `it is ${state}`, (each) => each.state === state);
      scene().expectSame([changed], [{ ...first, state }]);
    }
  });

  itIf(can.keeps.includes("tags"))("shows other tags", async () => {
    const { seen, first, register } = await start();
    const registration = await register(first);
    const tags = { canary: "no", more: "" };
    await scene().done("it is updated", registration.update({ tags }));
    const changed = await scene().untilOne(seen, "the tag is no", (each) => each.tags.canary === "no");
    scene().expectSame([changed], [{ ...first, tags }]);
  });

  itIf(can.keeps.includes("weight"))("comes to the last of many changes that nobody waits for", async () => {
    const { seen, first, register } = await start();
    const registration = await register(first);
    const changes = Array.from({ length: 20 }, (_, at) => registration.update({ weight: at + 10 }));
    await scene().done("all are made", Promise.all(changes));
    await scene().untilOne(seen, "the last weight is seen", ({ weight }) => weight === 29);
  });

  it("takes an instance out when it is closed, once and for all", async () => {
    const { service, seen, first, second, register } = await start();
    const registration = await register(first);
    await register(second);
    await scene().until(seen, [first, second]);
    await scene().done("it is closed", Promise.all([registration.close(), registration.close()]));
    await scene().until(seen, [second]);
    expect(registration.state).toBe("closed");
    await expect(registration.update({ weight: 1 })).rejects.toThrow(/closed/);
    await scene().done("it is closed again", registration.close());
    const third = scene().instance(3, service);
    const from = seen.snapshots.length;
    await register(third);
    await scene().until(seen, [second, third]);
    const keys = seen.snapshots.slice(from).flatMap(({ instances }) => instances.map(scene().keyOf));
    expect(keys).not.toContain(scene().keyOf(first));
  });

  it("leaves nothing of a registration that is closed while it changes", async () => {
    const { seen, first, second, register } = await start();
    const registration = await register(first);
    await scene().until(seen, [first]);
    const updating = registration.update({ weight: 9 }).catch(() => {});
    await scene().done("it is closed", Promise.all([updating, registration.close()]));
    await register(second);
    await scene().until(seen, [second]);
  });

  it("lets an id be used again after it was closed", async () => {
    const { seen, service, first, second, register } = await start();
    await scene().done("it is closed", (await register(first)).close());
    await register(first);
    await scene().until(seen, [first]);
    const other = await scene().registry();
    await scene().done("the other is registered", other.register(service, second));
    await scene().until(seen, [first, second]);
  });

  it("knows one instance in two services, and takes it out of one of them", async () => {
    const [one, two] = [await start(), scene().service()];
    const seenToo = await scene().watch(two);
    const registration = await one.register(one.first);
    await scene().done("it is registered", one.registry.register(two, one.first));
    await scene().until(one.seen, [one.first]);
    await scene().until(seenToo, [one.first]);
    await scene().done("it is closed", registration.close());
    await scene().until(one.seen, []);
    expect(seenToo.keys).toEqual([scene().keyOf(one.first)]);
  });

  itIf(can.serviceNames.length > 0)("takes services of any name", async () => {
    const registry = await scene().registry();
    const names = can.serviceNames.map((name) => (name.length > 200 ? name : `${name}-${scene().service()}`));
    const watches = await Promise.all(names.map((name) => scene().watch(name)));
    const registering = names.map((name, at) => registry.register(name, scene().instance(at + 1, name)));
    await scene().done("all are registered", Promise.all(registering));
    for (const [at, seen] of watches.entries()) await scene().until(seen, [scene().instance(at + 1, names[at])]);
  });

  itIf(can.instanceIds.length > 0)("takes instances of any id", async () => {
    const { service, seen, registry } = await start();
    const instances = can.instanceIds.map((id, at) => ({ ...scene().instance(at + 1, service), id }));
    const registering = instances.map((instance) => registry.register(service, instance));
    await scene().done("all are registered", Promise.all(registering));
    scene().expectSame((await scene().until(seen, instances)).instances, instances);
  });

  it("takes all its instances out when it is closed, also those that are on their way in", async () => {
    const { service, seen, registry, first, second, register } = await start();
    const registration = await register(first);
    await scene().until(seen, [first]);
    const late = registry.register(service, second).then(
      ({ state }) => state,
      (error: Error) => error.message,
    );
    await scene().done("the registry is closed", registry.close());
    expect(await scene().done("the registration has ended", late)).toMatch(/closed/);
    await scene().until(seen, []);
    expect(registration.state).toBe("closed");
    await expect(registry.register(service, first)).rejects.toThrow(/closed/);
  });

  it("refuses what is no service and no instance, and says which field", async () => {
    const { service, registry, seen, first, register } = await start();
    const refused: readonly [string, Instance, RegExp][] = [
      ["", first, /service: /],
      ["a\nb", first, /service: /],
      [service, { ...first, id: "" }, /instance\.id: /],
      [service, { ...first, addresses: [] }, /instance\.addresses: /],
      [service, { ...first, addresses: [{ address: "host", network: "" }] }, /addresses\[0\].*port/],
      [service, { ...first, weight: -1 }, /instance\.weight: -1 /],
      [service, { ...first, weight: Number.NaN }, /instance\.weight: NaN /],
      [service, { ...first, state: "gone" as "ready" }, /instance\.state: "gone" /],
      [service, { ...first, tags: { a: 1 as unknown as string } }, /instance\.tags\["a"\]: /],
    ];
    for (const [name, bad, message] of refused) await expect(registry.register(name, bad)).rejects.toThrow(message);
    const registration = await register(first);
    await expect(registration.update({ weight: -1 })).rejects.toThrow(/instance\.weight: -1 /);
    scene().expectSame((await scene().until(seen, [first])).instances, [first]);
  });

  itIf(harness.lose !== undefined)("puts an entry back that was lost, as it was changed last", async () => {
    const { service, seen, first, second, register } = await start();
    const registration = await register(first);
    await register(second);
    const weight = can.keeps.includes("weight") ? 9 : first.weight;
    await scene().done("it is updated", registration.update({ weight }));
    await scene().untilOne(seen, "the weight is seen", (each) => each.weight === weight);
    await scene().until(seen, [first, second]);
    const from = seen.snapshots.length;
    const isBack = await scene().done("the entry is lost", Promise.resolve(harness.lose?.(service, first)));
    const isGone = (): boolean => seen.snapshots.slice(from).some(({ instances }) => instances.length === 1);
    const isMissed = (): boolean => registration.state === "pending" || isGone();
    if (isBack !== true) await scene().eventually("it is missed", isMissed);
    const { instances } = await scene().until(seen, [first, second]);
    scene().expectSame(instances, [{ ...first, weight }, second]);
    await scene().eventually("it is registered again", () => registration.state === "registered");
    await scene().eventually("it is counted", () => (registration.losses ?? 0) > 0);
  });
}
