import { afterEach, describe, expect, it } from "vitest";
import { RecordingLogger } from "../../../test/server/server-scene.ts";
import { WatchRecorder } from "../../../test/watch-recorder.ts";
import type { Instance, Registration, Registry, Watcher, WatchHandler } from "../../registry/registry.ts";
import { memoryRegistry } from "../../testing/memory-registry.ts";
import { settle, VirtualClock } from "../../testing/virtual-clock.ts";
import type { Interfaces } from "./interfaces.ts";
import { type EntryOptions, RegistryEntry } from "./registration.ts";

const TWO: Interfaces = {
  eth0: [{ address: "203.0.113.9", family: "IPv4", internal: false }],
  eth1: [{ address: "10.0.0.7", family: "IPv4", internal: false }],
};

/** A registry on another machine: as one in memory, but others need an address, and it can refuse. */
class RemoteRegistry implements Registry {
  readonly name = "remote";
  readonly backend = memoryRegistry();
  readonly view: Registry = this.backend.create();
  reached: string | null = null;
  refusal: Error | null = null;
  /** What registrations say of themselves in place of the truth. */
  said: Registration["state"] | null = null;
  losses = 0;

  async register(service: string, instance: Instance): Promise<Registration> {
    if (this.refusal !== null) throw this.refusal;
    const made = await this.view.register(service, instance);
    const said = (): Registration["state"] => this.said ?? made.state;
    const losses = (): number => this.losses;
    return {
      get state() {
        return said();
      },
      get losses() {
        return losses();
      },
      update: (change) => made.update(change),
      close: () => made.close(),
    };
  }

  watch(service: string, handler: WatchHandler): Watcher {
    return this.view.watch(service, handler);
  }

  async reachedFrom(): Promise<string | null> {
    return this.reached;
  }

  close(): Promise<void> {
    return this.view.close();
  }
}

describe("the entry of a server", () => {
  const entries: RegistryEntry[] = [];
  afterEach(async () => {
    for (const entry of entries.splice(0)) await entry.close();
  });

  function scene(options: Partial<EntryOptions> = {}, interfaces: Interfaces = { eth1: TWO.eth1 }) {
    const clock = new VirtualClock();
    const log = new RecordingLogger();
    const registry = new RemoteRegistry();
    const context = { clock, random: () => 0.5, logger: log, environment: {}, interfaces: () => interfaces };
    const entry = new RegistryEntry({ name: "user.rpc", registry, ...options }, context);
    entries.push(entry);
    const instances = () => registry.backend.instances("user.rpc");
    const addresses = () => instances().flatMap((instance) => instance.addresses.map(({ address }) => address));
    const texts = () => log.lines.map(({ level, text }) => `${level} ${text}`);
    return { clock, log, registry, entry, instances, addresses, texts };
  }

  it("is closed, pending, registered, and closed again", async () => {
    const { entry, clock, instances } = scene({ instanceId: "user-1", weight: 3 });
    expect(entry.status).toMatchObject({ state: "closed", addresses: [], weight: 3, sinceMs: 0 });
    await clock.advance(10);
    await entry.open("0.0.0.0:8080");
    const addresses = [{ address: "10.0.0.7:8080", network: "" }];
    expect(entry.status).toEqual({
      state: "registered",
      addresses,
      weight: 3,
      reason: "",
      lastError: null,
      sinceMs: 10,
      losses: 0,
    });
    expect(instances()).toMatchObject([{ id: "user-1", addresses, weight: 3, state: "ready" }]);
    await entry.close();
    expect([entry.status.state, instances()]).toEqual(["closed", []]);
  });

  it("is made later where the registry can't be reached, which is said once", async () => {
    const { entry, registry, clock, texts, instances } = scene();
    registry.backend.fail(new Error("no route to it"));
    await entry.open("0.0.0.0:8080");
    expect(entry.status).toMatchObject({ state: "pending", sinceMs: 0 });
    await clock.advance(60_000);
    expect(texts()).toEqual([
      "warn user.rpc is not in the registry yet, which can't be reached: it serves, and registers as soon as that can be done",
    ]);
    registry.backend.recover();
    await clock.advance(1000);
    expect(instances()).toHaveLength(1);
    expect(entry.status).toMatchObject({ state: "registered", sinceMs: 61_000, lastError: null });
    expect(texts().slice(1)).toEqual(["info user.rpc is in the registry"]);
  });

  it("tells what a registry says of its trouble once for each text", async () => {
    const place = memoryRegistry();
    const { entry, clock, texts } = scene({ registry: place });
    place.fail(new Error("no route to it"));
    await entry.open("10.0.0.7:8080");
    expect(entry.status.lastError?.message).toBe("no route to it");
    await clock.advance(5000);
    expect(texts()).toHaveLength(1);
    place.recover();
    await clock.advance(1000);
    expect(entry.status).toMatchObject({ state: "registered", lastError: null });
  });

  it("is refused at the start with what the registry says", async () => {
    const { entry, registry } = scene();
    registry.refusal = new Error("wrong password");
    await expect(entry.open("0.0.0.0:8080")).rejects.toThrow(new Error("wrong password"));
  });

  it("can't be made without an address, which is said with those that there are", async () => {
    const { entry } = scene({ advertise: "interface:eth7" });
    await expect(entry.open("0.0.0.0:8080")).rejects.toThrow(
      /no interface eth7 with a usable address; there are eth1 10\.0\.0\.7/,
    );
  });

  it("leaves with an announcement, comes back, and says why it is out", async () => {
    const { entry, registry, clock, instances } = scene();
    await entry.open("0.0.0.0:8080");
    const seen = new WatchRecorder(registry, "user.rpc");
    await seen.until((snapshot) => snapshot.instances.length === 1);
    const leaving = entry.takeOut("paused", "it was asked to");
    await clock.advance(199);
    expect(seen.snapshots.at(-1)?.instances).toMatchObject([{ state: "draining" }]);
    await clock.advance(1);
    await leaving;
    expect(seen.snapshots.map((snapshot) => snapshot.instances.map(({ state }) => state))).toEqual([
      ["ready"],
      ["draining"],
      [],
    ]);
    expect(entry.status).toMatchObject({ state: "paused", reason: "it was asked to" });
    await entry.takeOut("unhealthy", "the check failed");
    await entry.putBack("paused");
    expect(entry.status).toMatchObject({ state: "unhealthy", reason: "the check failed" });
    expect(instances()).toEqual([]);
    await entry.putBack("unhealthy");
    expect(entry.status).toMatchObject({ state: "registered", reason: "" });
    expect(instances()).toMatchObject([{ id: entry.id, state: "ready" }]);
  });

  it("does not wait for others to hear of it when it is closed meanwhile", async () => {
    const { entry, clock, instances } = scene();
    await entry.open("0.0.0.0:8080");
    const leaving = entry.takeOut("paused", "");
    await settle();
    expect(instances()).toMatchObject([{ state: "draining" }]);
    await Promise.all([leaving, entry.close()]);
    expect([instances(), clock.now(), clock.pending]).toEqual([[], 0, 0]);
  });

  it("leaves again when that was asked for while it was on its way in", async () => {
    const { entry, registry, clock, instances } = scene();
    const [asked, mayGo] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const register = registry.register.bind(registry);
    registry.register = async (service, instance) => {
      asked.resolve();
      await mayGo.promise;
      return register(service, instance);
    };
    const opening = entry.open("0.0.0.0:8080");
    await asked.promise;
    await entry.takeOut("paused", "");
    mayGo.resolve();
    await clock.advanceUntil(opening);
    expect([instances(), entry.status.state]).toEqual([[], "paused"]);
  });

  it("has its new weight at once, and after it was out", async () => {
    const { entry, clock, instances } = scene();
    await entry.open("0.0.0.0:8080");
    await entry.setWeight(5);
    expect(instances()).toMatchObject([{ weight: 5 }]);
    await clock.advanceUntil(entry.takeOut("paused", ""));
    await entry.setWeight(7);
    expect([instances(), entry.status.weight]).toEqual([[], 7]);
    await entry.putBack("paused");
    expect(instances()).toMatchObject([{ weight: 7 }]);
  });

  it("goes on trying when it is refused later, and tells who asked", async () => {
    const { entry, registry, clock, texts, instances } = scene();
    await entry.open("0.0.0.0:8080");
    await clock.advanceUntil(entry.takeOut("paused", ""));
    registry.refusal = new Error("token expired");
    await expect(entry.putBack("paused")).rejects.toThrow("token expired");
    expect(entry.status).toMatchObject({ state: "pending", lastError: new Error("token expired") });
    await clock.advance(20_000);
    expect(texts()).toEqual(["warn trouble with the registry"]);
    registry.refusal = null;
    await clock.advance(30_000);
    expect(instances()).toHaveLength(1);
    expect(entry.status).toMatchObject({ state: "registered", lastError: null });
  });

  it("says that it was lost, and that it is back", async () => {
    const { entry, registry, clock, texts } = scene();
    await entry.open("0.0.0.0:8080");
    registry.said = "pending";
    await clock.advance(1000);
    expect(entry.status.state).toBe("pending");
    registry.said = null;
    await clock.advance(1000);
    expect(entry.status.state).toBe("registered");
    expect(texts()).toEqual([
      "warn user.rpc is no longer in the registry; it is being put there again",
      "info user.rpc is in the registry",
    ]);
  });

  it("takes the address by which the registry is reached, also if that is known only later", async () => {
    const { entry, registry, clock, addresses, texts } = scene({}, TWO);
    await entry.open("0.0.0.0:8080");
    expect(addresses()).toEqual(["203.0.113.9:8080"]);
    expect(texts()).toEqual([expect.stringMatching(/^info advertises 203\.0\.113\.9 of several/)]);
    let told = 0;
    entry.onRegistered = () => void told++;
    registry.reached = "10.0.0.7";
    await clock.advance(1000);
    expect(addresses()).toEqual(["10.0.0.7:8080"]);
    expect(entry.status.addresses).toEqual([{ address: "10.0.0.7:8080", network: "" }]);
    expect(told).toBe(1);
    registry.reached = "203.0.113.9";
    await clock.advance(10_000);
    expect(addresses()).toEqual(["10.0.0.7:8080"]);
  });

  it("asks each minute only for that address once it is registered and the registry does not know it", async () => {
    const { entry, registry, clock, addresses } = scene({}, TWO);
    let asked = 0;
    registry.reachedFrom = async () => {
      asked++;
      return null;
    };
    registry.backend.fail();
    await entry.open("0.0.0.0:8080");
    await clock.advance(5000);
    expect(asked).toBe(6);
    registry.backend.recover();
    await clock.advance(60_000);
    expect([asked, addresses()]).toEqual([7, ["203.0.113.9:8080"]]);
    await clock.advance(60_000);
    expect([asked, addresses()]).toEqual([8, ["203.0.113.9:8080"]]);
  });

  it("follows an interface whose address changes, within a minute, and says so", async () => {
    const interfaces = { eth1: TWO.eth1 };
    const { entry, clock, addresses, texts, log } = scene({ advertise: "interface:eth1" }, interfaces);
    await entry.open("0.0.0.0:8080");
    interfaces.eth1 = [{ address: "10.0.0.99", family: "IPv4", internal: false }];
    await clock.advance(59_000);
    expect(addresses()).toEqual(["10.0.0.7:8080"]);
    await clock.advance(1000);
    expect([addresses(), entry.status.state]).toEqual([["10.0.0.99:8080"], "registered"]);
    expect(texts()).toEqual(["info user.rpc has other addresses now"]);
    expect(log.lines[0].fields).toEqual({ before: ["10.0.0.7:8080"], addresses: ["10.0.0.99:8080"] });
    await clock.advance(600_000);
    expect(texts()).toHaveLength(1);
  });

  it("follows such a change at once when the registry was away meanwhile", async () => {
    const interfaces = { eth1: TWO.eth1 };
    const { entry, registry, clock, addresses } = scene({ advertise: "cidr:10.0.0.0/8" }, interfaces);
    await entry.open("0.0.0.0:8080");
    interfaces.eth1 = [{ address: "10.0.0.99", family: "IPv4", internal: false }];
    registry.said = "pending";
    await clock.advance(2000);
    registry.said = null;
    await clock.advance(1000);
    expect(addresses()).toEqual(["10.0.0.99:8080"]);
  });

  it("takes the address by which the registry is reached now, and keeps it while the registry does not say", async () => {
    const { entry, registry, clock, addresses } = scene({}, TWO);
    registry.reached = "203.0.113.9";
    await entry.open("0.0.0.0:8080");
    registry.reached = "10.0.0.7";
    await clock.advance(60_000);
    expect(addresses()).toEqual(["10.0.0.7:8080"]);
    registry.reached = null;
    await clock.advance(120_000);
    expect(addresses()).toEqual(["10.0.0.7:8080"]);
  });

  it("stays under its last address while there is no other, which is said once", async () => {
    const interfaces: Record<string, Interfaces[string]> = { eth1: TWO.eth1 };
    const { entry, clock, addresses, texts } = scene({ advertise: "interface:eth1" }, interfaces);
    await entry.open("0.0.0.0:8080");
    interfaces.eth1 = undefined;
    await clock.advance(180_000);
    expect([addresses(), entry.status.state]).toEqual([["10.0.0.7:8080"], "registered"]);
    expect(texts()).toEqual(["warn the advertised addresses stay, though they may be gone"]);
  });

  it("counts how often it was lost, over pauses too", async () => {
    const { entry, registry, clock } = scene();
    await entry.open("0.0.0.0:8080");
    registry.losses = 2;
    expect(entry.status.losses).toBe(2);
    await clock.advanceUntil(entry.takeOut("paused", ""));
    registry.losses = 0;
    await entry.putBack("paused");
    expect(entry.status.losses).toBe(2);
    registry.losses = 1;
    expect(entry.status.losses).toBe(3);
  });

  it("waits 2 s for that address, not longer", async () => {
    const { entry, registry, clock, addresses } = scene({}, TWO);
    registry.reachedFrom = () => new Promise(() => {});
    await clock.advanceUntil(entry.open("0.0.0.0:8080"), 2000);
    expect(addresses()).toEqual(["203.0.113.9:8080"]);
  });

  it("is not made when it is closed before", async () => {
    const { entry, registry, instances } = scene({}, TWO);
    const reached = Promise.withResolvers<string | null>();
    registry.reachedFrom = () => reached.promise;
    const opening = entry.open("0.0.0.0:8080");
    const closing = entry.close();
    reached.resolve("10.0.0.7");
    await Promise.all([opening, closing]);
    expect([instances(), entry.status.state]).toEqual([[], "closed"]);
  });
});
