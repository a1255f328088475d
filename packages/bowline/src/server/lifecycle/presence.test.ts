import { describe, expect, it } from "vitest";
import { useScenes } from "../../../test/server/server-scene.ts";
import type { Registry } from "../../registry/registry.ts";
import type { RegistryConfig } from "../../registry/registry-config.ts";
import { type MemoryRegistry, memoryRegistry } from "../../testing/memory-registry.ts";
import { settle, VirtualClock } from "../../testing/virtual-clock.ts";
import type { ServerOptions } from "../server-options.ts";

const scenes = useScenes();

/** Servers of `text.rpc` in one registry, with a clock that the test moves. */
function fleet() {
  const clock = new VirtualClock();
  const registry: MemoryRegistry = memoryRegistry();
  const make = (instanceId: string, options: ServerOptions = {}) =>
    scenes.make({}, { name: "text.rpc", registry, instanceId, clock, random: () => 0.5, ...options });
  const start = async (instanceId: string, options: ServerOptions = {}) => {
    const scene = make(instanceId, options);
    await scene.server.start();
    return scene;
  };
  const ids = (): string[] => registry.instances("text.rpc").map(({ id }) => id);
  return { clock, registry, make, start, ids };
}

describe("server.pause", () => {
  it("takes the server out of the registry and says NOT_SERVING; calls are served, and resume undoes it", async () => {
    const { start, clock, ids } = fleet();
    const scene = await start("one");
    const { server } = scene;
    const client = scene.client();
    expect(server.registration?.state).toBe("registered");
    await clock.advanceUntil(Promise.all([server.pause(), server.pause()]));
    expect(ids()).toEqual([]);
    expect(server.registration).toMatchObject({ state: "paused", reason: "server.pause() was called" });
    expect([...server.health.all.values()]).not.toContain("SERVING");
    expect(await client.say("still here")).toBe("still here");
    await Promise.all([server.resume(), server.resume()]);
    expect(ids()).toEqual(["one"]);
    expect(server.registration).toMatchObject({ state: "registered", reason: "" });
    expect([...server.health.all.values()]).not.toContain("NOT_SERVING");
  });

  it("keeps what the program says of its health until resume", async () => {
    const { start, clock } = fleet();
    const { server } = await start("one");
    await clock.advanceUntil(server.pause());
    server.health.set("database", "NOT_SERVING");
    server.health.set("text.v1.Text", "SERVING");
    expect(server.health.get("text.v1.Text")).toBe("NOT_SERVING");
    await server.resume();
    expect([server.health.get("database"), server.health.get("text.v1.Text")]).toEqual(["NOT_SERVING", "SERVING"]);
  });

  it("before the start keeps the server out until resume", async () => {
    const { make, ids } = fleet();
    const { server } = make("one");
    await server.pause();
    await server.start();
    expect([ids(), server.registration?.state, server.health.get("")]).toEqual([[], "paused", "NOT_SERVING"]);
    await server.resume();
    expect([ids(), server.registration?.state, server.health.get("")]).toEqual([["one"], "registered", "SERVING"]);
  });

  it("without a registry says NOT_SERVING", async () => {
    const { server } = await scenes.start();
    await server.pause();
    expect([server.registration, server.health.get("")]).toEqual([null, "NOT_SERVING"]);
    await server.resume();
    expect(server.health.get("")).toBe("SERVING");
  });

  it("is nothing to a server that stops, nor is resume", async () => {
    const { start, clock, ids } = fleet();
    const { server } = await start("one");
    await clock.advanceUntil(server.pause());
    await server.close();
    await server.resume();
    expect([ids(), server.registration, server.health.get("")]).toEqual([[], null, "NOT_SERVING"]);
  });
});

describe("server.setWeight", () => {
  it("changes the weight that others see, at once and after a pause", async () => {
    const { start, registry, clock } = fleet();
    const { server } = await start("one", { weight: 2 });
    expect(server.registration?.weight).toBe(2);
    await server.setWeight(0.5);
    expect(registry.instances("text.rpc")).toMatchObject([{ weight: 0.5 }]);
    await clock.advanceUntil(server.pause());
    await server.setWeight(4);
    await server.resume();
    expect(registry.instances("text.rpc")).toMatchObject([{ weight: 4 }]);
    expect(server.registration?.weight).toBe(4);
  });

  it("before the start counts at the start", async () => {
    const { make, registry } = fleet();
    const { server } = make("one");
    await server.setWeight(3);
    await server.start();
    expect(registry.instances("text.rpc")).toMatchObject([{ weight: 3 }]);
  });

  it.each([-1, Number.NaN, Number.POSITIVE_INFINITY, "2" as unknown as number])("refuses %s", async (weight) => {
    const { server } = scenes.make();
    await expect(server.setWeight(weight)).rejects.toThrow(
      `server.setWeight(${weight}): give a number from 0 (no load) up`,
    );
  });
});

describe("a server that starts while its registry can't be reached", () => {
  it("serves, registers later, and warns once", async () => {
    const { start, registry, clock, ids } = fleet();
    registry.fail(new Error("no route to it"));
    const scene = await start("one");
    expect(await scene.client().say("here")).toBe("here");
    expect(scene.server.registration).toMatchObject({ state: "pending", lastError: new Error("no route to it") });
    expect(scene.server.health.get("")).toBe("SERVING");
    await clock.advance(100_000);
    expect(scene.log.lines.map(({ text }) => text)).toEqual([
      expect.stringMatching(/^text\.rpc is not in the registry yet/),
    ]);
    registry.recover();
    await clock.advance(1000);
    expect([ids(), scene.server.registration?.state]).toEqual([["one"], "registered"]);
  });
});

describe("a server in a registry of several machines", () => {
  /** As a memory registry, but with servers of other machines in it. */
  function remote(reachedFrom: string | null): RegistryConfig {
    const place = memoryRegistry();
    place.set("text.rpc", ["203.0.113.9:80"]);
    return {
      name: "remote",
      create: (context) => {
        const view: Registry = place.create(context);
        return {
          name: "remote",
          register: (service, instance) => view.register(service, instance),
          watch: (service, handler) => view.watch(service, handler),
          reachedFrom: async () => reachedFrom,
          close: () => view.close(),
        };
      },
    };
  }

  it.each<[string, RegistryConfig, ServerOptions, RegExp]>([
    [
      "that nothing answers",
      remote(null),
      { advertise: "127.0.0.1:1" },
      /but 127\.0\.0\.1:1 can't be reached from this machine/,
    ],
    [
      "that it is loopback",
      remote("10.0.0.7"),
      {},
      /but 127\.0\.0\.1:\d+ is loopback, but the registry is on another machine/,
    ],
    [
      "that others are public",
      remote(null),
      {},
      /but 127\.0\.0\.1:\d+ is a private address, .* such as 203\.0\.113\.9:80; set advertise/,
    ],
  ])("says of its advertised address, in one line, %s; and serves", async (_name, registry, options, text) => {
    const scene = await scenes.start({}, { name: "text.rpc", registry, ...options });
    await scene.eventually(() => scene.log.lines.length > 0);
    expect(scene.log.lines).toMatchObject([{ level: "warn", text }]);
    expect(await scene.client().say("here")).toBe("here");
  });

  it("looks at itself again after a look that failed", async () => {
    const config = remote("10.0.0.7");
    let asked = 0;
    const registry: RegistryConfig = {
      name: "remote",
      create: (context) => {
        const made = config.create(context);
        const reachedFrom = (): Promise<string | null> => {
          if (++asked === 1) throw new Error("not now");
          return made.reachedFrom?.() ?? Promise.resolve(null);
        };
        return { ...made, reachedFrom };
      },
    };
    const scene = await scenes.start({}, { name: "text.rpc", registry });
    await scene.eventually(() => scene.log.lines.length > 0);
    await scene.server.pause();
    await scene.server.resume();
    await scene.eventually(() => scene.log.lines.length > 1);
    expect(scene.log.lines).toMatchObject([
      { text: "the self-check failed" },
      { text: /is loopback, but the registry/ },
    ]);
  });

  it("looks at nothing when selfCheck is false", async () => {
    const registry = remote("10.0.0.7");
    const silent = await scenes.start({}, { name: "text.rpc", registry, selfCheck: false });
    const other = await scenes.start({}, { name: "text.rpc", registry });
    await other.eventually(() => other.log.lines.length > 0);
    expect(silent.log.lines).toEqual([]);
  });
});

describe("a health check", () => {
  /** A server whose check answers as `state.isWell` says. */
  async function checked(fleetOf: ReturnType<typeof fleet>, id: string) {
    const state = { isWell: true };
    const check = (): void => {
      if (!state.isWell) throw new Error("no database");
    };
    const { server, log } = await fleetOf.start(id, { healthCheck: { check, intervalMs: 1000 } });
    return { server, log, state };
  }

  it("takes a server out of the registry and puts it in again; the last one stays", async () => {
    const scene = fleet();
    const [one, two] = [await checked(scene, "one"), await checked(scene, "two")];
    one.state.isWell = false;
    await scene.clock.advance(4000);
    expect(scene.ids()).toEqual(["two"]);
    expect(one.server.registration).toMatchObject({
      state: "unhealthy",
      reason: "the health check failed (no database)",
    });
    expect(one.server.health.get("")).toBe("NOT_SERVING");
    two.state.isWell = false;
    await scene.clock.advance(60_000);
    expect(scene.ids()).toEqual(["two"]);
    expect(two.server.registration).toMatchObject({
      state: "registered",
      reason: "the health check failed (no database); it stays, for no other instance takes calls",
    });
    expect(two.server.health.get("")).toBe("SERVING");
    one.state.isWell = true;
    await scene.clock.advance(3000);
    expect(scene.ids()).toEqual(["one"]);
    two.state.isWell = true;
    await scene.clock.advance(3000);
    expect(scene.ids().sort()).toEqual(["one", "two"]);
    expect([one, two].map(({ server }) => server.registration?.reason)).toEqual(["", ""]);
    expect(two.log.lines.map(({ text }) => text)).toEqual([
      "the health check failed (no database); it stays, for no other instance takes calls",
      "the health check failed (no database)",
      "the health check succeeds again (2 times)",
    ]);
  });

  it("brings a server back when the last other one goes", async () => {
    const scene = fleet();
    const [one, two] = [await checked(scene, "one"), await checked(scene, "two")];
    one.state.isWell = false;
    await scene.clock.advance(4000);
    expect(scene.ids()).toEqual(["two"]);
    await two.server.close();
    await settle();
    expect(scene.ids()).toEqual(["one"]);
    expect(one.server.registration?.reason).toMatch(/it came back, for no other instance takes calls$/);
  });

  it("takes no server out while the registry can't be reached, for nobody knows who else is there", async () => {
    const scene = fleet();
    const [one] = [await checked(scene, "one"), await checked(scene, "two")];
    scene.registry.fail();
    await settle();
    one.state.isWell = false;
    await scene.clock.advance(30_000);
    expect(one.server.registration?.reason).toMatch(/it stays, for it is not known whether others take calls$/);
    scene.registry.recover();
    await scene.clock.advance(2000);
    expect(scene.ids()).toEqual(["two"]);
  });

  it("of a paused server does not bring it back", async () => {
    const scene = fleet();
    const [one] = [await checked(scene, "one"), await checked(scene, "two")];
    one.state.isWell = false;
    await scene.clock.advance(4000);
    await one.server.pause();
    one.state.isWell = true;
    await scene.clock.advance(4000);
    expect([scene.ids(), one.server.registration?.state]).toEqual([["two"], "paused"]);
    await one.server.resume();
    expect(scene.ids().sort()).toEqual(["one", "two"]);
  });

  it("without a registry says how the server is", async () => {
    const clock = new VirtualClock();
    let isWell = false;
    const healthCheck = { check: () => isWell, intervalMs: 1000 };
    const { server } = await scenes.start({}, { clock, random: () => 0.5, healthCheck });
    await clock.advance(3500);
    expect(server.health.get("")).toBe("NOT_SERVING");
    isWell = true;
    await clock.advance(2000);
    expect(server.health.get("")).toBe("SERVING");
  });

  it("ends with the server", async () => {
    const scene = fleet();
    const { server, state } = await checked(scene, "one");
    await server.close();
    state.isWell = false;
    await scene.clock.advance(30_000);
    expect(scene.clock.pending).toBe(0);
  });
});
