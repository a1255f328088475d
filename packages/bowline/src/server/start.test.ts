import { createServer as createNetServer } from "node:net";
import { describe, expect, it } from "vitest";
import { certPath } from "../../test/certs.ts";
import { ScriptedRegistry } from "../../test/server/scripted-registry.ts";
import { failure, gate, heldSay, type ServerScene, useScenes } from "../../test/server/server-scene.ts";
import { dial } from "../net/dial.ts";
import { staticRegistry } from "../registry/static.ts";
import { systemClock } from "../rpc/clock.ts";
import { Code } from "../rpc/code.ts";

const scenes = useScenes();

/** Says that it was reached, and lets one wait. */
function never(reached: { open(): void }): Promise<void> {
  reached.open();
  return new Promise(() => {});
}

/** A port that is free now. */
async function freePort(): Promise<number> {
  const server = createNetServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Nothing is left open: the port can be bound at once. */
async function expectClosed(scene: ServerScene, port: number): Promise<void> {
  expect(scene.server.state).toBe("closed");
  const again = await scenes.start({}, { listen: `127.0.0.1:${port}` });
  expect(again.server.port).toBe(port);
}

describe("start", () => {
  it("binds, waits for ready, serves, and registers, in this order", async () => {
    const registry = new ScriptedRegistry();
    const events: string[] = registry.events;
    const scene: ServerScene = scenes.make(
      {},
      {
        name: "text.rpc",
        registry,
        ready: async () => {
          await null;
          events.push(`ready, bound: ${scene.server.port > 0}, health: ${scene.server.health.get("")}`);
        },
      },
    );
    registry.onRegister = async () => {
      events.push(`registering, health: ${scene.server.health.get("")}, answers: ${await scene.client().say("yes")}`);
    };
    expect(scene.server.state).toBe("new");
    const started = scene.server.start();
    expect(scene.server.state).toBe("starting");
    expect(await started).toBe(scene.server);
    expect(scene.server.state).toBe("serving");
    expect(events).toEqual([
      "ready, bound: true, health: NOT_SERVING",
      "register text.rpc",
      "registering, health: SERVING, answers: yes",
    ]);
  });

  it("lets clients that connect before ready has resolved wait, and then serves them", async () => {
    const bound = gate();
    const ready = gate();
    const scene = scenes.make(
      {},
      {
        ready: () => {
          bound.open();
          return ready.opened;
        },
      },
    );
    const started = scene.server.start();
    await bound.opened;
    const peer = await scene.rawPeer();
    peer.preface().settings();
    const call = scene.client().say("early");
    expect(peer.received).toEqual([]);
    ready.open();
    await started;
    expect(await call).toBe("early");
    await peer.expect("SETTINGS");
  });

  it("happens once", async () => {
    const scene = await scenes.start();
    await expect(scene.server.start()).rejects.toThrow(new Error("server.start(): the server is serving already"));
    await scene.server.close();
    await expect(scene.server.start()).rejects.toThrow(new Error("server.start(): the server is closed already"));
  });

  it("of two servers in one process: each has its own life", async () => {
    const [one, two] = [await scenes.start({ say: () => "one" }), await scenes.start({ say: () => "two" })];
    const [first, second] = [one.client(), two.client()];
    expect([await first.say("?"), await second.say("?")]).toEqual(["one", "two"]);
    await one.server.close();
    expect(await second.say("?")).toBe("two");
    expect(await failure(first.say("?"))).toMatchObject({ code: Code.UNAVAILABLE });
  });
});

describe("a start that fails", () => {
  it("names the port that is taken, and by whom", async () => {
    const holder = await scenes.start();
    const scene = scenes.make({}, { listen: holder.server.address });
    const text = `cannot listen on ${holder.server.address}: port ${holder.server.port} is taken by process ${process.pid}`;
    await expect(scene.server.start()).rejects.toThrow(text);
    expect(scene.server.state).toBe("closed");
    expect(await holder.client().say("still here")).toBe("still here");
  });

  it("names the TLS file that can't be used, before it binds", async () => {
    const scene = scenes.make({}, { tls: { certificate: certPath("nothing.crt"), key: certPath("server.key") } });
    await expect(scene.server.start()).rejects.toThrow(/createServer options\.tls\.certificate.*nothing\.crt/);
    expect(scene.server.state).toBe("closed");
    expect(scene.server.address).toBe("");
  });

  it.each([
    ["rejects", () => Promise.reject(new Error("no database"))],
    [
      "throws",
      () => {
        throw new Error("no database");
      },
    ],
  ] as const)("because ready %s: with that error, nothing left open", async (_how, ready) => {
    const port = await freePort();
    const registry = new ScriptedRegistry();
    const scene = scenes.make({}, { listen: `127.0.0.1:${port}`, name: "text.rpc", registry, ready });
    await expect(scene.server.start()).rejects.toThrow(new Error("no database"));
    expect(registry.events).toEqual([]);
    await expectClosed(scene, port);
  });

  it("because the registry can't be used: with what it says, nothing left open, calls ended with UNAVAILABLE", async () => {
    const port = await freePort();
    const registry = new ScriptedRegistry();
    const running = gate();
    const scene = scenes.make(
      { say: heldSay(running) },
      {
        listen: `127.0.0.1:${port}`,
        name: "text.rpc",
        registry,
      },
    );
    let early: Promise<unknown> = Promise.resolve();
    registry.onRegister = async () => {
      early = failure(scene.client().say("x"));
      await running.opened;
      throw new Error("no rights");
    };
    await expect(scene.server.start()).rejects.toThrow(new Error("no rights"));
    expect(await early).toMatchObject({ code: Code.UNAVAILABLE, text: "the server could not start" });
    await expectClosed(scene, port);
  });

  it("says which registry takes no entries", async () => {
    const scene = scenes.make({}, { name: "text.rpc", registry: staticRegistry(["127.0.0.1:1"]) });
    await expect(scene.server.start()).rejects.toThrow(/static registry: "text\.rpc" can't be registered/);
    expect(scene.server.state).toBe("closed");
  });

  it("lets close() do nothing", async () => {
    const scene = scenes.make({}, { ready: () => Promise.reject(new Error("no")) });
    const started = scene.server.start();
    const closed = scene.server.close();
    await expect(started).rejects.toThrow();
    await closed;
    expect(scene.server.state).toBe("closed");
  });
});

describe("close during the start", () => {
  const given = "server.start(): close() was called before the server had started";

  it("gives the start up at once, whatever ready waits for", async () => {
    const port = await freePort();
    const atReady = gate();
    const scene = scenes.make({}, { listen: `127.0.0.1:${port}`, ready: () => never(atReady) });
    const started = scene.server.start();
    const outcome = expect(started).rejects.toThrow(new Error(given));
    await atReady.opened;
    await scene.server.close();
    await outcome;
    await expectClosed(scene, port);
  });

  it("gives the start up at once, whatever an authenticator opens", async () => {
    const opening = gate();
    const by = { scheme: "own", required: "a key", authenticate: () => null, open: () => never(opening) };
    const scene = scenes.make({}, { authenticate: { by, allow: { "*": "authenticated" } } });
    const outcome = expect(scene.server.start()).rejects.toThrow(new Error(given));
    await opening.opened;
    await scene.server.close();
    await outcome;
    expect([scene.server.state, scene.server.address]).toEqual(["closed", ""]);
  });

  it("in the very turn of the start", async () => {
    let isAsked = false;
    const scene = scenes.make({}, { ready: () => void (isAsked = true) });
    const outcome = expect(scene.server.start()).rejects.toThrow(new Error(given));
    await scene.server.close();
    await outcome;
    expect(scene.server.state).toBe("closed");
    expect(isAsked).toBe(false);
  });

  it("takes an entry that is still being made out of the registry", async () => {
    const registry = new ScriptedRegistry();
    const registering = gate();
    const registered = gate();
    registry.onRegister = () => {
      registering.open();
      return registered.opened;
    };
    const scene = scenes.make({}, { name: "text.rpc", registry });
    const outcome = expect(scene.server.start()).rejects.toThrow(new Error(given));
    await registering.opened;
    const closed = scene.server.close();
    registered.open();
    await closed;
    await outcome;
    expect(registry.events).toEqual(["register text.rpc", "update draining", "leave"]);
    expect(registry.instances).toEqual([]);
  });

  it("at its very end leaves nothing open either, whatever becomes of the start", async () => {
    for (let turns = 0; turns < 12; turns++) {
      const registry = new ScriptedRegistry();
      const registered = gate();
      registry.onRegister = () => registered.opened;
      const scene = scenes.make({}, { name: "text.rpc", registry });
      const outcome = scene.server.start().catch(() => {});
      await scene.eventually(() => registry.events.length > 0);
      registered.open();
      for (let i = 0; i < turns; i++) await null;
      await scene.server.close();
      await outcome;
      expect(scene.server.state).toBe("closed");
      expect(registry.instances).toEqual([]);
      await expect(dial(scene.server.address, { clock: systemClock })).rejects.toMatchObject({ kind: "refused" });
    }
  });

  it("before it: the server can't be started any more", async () => {
    const scene = scenes.make();
    await scene.server.close();
    expect(scene.server.state).toBe("closed");
    await expect(scene.server.start()).rejects.toThrow(new Error("server.start(): the server is closed already"));
  });
});
