import { beforeEach, describe, expect, it } from "vitest";
import { ScriptedRegistry } from "../../../test/server/scripted-registry.ts";
import { gate, RecordingLogger } from "../../../test/server/server-scene.ts";
import { echo, TextService } from "../../../test/server/text-service.ts";
import { FakeWorkers } from "../../../test/server/workers/fake-workers.ts";
import { settle, VirtualClock } from "../../testing/virtual-clock.ts";
import type { ServerOptions } from "../server-options.ts";
import { PrimaryServer } from "./primary-server.ts";
import { workerPlan } from "./worker-options.ts";

const ADDRESS = "10.0.0.1:8080";

let clock: VirtualClock;
let log: RecordingLogger;
let workers: FakeWorkers;
let registry: ScriptedRegistry;
let released: number;
beforeEach(() => {
  clock = new VirtualClock();
  log = new RecordingLogger();
  workers = new FakeWorkers();
  registry = new ScriptedRegistry();
  released = 0;
});

function make(options: ServerOptions = {}): PrimaryServer {
  const all: ServerOptions = {
    name: "text.rpc",
    registry,
    workers: 2,
    handleSignals: false,
    clock,
    logger: log,
    ...options,
  };
  const claim = (): (() => void) => () => void released++;
  const server = new PrimaryServer(all, workerPlan(all.workers ?? 2), { claim, launch: workers.launch });
  return server.add(TextService, echo);
}

async function serving(options?: ServerOptions): Promise<PrimaryServer> {
  const server = make(options);
  const started = server.start();
  workers.allServe(ADDRESS);
  await started;
  return server;
}

function endAll(): void {
  for (const id of [1, 2]) workers.of(id).ends();
}

describe("a primary", () => {
  it("registers once all workers serve, and serves then", async () => {
    const server = make();
    expect(server).toMatchObject({ role: "primary", state: "new", address: "", port: 0 });
    const started = server.start();
    expect(server.state).toBe("starting");
    for (const id of [1, 2]) workers.of(id).asks();
    for (const id of [1, 2]) workers.of(id).binds(ADDRESS);
    workers.of(1).serves(ADDRESS);
    await settle();
    expect(registry.events).toEqual([]);
    workers.of(2).says({ bowline: "serving", address: ADDRESS, services: ["", "text.v1.Text"] });
    expect(await started).toBe(server);
    expect(registry.instances).toMatchObject([{ addresses: [{ address: ADDRESS }], state: "ready" }]);
    expect(server).toMatchObject({ state: "serving", address: ADDRESS, addresses: [ADDRESS], port: 8080 });
    expect(Object.fromEntries(server.health.all)).toEqual({ "": "SERVING", "text.v1.Text": "SERVING" });
  });

  it("leaves the registry before it tells workers to stop, with what is left of the time", async () => {
    const server = await serving({ drainTimeoutMs: 3000 });
    const left = gate();
    registry.onLeave = () => left.opened;
    const closed = server.close();
    expect(server.state).toBe("draining");
    await clock.advance(1000);
    expect(registry.events.slice(-2)).toEqual(["update draining", "leave"]);
    expect(workers.of(1).received.at(-1)?.bowline).toBe("go");
    left.open();
    await settle();
    for (const id of [1, 2]) expect(workers.of(id).received.at(-1)).toEqual({ bowline: "stop", withinMs: 2000 });
    expect(server.close()).toBe(closed);
    endAll();
    await closed;
    expect(server.state).toBe("closed");
    expect(released).toBe(1);
    expect(server.health.get("")).toBe("NOT_SERVING");
  });

  it("does not wait for a registry that does not answer", async () => {
    const server = await serving({ drainTimeoutMs: 30_000 });
    registry.onLeave = () => new Promise(() => {});
    const closed = server.close();
    await clock.advance(4999);
    expect(workers.of(1).received.at(-1)?.bowline).toBe("go");
    await clock.advance(1);
    expect(workers.of(1).received.at(-1)).toEqual({ bowline: "stop", withinMs: 25_000 });
    endAll();
    await closed;
    expect(log.lines.map(({ text }) => text)).toEqual(["the registry does not answer; the instance will expire there"]);
  });

  it("pauses all workers, those too that start later, and is out of the registry meanwhile", async () => {
    const server = await serving();
    const pausing = server.pause();
    expect(server.registration?.state).toBe("paused");
    await clock.advanceUntil(pausing);
    expect(registry.instances).toEqual([]);
    for (const id of [1, 2]) expect(workers.of(id).received.at(-1)).toMatchObject({ bowline: "pause", isPaused: true });
    workers.of(2).ends();
    await clock.advance(1000);
    workers.of(2).asks();
    expect(workers.of(2).received.at(-1)).toMatchObject({ bowline: "go", isPaused: true, weight: null });
    await server.resume();
    expect([registry.instances.length, server.registration?.state]).toEqual([1, "registered"]);
    for (const id of [1, 2]) {
      expect(workers.of(id).received.at(-1)).toMatchObject({ bowline: "pause", isPaused: false });
    }
  });

  it("says of its own health what all say while they are paused", async () => {
    const server = await serving();
    await clock.advanceUntil(server.pause());
    expect(server.health.get("")).toBe("NOT_SERVING");
    await server.resume();
    expect(server.health.get("")).toBe("SERVING");
  });

  it("has paused, resumed or weighted when all workers have", async () => {
    const server = await serving({ registry: undefined });
    const [one, two] = workers.launched;
    for (const [change, bowline] of [
      [() => server.pause(), "pause"],
      [() => server.resume(), "pause"],
      [() => server.setWeight(2), "weight"],
    ] as const) {
      two.isObedient = false;
      let isDone = false;
      const done = change().then(() => {
        isDone = true;
      });
      await settle();
      expect(isDone).toBe(false);
      const asked = two.received.at(-1);
      expect(asked?.bowline).toBe(bowline);
      two.does((asked as { readonly replyTo: number }).replyTo);
      await done;
    }
    one.isObedient = false;
    two.isObedient = false;
    const failed = expect(server.resume()).rejects.toThrow(new Error("worker 1: no rights"));
    two.does(4);
    one.does(4, new Error("no rights"));
    await failed;
  });

  it("waits for no worker that ends, and not for ever for one that does nothing", async () => {
    const server = await serving({ registry: undefined });
    const [one, two] = workers.launched;
    one.isObedient = false;
    two.isObedient = false;
    const paused = server.pause();
    one.ends();
    two.ends();
    await paused;
    await clock.advance(1000);
    for (const id of [1, 2]) workers.of(id).asks();
    workers.of(1).isObedient = false;
    let isDone = false;
    const resumed = server.resume().then(() => {
      isDone = true;
    });
    await clock.advance(9999);
    expect(isDone).toBe(false);
    await clock.advance(1);
    await resumed;
    expect(log.lines.at(-1)).toMatchObject({ level: "warn", fields: { workers: [1] } });
  });

  it("is out of the registry once all workers have closed their servers", async () => {
    const server = await serving();
    workers.of(1).closes();
    await settle();
    expect(registry.instances).toHaveLength(1);
    workers.of(2).ends();
    await clock.advance(1000);
    workers.of(2).asks();
    expect(registry.instances).toHaveLength(1);
    workers.of(2).serves(ADDRESS);
    workers.of(2).closes();
    await clock.advance(1000);
    expect(registry.instances).toEqual([]);
    expect(server.health.get("")).toBe("NOT_SERVING");
    expect(log.lines.at(-1)).toMatchObject({
      level: "warn",
      text: "all workers have closed their servers: nothing is served any more",
    });
    const { length } = log.lines;
    const closed = server.close();
    await settle();
    endAll();
    await closed;
    expect(server.state).toBe("closed");
    expect(log.lines).toHaveLength(length);
  });

  it("says once that all workers have closed their servers, and closes when it is out of the registry", async () => {
    const server = await serving();
    const left = gate();
    registry.onLeave = () => left.opened;
    for (const id of [1, 2]) workers.of(id).closes();
    endAll();
    await clock.advance(1000);
    expect(log.lines.filter(({ text }) => text.startsWith("all workers have closed"))).toHaveLength(1);
    let isClosed = false;
    const closed = server.close().then(() => (isClosed = true));
    await settle();
    expect([isClosed, registry.instances.length]).toEqual([false, 1]);
    left.open();
    await closed;
    expect(registry.instances).toEqual([]);
  });

  it("is out of the registry while no worker serves, but for a moment", async () => {
    const server = await serving();
    endAll();
    await clock.advance(2000);
    for (const id of [1, 2]) workers.of(id).fails("no database");
    await clock.advance(999);
    expect(registry.instances).toHaveLength(1);
    await clock.advance(1000);
    expect(registry.instances).toEqual([]);
    expect(server.registration).toMatchObject({ state: "unserved", reason: "no worker serves" });
    expect(log.lines.at(-1)).toMatchObject({
      level: "warn",
      text: "no worker serves: the instance is out of the registry until one does",
    });
    // Nothing is said of health, which would pause the workers.
    expect(workers.of(1).received).toEqual([]);
    for (const id of [1, 2]) workers.of(id).ends();
    await clock.advance(10_000);
    workers.of(2).asks();
    expect(workers.of(2).received.at(-1)).toMatchObject({ bowline: "go", isPaused: false });
    workers.of(2).serves(ADDRESS);
    await settle();
    expect(server.registration?.state).toBe("registered");
    expect(registry.instances).toMatchObject([{ addresses: [{ address: ADDRESS }], state: "ready" }]);
  });

  it("stays in the registry when a worker serves again in time, or others serve", async () => {
    const server = await serving();
    endAll();
    await clock.advance(2900);
    workers.of(1).asks();
    workers.of(1).serves(ADDRESS);
    await clock.advance(60_000);
    expect(server.registration?.state).toBe("registered");
    expect(registry.events.filter((event) => event === "leave")).toEqual([]);
  });

  it("that is paused while no worker serves stays out until both are over", async () => {
    const server = await serving();
    endAll();
    await clock.advance(5000);
    await clock.advanceUntil(server.pause());
    workers.of(1).asks();
    workers.of(1).serves(ADDRESS);
    await settle();
    expect(registry.instances).toEqual([]);
    expect(server.registration?.state).toBe("paused");
    await server.resume();
    expect(registry.instances).toHaveLength(1);
  });

  it("tells all workers their weight, those too that start later", async () => {
    const server = await serving();
    await server.setWeight(3);
    expect(registry.events.at(-1)).toBe("update undefined");
    for (const id of [1, 2]) expect(workers.of(id).received.at(-1)).toMatchObject({ bowline: "weight", weight: 3 });
    workers.of(1).ends();
    await clock.advance(1000);
    workers.of(1).asks();
    expect(workers.of(1).received.at(-1)).toMatchObject({ bowline: "go", isPaused: false, weight: 3 });
    await expect(server.setWeight(-1)).rejects.toThrow(RangeError);
  });

  it("with ports of their own leaves the registry to the workers", async () => {
    const server = make({ workers: { count: 2, ports: "own" } });
    const started = server.start();
    for (const id of [1, 2]) workers.of(id).asks();
    for (const id of [1, 2]) workers.of(id).serves(`10.0.0.1:808${id}`);
    await started;
    expect(server.addresses).toEqual(["10.0.0.1:8081", "10.0.0.1:8082"]);
    expect(registry.events).toEqual([]);
  });

  it("gives all up when the registry can't be used", async () => {
    registry.onRegister = () => Promise.reject(new Error("no rights"));
    const server = make();
    const failed = expect(server.start()).rejects.toThrow(new Error("no rights"));
    workers.allServe(ADDRESS);
    await settle();
    for (const id of [1, 2]) expect(workers.of(id).received.at(-1)).toEqual({ bowline: "stop", withinMs: 0 });
    endAll();
    await failed;
    expect(server.state).toBe("closed");
    expect(released).toBe(1);
  });

  it("gives the start up when it is closed meanwhile", async () => {
    const server = make();
    const outcome = expect(server.start()).rejects.toThrow(
      new Error("server.start(): close() was called before the server had started"),
    );
    workers.of(1).asks();
    const closed = server.close();
    await settle();
    expect(workers.of(1).received).toEqual([{ bowline: "stop", withinMs: 0 }]);
    expect(workers.of(2).wasKilled).toBe(true);
    endAll();
    await closed;
    await outcome;
    expect(registry.events).toEqual([]);
  });

  it("starts once, and takes services before that only", async () => {
    const server = await serving();
    await expect(server.start()).rejects.toThrow(new Error("server.start(): the server is serving already"));
    expect(() => server.add(TextService, echo)).toThrow("server.add(text.v1.Text): add services before start()");
    const unused = make();
    await unused.close();
    await expect(unused.start()).rejects.toThrow(new Error("server.start(): the server is closed already"));
  });

  it("keeps its address while a worker of a shared port is away", async () => {
    const server = await serving();
    endAll();
    expect(server.address).toBe(ADDRESS);
    expect(server.workers.map(({ address }) => address)).toEqual(["", ""]);
  });
});

describe("what workers tell a primary", () => {
  it("of health goes to all of them, and to the one that said it as an echo", async () => {
    const server = await serving();
    workers.of(1).says({ bowline: "health", service: "a", status: "NOT_SERVING" });
    expect(server.health.get("a")).toBe("NOT_SERVING");
    const change = { bowline: "health", service: "a", status: "NOT_SERVING" } as const;
    expect(workers.of(1).received.at(-1)).toEqual({ ...change, isEcho: true });
    expect(workers.of(2).received.at(-1)).toEqual({ ...change, isEcho: false });
  });

  it("of health before its start counts if nobody else has said anything about it", async () => {
    const server = make();
    server.health.set("a", "SERVING");
    void server.start();
    workers.of(1).says({ bowline: "asks", statuses: { a: "NOT_SERVING", b: "NOT_SERVING" } });
    workers.of(2).says({ bowline: "asks", statuses: { b: "SERVING" } });
    expect(workers.of(1).received.at(-1)).toMatchObject({ statuses: { a: "SERVING", b: "NOT_SERVING" } });
    expect(Object.fromEntries(server.health.said)).toEqual({ a: "SERVING", b: "NOT_SERVING" });
  });

  it("of counts is summed up, and stays when it ends", async () => {
    const server = await serving();
    const counts = { method: "/a/A", started: 3, inFlight: 1, totalMs: 4, byCode: [0, 2], histogram: [7, 2] };
    for (const id of [1, 2]) {
      workers
        .of(id)
        .says({ bowline: "tally", report: { methods: [counts], misbehaved: { http1: 1 }, connections: 5 } });
    }
    expect(server.stats).toMatchObject([{ method: "/a/A", started: 6, inFlight: 2, totalMs: 8 }]);
    expect(server.connectionCount).toBe(10);
    workers.of(1).ends("was ended by SIGSEGV");
    expect(server.stats).toMatchObject([{ started: 6, inFlight: 1 }]);
    expect([server.connectionCount, [...server.misbehaved]]).toEqual([5, [["http1", 2]]]);
  });
});
