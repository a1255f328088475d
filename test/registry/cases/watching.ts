import { expect, it } from "vitest";
import type { RegistryCapabilities } from "../harness.ts";
import type { ContractScene } from "../scene.ts";
import { itIf } from "./applicable.ts";

/** What a watch promises, also one of a registry that is only read. `scene` is that of the test that runs. */
export function watchingCases(scene: () => ContractScene, can: RegistryCapabilities): void {
  itIf(can.unknownService === "snapshot")("tells of a service without instances: empty and live", async () => {
    const seen = await scene().watch(scene().service());
    const snapshot = await scene().until(seen, []);
    expect([snapshot.freshness, seen.failures]).toEqual(["live", []]);
  });

  itIf(can.unknownService === "failure")("tells of an unknown service as a failure that names it", async () => {
    const seen = await scene().watch(scene().service());
    await scene().eventually("the watch fails", () => seen.failures.length > 0);
    expect(seen.messages[0]).toContain(seen.service.split(":")[0]);
    expect(seen.snapshots).toEqual([]);
  });

  it("shows instances, with all that it keeps of them, to those who watch already and to those who come later", async () => {
    const service = scene().service();
    const instances = scene().instances(service, 1, 2);
    const early = await scene().watch(service);
    await scene().set(service, instances);
    scene().expectSame((await scene().until(early, instances)).instances, instances);
    const late = await scene().watch(service);
    scene().expectSame((await scene().until(late, instances)).instances, instances);
  });

  it("tells who comes and who goes, in full sets", async () => {
    const service = scene().service();
    const seen = await scene().watch(service);
    const steps = [[1], [1, 2], [2, 3, 4], [4], ...(can.unknownService === "snapshot" ? [[]] : []), [5]];
    for (const numbers of steps) {
      const instances = scene().instances(service, ...numbers);
      await scene().set(service, instances);
      scene().expectSame((await scene().until(seen, instances)).instances, instances);
    }
  });

  it("tells nothing when a fresh look finds nothing new, however often it is asked for", async () => {
    const service = scene().service();
    await scene().set(service, scene().instances(service, 1));
    const seen = await scene().watch(service);
    await scene().until(seen, scene().instances(service, 1));
    for (let i = 0; i < 100; i++) seen.watcher.refresh();
    await scene().set(service, scene().instances(service, 1, 2));
    await scene().until(seen, scene().instances(service, 1, 2));
    for (let i = 0; i < 100; i++) seen.watcher.refresh();
    await scene().set(service, scene().instances(service, 2));
    await scene().until(seen, scene().instances(service, 2));
    expect(seen.failures).toEqual([]);
  });

  it("keeps services apart, and shows the same to all who watch", async () => {
    const registry = await scene().registry();
    const services = Array.from({ length: 5 }, () => scene().service());
    const watches = [...services, ...services, ...services].map((service) => scene().watch(service, registry));
    const all = await Promise.all(watches);
    await Promise.all(services.map((service, at) => scene().set(service, scene().instances(service, at + 1))));
    for (const seen of all)
      await scene().until(seen, scene().instances(seen.service, services.indexOf(seen.service) + 1));
  });

  it("is silent after a watch was closed, inside of its own handler too", async () => {
    const service = scene().service();
    const registry = await scene().registry();
    const [closed, closing, open] = [
      await scene().watch(service, registry),
      await scene().watch(service, registry),
      await scene().watch(service, registry),
    ];
    closing.onSnapshot = ({ instances }) => void (instances.length > 0 && closing.close());
    closed.close();
    const told = [...closed.snapshots, ...closed.failures];
    closed.watcher.refresh();
    closed.close();
    await scene().set(service, scene().instances(service, 1));
    await scene().until(open, scene().instances(service, 1));
    await scene().until(closing, scene().instances(service, 1));
    closing.watcher.refresh();
    await scene().set(service, scene().instances(service, 2));
    await scene().until(open, scene().instances(service, 2));
    expect([...closed.snapshots, ...closed.failures]).toEqual(told);
  });

  it("lets another of equal options go on when it is closed, and serves nobody any more", async () => {
    const service = scene().service();
    const [registry, other] = [await scene().registry(), await scene().registry()];
    const [silent, seen] = [await scene().watch(service, registry), await scene().watch(service, other)];
    await scene().set(service, scene().instances(service, 1));
    await scene().until(seen, scene().instances(service, 1));
    await scene().done("it is closed", registry.close());
    const before = silent.snapshots.length + silent.failures.length;
    await scene().set(service, scene().instances(service, 2));
    await scene().until(seen, scene().instances(service, 2));
    expect(silent.snapshots.length + silent.failures.length).toBe(before);
    await expect(scene().watch(service, registry)).rejects.toThrow(/closed/);
    await expect(registry.register(service, scene().instance(3, service))).rejects.toThrow(
      /closed|can't be registered/,
    );
    await scene().done("it is closed again", registry.close());
  });

  it(`has room for ${can.manyInstances} instances, and keeps the objects of those that did not change`, async () => {
    const service = scene().service();
    const numbers = Array.from({ length: can.manyInstances }, (_, at) => at + 1);
    const instances = scene().instances(service, ...numbers);
    const seen = await scene().watch(service);
    await scene().set(service, instances);
    const before = new Set((await scene().until(seen, instances)).instances);
    scene().expectSame([...before], instances);
    await scene().set(service, instances.slice(1));
    const after = (await scene().until(seen, instances.slice(1))).instances;
    if (can.keepsObjects) expect(after.filter((instance) => !before.has(instance))).toEqual([]);
  });

  itIf(!can.writes)("refuses registrations with a word on what takes them", async () => {
    const service = scene().service();
    const registry = await scene().registry();
    const refused = registry.register(service, scene().instance(1, service));
    await expect(refused).rejects.toThrow(/can't be registered, .*local\(\)/);
  });
}
