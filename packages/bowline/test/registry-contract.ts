import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { instanceAt } from "../src/registry/instance/instance.ts";
import type { Instance, Registry } from "../src/registry/registry.ts";
import { WatchRecorder } from "./watch-recorder.ts";

/** Two views of one place, as of two processes. */
export interface RegistryPair {
  readonly registry: Registry;
  readonly other: Registry;
  /** Undoes what `make` did beside the registries, which the suite closes itself. */
  dispose?(): Promise<void>;
}

/** A registry that is only read, and what it has to find. */
export interface ReadOnlyRegistry {
  readonly registry: Registry;
  readonly service: string;
  /** In any order. */
  readonly addresses: readonly string[];
}

const SERVICE = "contract.v1.User";

/** An instance with something in each field. */
function instance(id: string): Instance {
  return {
    id,
    addresses: [
      { address: "10.0.0.7:8080", network: "vpc-a" },
      { address: "[fd00::7]:8080", network: "" },
    ],
    weight: 2.5,
    zone: "zone-1",
    version: "1.2.3",
    tags: { canary: "yes", "with space": 'and "quotes" ü' },
    state: "ready",
  };
}

/** What every registry promises that can be written to: run by each adapter. */
export function registryContract(name: string, make: () => Promise<RegistryPair>): void {
  describe(`${name} keeps the contract of a registry`, () => {
    let pair: RegistryPair;
    const recorders: WatchRecorder[] = [];
    const watch = (registry: Registry, service: string = SERVICE): WatchRecorder => {
      const recorder = new WatchRecorder(registry, service);
      recorders.push(recorder);
      return recorder;
    };

    beforeEach(async () => {
      pair = await make();
    });
    afterEach(async () => {
      for (const recorder of recorders.splice(0)) recorder.close();
      await Promise.all([pair.registry.close(), pair.other.close()]);
      await pair.dispose?.();
    });

    it("shows a service without instances as empty, not at once but soon", async () => {
      const seen = watch(pair.registry);
      expect(seen.snapshots).toEqual([]);
      expect(await seen.untilIds()).toMatchObject({ instances: [], freshness: "live" });
    });

    it("shows an instance with all its fields to those who watch already", async () => {
      const seen = watch(pair.other);
      await seen.untilIds();
      await pair.registry.register(SERVICE, instance("a"));
      expect(await seen.untilIds("a")).toMatchObject({ instances: [instance("a")], freshness: "live" });
    });

    it("shows what was registered before to those who come later, in this process and another", async () => {
      const registration = await pair.registry.register(SERVICE, instance("a"));
      expect(registration.state).toBe("registered");
      expect((await watch(pair.other).untilIds("a")).instances).toEqual([instance("a")]);
      expect((await watch(pair.registry).untilIds("a")).instances).toEqual([instance("a")]);
    });

    it("delivers full sets with growing revisions", async () => {
      const seen = watch(pair.other);
      await pair.registry.register(SERVICE, instance("a"));
      await seen.untilIds("a");
      await pair.other.register(SERVICE, instance("b"));
      await seen.untilIds("a", "b");
      await pair.registry.register(SERVICE, instance("c"));
      await seen.untilIds("a", "b", "c");
      const revisions = seen.snapshots.map(({ revision }) => revision);
      expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => a - b));
    });

    it("shows changes of weight, tags and state, and keeps what was not changed", async () => {
      const seen = watch(pair.other);
      const registration = await pair.registry.register(SERVICE, instance("a"));
      await registration.update({ weight: 0 });
      await seen.until(({ instances }) => instances[0]?.weight === 0);
      await registration.update({ state: "draining" });
      await seen.until(({ instances }) => instances[0]?.state === "draining");
      await registration.update({ tags: { canary: "no" } });
      const last = await seen.until(({ instances }) => instances[0]?.tags.canary === "no");
      expect(last.instances).toEqual([{ ...instance("a"), weight: 0, state: "draining", tags: { canary: "no" } }]);
    });

    it("takes an instance out when it is closed, once and for all", async () => {
      const seen = watch(pair.other);
      const registration = await pair.registry.register(SERVICE, instance("a"));
      await pair.registry.register(SERVICE, instance("b"));
      await seen.untilIds("a", "b");
      await Promise.all([registration.close(), registration.close()]);
      await seen.untilIds("b");
      expect(registration.state).toBe("closed");
      await expect(registration.update({ weight: 1 })).rejects.toThrow(/closed/);
      await registration.close();
    });

    it("lets an id be used again after it was closed", async () => {
      const seen = watch(pair.other);
      await (await pair.registry.register(SERVICE, instance("a"))).close();
      await pair.other.register(SERVICE, { ...instance("a"), weight: 7 });
      await seen.until(({ instances }) => instances[0]?.weight === 7);
    });

    it("keeps services apart, whatever they are called", async () => {
      const names = ["user", "user.rpc", "user/rpc", "user%2Frpc", "..", ".hidden", "con", "käse 🧀", "x".repeat(255)];
      const seen = names.map((service) => watch(pair.other, service));
      await Promise.all(names.map((service, index) => pair.registry.register(service, instance(`id-${index}`))));
      await Promise.all(seen.map((recorder, index) => recorder.untilIds(`id-${index}`)));
    });

    it("takes ids of any form", async () => {
      const ids = ["a/b", "../escape", "10.0.0.7:8080", "ü", "%41", "A", "b".repeat(255)];
      const seen = watch(pair.other);
      await Promise.all(ids.map((id) => pair.registry.register(SERVICE, instance(id))));
      await seen.untilIds(...ids);
    });

    it("has room for many instances in one process", async () => {
      const ids = Array.from({ length: 20 }, (_, index) => `many-${index}`);
      const seen = watch(pair.other);
      await Promise.all(ids.map((id) => pair.registry.register(SERVICE, instance(id))));
      expect(new Set((await seen.untilIds(...ids)).instances.map(({ id }) => id)).size).toBe(20);
    });

    it("is silent after a watch is closed", async () => {
      const [closed, open] = [watch(pair.other), watch(pair.other)];
      await closed.untilIds();
      closed.close();
      closed.watcher.refresh();
      closed.close();
      await pair.registry.register(SERVICE, instance("a"));
      await open.untilIds("a");
      expect(closed.ids).toEqual([]);
    });

    it("survives being asked for a fresh look again and again", async () => {
      const seen = watch(pair.other);
      await pair.registry.register(SERVICE, instance("a"));
      for (let i = 0; i < 100; i++) seen.watcher.refresh();
      await seen.untilIds("a");
      expect(seen.failures).toEqual([]);
    });

    it("takes all its instances out when it is closed, and serves nobody any more", async () => {
      const seen = watch(pair.other);
      const registrations = await Promise.all(["a", "b"].map((id) => pair.registry.register(SERVICE, instance(id))));
      await seen.untilIds("a", "b");
      await pair.registry.close();
      await seen.untilIds();
      expect(registrations.map(({ state }) => state)).toEqual(["closed", "closed"]);
      await expect(pair.registry.register(SERVICE, instance("c"))).rejects.toThrow(/closed/);
      expect(() => watch(pair.registry)).toThrow(/closed/);
    });

    it("refuses what is no service and no instance, and says which field", async () => {
      const refused: [string, Instance, RegExp][] = [
        ["", instance("a"), /^service: /],
        ["a\nb", instance("a"), /^service: /],
        [SERVICE, { ...instance("a"), id: "" }, /^instance\.id: /],
        [SERVICE, { ...instance("a"), addresses: [] }, /^instance\.addresses: /],
        [SERVICE, { ...instance("a"), addresses: [{ address: "host", network: "" }] }, /addresses\[0\].*port/],
        [SERVICE, { ...instance("a"), weight: -1 }, /^instance\.weight: -1 /],
        [SERVICE, { ...instance("a"), weight: Number.NaN }, /^instance\.weight: NaN /],
        [SERVICE, { ...instance("a"), state: "gone" as "ready" }, /^instance\.state: "gone" /],
        [SERVICE, { ...instance("a"), tags: { a: 1 as unknown as string } }, /^instance\.tags\["a"\]: /],
      ];
      for (const [service, bad, message] of refused) {
        await expect(pair.registry.register(service, bad)).rejects.toThrow(message);
      }
      const registration = await pair.registry.register(SERVICE, instance("a"));
      await expect(registration.update({ weight: -1 })).rejects.toThrow(/^instance\.weight: -1 /);
      expect((await watch(pair.other).untilIds("a")).instances).toEqual([instance("a")]);
    });
  });
}

/** What every registry promises that is only read. */
export function readOnlyRegistryContract(name: string, make: () => Promise<ReadOnlyRegistry>): void {
  describe(`${name} keeps the contract of a registry that is only read`, () => {
    let made: ReadOnlyRegistry;
    beforeEach(async () => {
      made = await make();
    });
    afterEach(() => made.registry.close());

    it("delivers each address as a plain instance, not at once but soon", async () => {
      const seen = new WatchRecorder(made.registry, made.service);
      expect(seen.snapshots).toEqual([]);
      const { instances, freshness } = await seen.untilIds(...made.addresses);
      expect(instances).toEqual([...instances.map(({ addresses }) => instanceAt(addresses[0].address))]);
      expect(freshness).toBe("live");
    });

    it("says nothing to a watch that was closed before", async () => {
      const closed = new WatchRecorder(made.registry, made.service);
      closed.close();
      closed.watcher.refresh();
      await new WatchRecorder(made.registry, made.service).untilIds(...made.addresses);
      expect(closed.snapshots).toEqual([]);
    });

    it("refuses registrations with a word on what takes them", async () => {
      const refused = made.registry.register("user.rpc", instance("a"));
      await expect(refused).rejects.toThrow(/registry: "user\.rpc" can't be registered, .*local\(\)/);
    });

    it("serves nobody after it was closed", async () => {
      const seen = new WatchRecorder(made.registry, made.service);
      await made.registry.close();
      expect(() => made.registry.watch(made.service, seen)).toThrow(/closed/);
      await new Promise(setImmediate);
      expect(seen.snapshots).toEqual([]);
    });
  });
}
