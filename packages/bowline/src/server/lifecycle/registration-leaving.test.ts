import { describe, expect, it } from "vitest";
import { TWO, useEntries } from "../../../test/server/entry-scene.ts";
import { ScriptedRegistry } from "../../../test/server/scripted-registry.ts";
import { WatchRecorder } from "../../../test/watch-recorder.ts";
import { settle } from "../../testing/virtual-clock.ts";

const scene = useEntries();

describe("the entry of a server that is to go", () => {
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

  it("leaves at once where it can't be announced, and comes back", async () => {
    const { entry, registry, clock, instances, texts } = scene();
    await entry.open("0.0.0.0:8080");
    registry.faults.update = new Error("no leader");
    await entry.takeOut("paused", "");
    expect([instances(), entry.status.state, clock.now()]).toEqual([[], "paused", 0]);
    expect(texts()).toEqual([
      "warn telling the registry that the instance drains failed; it is taken out without that",
    ]);
    await entry.putBack("paused");
    expect(instances()).toMatchObject([{ id: entry.id, state: "ready" }]);
  });

  it("is taken out later where that fails at first, which is said once", async () => {
    const { entry, registry, clock, instances, texts } = scene();
    await entry.open("0.0.0.0:8080");
    registry.faults.close = new Error("no leader");
    await clock.advanceUntil(entry.takeOut("paused", ""));
    expect(instances()).toMatchObject([{ state: "draining" }]);
    expect(entry.status).toMatchObject({ state: "paused", lastError: new Error("no leader") });
    await clock.advance(120_000);
    expect(texts()).toEqual(["warn taking the instance out of the registry failed; it is tried again"]);
    expect(registry.closes).toBeLessThan(20);
    registry.faults.close = null;
    await clock.advance(30_000);
    expect(instances()).toEqual([]);
    expect(entry.status).toMatchObject({ state: "paused", lastError: null });
    const { closes } = registry;
    await clock.advance(120_000);
    expect(registry.closes).toBe(closes);
  });

  it("comes back when it could not be taken out, and what was left does not take it out afterwards", async () => {
    const { entry, registry, clock, instances } = scene();
    await entry.open("0.0.0.0:8080");
    registry.faults.close = new Error("no leader");
    await clock.advanceUntil(entry.takeOut("paused", ""));
    // It is still there, and the registry takes no second one of this id.
    await expect(entry.putBack("paused")).rejects.toThrow(/is registered already/);
    registry.faults.close = null;
    await clock.advance(30_000);
    expect(entry.status).toMatchObject({ state: "registered", lastError: null });
    expect(instances()).toMatchObject([{ id: entry.id, state: "ready" }]);
    const { closes } = registry;
    await clock.advance(120_000);
    expect(registry.closes).toBe(closes);
  });

  it("comes back at once where the registry takes another though the first could not be taken out", async () => {
    const { entry, registry, clock, instances } = scene();
    await entry.open("0.0.0.0:8080");
    registry.faults.close = new Error("no leader");
    await clock.advanceUntil(entry.takeOut("paused", ""));
    registry.backend.set("user.rpc", []);
    await entry.putBack("paused");
    expect([instances().length, entry.status.state]).toEqual([1, "registered"]);
    registry.faults.close = null;
    await clock.advance(120_000);
    expect([instances().length, entry.status.state]).toEqual([1, "registered"]);
  });

  it("is asked once more when the server closes, where it could not be taken out before", async () => {
    const { entry, registry, clock, instances } = scene();
    await entry.open("0.0.0.0:8080");
    registry.faults.close = new Error("no leader");
    await clock.advanceUntil(entry.takeOut("paused", ""));
    registry.faults.close = null;
    await entry.close(5000);
    expect([instances(), clock.pending]).toEqual([[], 0]);
  });

  it("does not wait for others to hear of it when it is closed meanwhile", async () => {
    const { entry, clock, instances } = scene();
    await entry.open("0.0.0.0:8080");
    const leaving = entry.takeOut("paused", "");
    await settle();
    expect(instances()).toMatchObject([{ state: "draining" }]);
    await Promise.all([leaving, entry.close(5000)]);
    expect([instances(), clock.now(), clock.pending]).toEqual([[], 0, 0]);
  });

  it.each([1000, 6000])("does not come back where it is closed while it leaves, which takes %d ms", async (tookMs) => {
    const remote = new ScriptedRegistry();
    remote.onLeave = () => Promise.reject(new Error("no leader"));
    const { entry, clock } = scene({ registry: { name: "scripted", create: () => remote } });
    await entry.open("0.0.0.0:8080");
    await clock.advanceUntil(entry.takeOut("paused", ""));
    const left = Promise.withResolvers<void>();
    remote.onLeave = () => left.promise;
    const back = entry.putBack("paused");
    await settle();
    const closed = entry.close(5000);
    await clock.advance(tookMs);
    left.resolve();
    await back;
    expect(await closed).toBe(tookMs < 5000);
    expect(remote.events.filter((event) => event.startsWith("register"))).toHaveLength(1);
    expect([remote.instances, clock.pending]).toEqual([[], 0]);
  });

  it("has its registry closed in time, though that never takes it out", async () => {
    const remote = new ScriptedRegistry();
    remote.onLeave = () => new Promise(() => {});
    const { entry, clock } = scene({ registry: { name: "scripted", create: () => remote } });
    await entry.open("0.0.0.0:8080");
    const closed = entry.close(5000);
    await clock.advance(4999);
    expect(remote.events.slice(-2)).toEqual(["update draining", "leave"]);
    await clock.advance(1);
    expect(await closed).toBe(false);
    expect([remote.events.at(-1), clock.pending]).toEqual(["close", 0]);
  });

  it("takes another address though the registry does not hear that it leaves the old one", async () => {
    const interfaces = { eth1: TWO.eth1 };
    const { entry, registry, clock, addresses } = scene({ advertise: "interface:eth1" }, interfaces);
    await entry.open("0.0.0.0:8080");
    interfaces.eth1 = [{ address: "10.0.0.99", family: "IPv4", internal: false }];
    registry.faults.update = new Error("no leader");
    await clock.advance(60_000);
    expect([addresses(), entry.status.state]).toEqual([["10.0.0.99:8080"], "registered"]);
  });
});
