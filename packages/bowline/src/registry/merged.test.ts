import { describe, expect, it } from "vitest";
import { registryContract } from "../../../../test/registry/contract.ts";
import { instance } from "../../test/local-machine.ts";
import { ManualClock } from "../../test/manual-clock.ts";
import { WatchRecorder } from "../../test/watch-recorder.ts";
import { seededRandom } from "../rpc/random.ts";
import { memoryRegistry } from "../testing/memory-registry.ts";
import { merged } from "./merged.ts";
import type { Registry } from "./registry.ts";

const context = { clock: new ManualClock(), random: seededRandom(1), environment: {} };

const contractPlaces = [memoryRegistry(), memoryRegistry()];
registryContract("two merged ones", {
  capabilities: { changesWhileStale: true },
  create: (registryContext) => merged(...contractPlaces).create(registryContext),
  stop: () => {
    for (const place of contractPlaces) place.fail();
  },
  start: () => {
    for (const place of contractPlaces) place.recover();
  },
});

describe("merged registries", () => {
  it("are of this machine only if all are, and are reached from where the first that knows is", async () => {
    const remote: Registry = { ...scriptedRegistry(), isMachineOnly: false, reachedFrom: async () => "10.0.0.7" };
    const failing: Registry = { ...scriptedRegistry(), reachedFrom: () => Promise.reject(new Error("no")) };
    expect(merged(memoryRegistry(), memoryRegistry()).create(context)).toMatchObject({ isMachineOnly: true });
    const all = merged(memoryRegistry(), failing, remote).create(context);
    expect([all.isMachineOnly, await all.reachedFrom?.()]).toEqual([false, "10.0.0.7"]);
    expect(await merged(memoryRegistry(), failing).create(context).reachedFrom?.()).toBeNull();
  });

  it("show the instances of all of them, each once, as the first tells it", async () => {
    const [first, second] = [memoryRegistry(), memoryRegistry()];
    first.set("user.rpc", ["a:1", "b:1"]);
    second.set("user.rpc", ["b:1", "c:1"]);
    await second.create().register("user.rpc", { ...instance("a:1"), weight: 7 });
    const seen = new WatchRecorder(merged(first, second).create(context), "user.rpc");
    const { instances, freshness } = await seen.untilIds("a:1", "b:1", "c:1");
    expect(freshness).toBe("live");
    expect(instances[0].weight).toBe(1);
    second.set("user.rpc", []);
    await seen.untilIds("a:1", "b:1");
    const revisions = seen.snapshots.map(({ revision }) => revision);
    expect(revisions).toEqual([...revisions].sort((a, b) => a - b));
  });

  it("are a matter of settings only when all of them are", () => {
    const parts = [scriptedRegistry(), scriptedRegistry()];
    const told: unknown[] = [];
    merged(...parts)
      .create(context)
      .watch("user.rpc", { snapshot() {}, failed: (_error, isFinal) => told.push(isFinal) });
    const fail = (part: number, isFinal: boolean): void => parts[part].handler?.failed(new Error("no"), isFinal);
    fail(0, true);
    fail(1, false);
    fail(1, true);
    parts[0].handler?.snapshot({ instances: [], revision: 1, freshness: "live" });
    fail(1, true);
    expect(told).toEqual([false, false, true, false]);
  });

  it("tell nothing before all of them have answered: half a set would look like a loss", async () => {
    const [first, second] = [memoryRegistry(), scriptedRegistry()];
    first.set("user.rpc", ["a:1"]);
    const seen = new WatchRecorder(merged(first, second).create(context), "user.rpc");
    await Promise.resolve();
    expect(seen.snapshots).toEqual([]);
    second.handler?.snapshot({ instances: [instance("b:1")], revision: 1, freshness: "live" });
    await seen.untilIds("a:1", "b:1");
    expect(seen.snapshots).toHaveLength(1);
  });

  it("go on with those that answer when one can't be reached, and are live when it is back", async () => {
    const [first, second] = [memoryRegistry(), memoryRegistry()];
    first.set("user.rpc", ["a:1"]);
    second.set("user.rpc", ["b:1"]);
    second.fail(new Error("second: out of reach"));
    const seen = new WatchRecorder(merged(first, second).create(context), "user.rpc");
    expect((await seen.untilIds("a:1")).freshness).toBe("stale");
    expect(seen.messages).toEqual(["second: out of reach"]);
    second.recover();
    expect((await seen.untilIds("a:1", "b:1")).freshness).toBe("live");
    second.fail();
    first.set("user.rpc", ["c:1"]);
    await seen.untilIds("b:1", "c:1");
  });

  it("leave no watch open when one of them refuses it", () => {
    const [first, refusing] = [scriptedRegistry(), scriptedRegistry()];
    refusing.watch = () => {
      throw new TypeError('"a//b" can\'t be asked for');
    };
    const registry = merged(first, refusing).create(context);
    expect(() => new WatchRecorder(registry, "a//b")).toThrow(/can't be asked for/);
    expect(first.watches).toBe(0);
  });

  it("hold a registration in all of them, change it in all, and take it out of all", async () => {
    const places = [memoryRegistry(), memoryRegistry()];
    const registry = merged(...places).create(context);
    const registration = await registry.register("user.rpc", instance("a:1"));
    expect(registration.state).toBe("registered");
    await registration.update({ weight: 3 });
    expect(places.map((place) => place.instances("user.rpc")[0].weight)).toEqual([3, 3]);
    await registration.close();
    expect(registration.state).toBe("closed");
    expect(places.map((place) => place.instances("user.rpc"))).toEqual([[], []]);
  });

  it("take an entry out again when one of them refuses it", async () => {
    const [first, second] = [memoryRegistry(), memoryRegistry()];
    await second.create().register("user.rpc", instance("a:1"));
    const registering = merged(first, second).create(context).register("user.rpc", instance("a:1"));
    await expect(registering).rejects.toThrow(/registered already/);
    expect(first.instances("user.rpc")).toEqual([]);
  });

  it("close those that they opened, and only those", async () => {
    const [given, opened] = [scriptedRegistry(), scriptedRegistry()];
    await merged(given, { name: "opened", create: () => opened })
      .create(context)
      .close();
    expect([given.isClosed, opened.isClosed]).toEqual([false, true]);
  });

  it("need registries", () => {
    expect(() => merged()).toThrow(/needs registries/);
    expect(() => merged(memoryRegistry(), 7 as never)).toThrow(/argument 2 is no registry/);
  });
});

interface ScriptedRegistry extends Registry {
  handler: Parameters<Registry["watch"]>[1] | undefined;
  isClosed: boolean;
  /** That are open. */
  watches: number;
}

function scriptedRegistry(): ScriptedRegistry {
  return {
    name: "scripted",
    handler: undefined,
    isClosed: false,
    watches: 0,
    register: () => Promise.reject(new Error("read only")),
    watch(_service, handler) {
      this.handler = handler;
      this.watches++;
      return { refresh: () => undefined, close: () => void this.watches-- };
    },
    async close() {
      this.isClosed = true;
    },
  };
}
