import { expect, it } from "vitest";
import type { RegistryCapabilities, RegistryHarness } from "../harness.ts";
import type { ContractScene } from "../scene.ts";
import { itIf } from "./applicable.ts";

/** What a registry promises while its backend is out of reach. `scene` is that of the test that runs. */
export function outageCases(scene: () => ContractScene, can: RegistryCapabilities, harness: RegistryHarness): void {
  const stop = () => scene().done("the backend is stopped", Promise.resolve(harness.stop?.()));
  const start = () => scene().done("the backend is started", Promise.resolve(harness.start?.()));

  it("tells once that what it knows is stale, says what is wrong, and is live again when the backend is", async () => {
    const service = scene().service();
    const [first, second] = scene().instances(service, 1, 2);
    const seen = await scene().watch(service);
    await scene().set(service, [first]);
    const known = await scene().until(seen, [first]);
    const from = seen.snapshots.length;
    await stop();
    seen.watcher.refresh();
    await scene().eventually("the set is stale", () => seen.last?.freshness === "stale");
    await scene().eventually("the failure is told", () => seen.failures.length > 0);
    expect(seen.last?.instances).toEqual(known.instances);
    await start();
    await scene().until(seen, [first]);
    if (can.keepsData) expect(seen.snapshots.slice(from).filter(({ instances }) => instances.length < 1)).toEqual([]);
    await scene().set(service, [first, second]);
    await scene().until(seen, [first, second]);
  });

  it("shows what has changed meanwhile to a watch that comes up in an outage", async () => {
    const service = scene().service();
    const instances = scene().instances(service, 1, 2);
    await scene().set(service, instances);
    await stop();
    const seen = await scene().watch(service);
    await scene().eventually("the failure is told", () => seen.failures.length > 0);
    expect(seen.snapshots).toEqual([]);
    await start();
    await scene().until(seen, instances);
  });

  itIf(can.writes)("registers later what it could not register at once, and says so", async () => {
    const service = scene().service();
    const first = scene().instance(1, service);
    await stop();
    const registry = await scene().registry();
    const registration = await scene().done("the first attempt has ended", registry.register(service, first));
    expect(registration.state).toBe("pending");
    await scene().eventually("the trouble is reported", () => scene().reports.length > 0);
    await start();
    const seen = await scene().watch(service);
    await scene().until(seen, [first]);
    await scene().eventually("it is registered", () => registration.state === "registered");
  });

  itIf(can.writes && can.keeps.includes("weight"))("brings changes of an outage in after it", async () => {
    const service = scene().service();
    const first = scene().instance(1, service);
    await scene().set(service, [first]);
    const registration = scene().registration(service, first);
    await stop();
    // Whether it waits or rejects is the adapter's choice: what is wanted counts from now on.
    const updating = registration.update({ weight: 9 }).catch(() => {});
    await start();
    await scene().done("the update has ended", updating);
    const seen = await scene().watch(service);
    await scene().untilOne(seen, "the weight is seen", ({ weight }) => weight === 9);
  });

  itIf(can.writes)("does not bring back what was closed in an outage", async () => {
    const service = scene().service();
    const [first, second] = scene().instances(service, 1, 2);
    const registry = await scene().registry();
    const registration = await scene().done("it is registered", registry.register(service, first));
    await scene().set(service, [second]);
    await stop();
    // It may give up and leave the entry to its lease.
    await scene().done(
      "it is closed",
      registration.close().catch(() => {}),
    );
    expect(registration.state).toBe("closed");
    const late = await scene().done("the attempt has ended", registry.register(service, scene().instance(3, service)));
    await scene().done(
      "it is closed",
      late.close().catch(() => {}),
    );
    await start();
    const seen = await scene().watch(service);
    await scene().until(seen, [second]);
    const from = seen.snapshots.length;
    await scene().set(service, scene().instances(service, 2, 4));
    await scene().until(seen, scene().instances(service, 2, 4));
    const keys = seen.snapshots.slice(from).flatMap(({ instances }) => instances.map(scene().keyOf));
    expect(keys).not.toContain(scene().keyOf(first));
  });

  it("closes in an outage, and tells nothing after that", async () => {
    const service = scene().service();
    const registry = await scene().registry();
    const seen = await scene().watch(service, registry);
    await scene().set(service, scene().instances(service, 1));
    await scene().until(seen, scene().instances(service, 1));
    await stop();
    await scene().done("it is closed", registry.close());
    const told = seen.snapshots.length + seen.failures.length;
    await start();
    const other = await scene().watch(service);
    await scene().until(other, scene().instances(service, 1));
    expect(seen.snapshots.length + seen.failures.length).toBe(told);
  });
}
