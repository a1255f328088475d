import { describe, expect, it } from "vitest";
import { TWO, useEntries } from "../../../test/server/entry-scene.ts";
import { memoryRegistry } from "../../testing/memory-registry.ts";
import type { Interfaces } from "./interfaces.ts";

const scene = useEntries();

describe("the entry of a server", () => {
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
    await entry.close(5000);
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

  it("is made though a change that was asked for meanwhile fails, which is logged", async () => {
    const { entry, registry, clock, texts } = scene();
    registry.faults.update = new Error("no route to it");
    const register = registry.register.bind(registry);
    registry.register = (service, instance) => {
      void entry.setWeight(5);
      return register(service, instance);
    };
    await entry.open("0.0.0.0:8080");
    expect(entry.status).toMatchObject({ state: "registered", weight: 5 });
    expect(texts()).toEqual(["warn trouble with the registry"]);
    await entry.close(5000);
    expect(clock.pending).toBe(0);
  });

  it("says that it was lost, and where it is back takes the better address, whoever asks for its status meanwhile", async () => {
    const { entry, registry, clock, addresses, texts } = scene({}, TWO);
    registry.reached = "203.0.113.9";
    await entry.open("0.0.0.0:8080");
    const status = clock.setInterval(() => entry.status, 100);
    await clock.advance(1000);
    registry.said = "pending";
    await clock.advance(1000);
    registry.reached = "10.0.0.7";
    registry.said = null;
    await clock.advance(1000);
    status.cancel();
    expect(addresses()).toEqual(["10.0.0.7:8080"]);
    expect(texts().filter((text) => /in the registry/.test(text))).toEqual([
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
    const closing = entry.close(5000);
    reached.resolve("10.0.0.7");
    await Promise.all([opening, closing]);
    expect([instances(), entry.status.state]).toEqual([[], "closed"]);
  });
});
