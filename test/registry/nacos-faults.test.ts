import { type MemoryNetwork, memoryNetwork, seededRandom, VirtualClock } from "bowline/testing";
import { afterEach, describe, expect, it } from "vitest";
import { instanceAt } from "../../packages/bowline/src/registry/instance/instance.ts";
import { type NacosOptions, nacos } from "../../packages/bowline/src/registry/nacos/index.ts";
import type { Instance, Registry } from "../../packages/bowline/src/registry/registry.ts";
import { NacosDouble, NacosStore } from "./nacos-double.ts";
import { Recording } from "./recording.ts";

const STEP_MS = 50;
const SERVICE = "user.rpc";
const instance = (number: number): Instance => ({ ...instanceAt(`10.0.0.${number}:80`), id: `i-${number}` });

/** Some servers of one Nacos and those who use it, in virtual time. */
class Scene {
  readonly clock: VirtualClock = new VirtualClock();
  readonly network: MemoryNetwork = memoryNetwork({ clock: this.clock });
  readonly store: NacosStore = new NacosStore();
  readonly servers: readonly NacosDouble[];
  readonly reports: string[] = [];
  readonly #open: (() => Promise<void> | void)[] = [];

  constructor(servers: number = 1) {
    const hosts = Array.from({ length: servers }, (_, at) => `nacos-${at + 1}:8848`);
    this.servers = hosts.map((host) => new NacosDouble(this.network, host, this.store));
  }

  get server(): NacosDouble {
    return this.servers[0];
  }

  async start(): Promise<this> {
    for (const server of this.servers) await server.start();
    return this;
  }

  registry(options: Partial<NacosOptions> = {}): Registry {
    const hosts = this.servers.map(({ host }) => host);
    const random = seededRandom(4);
    const registry = nacos({ hosts, protocol: "grpc", network: this.network, ...options }).create({
      clock: this.clock,
      random,
      environment: {},
      report: ({ message }) => void this.reports.push(message),
    });
    this.#open.push(() => registry.close());
    return registry;
  }

  watch(registry: Registry, service: string = SERVICE): Recording {
    const seen = new Recording(registry, service, ({ id }) => id);
    this.#open.push(() => seen.close());
    return seen;
  }

  async until(what: string, condition: () => boolean, withinMs: number = 120_000): Promise<void> {
    const end = this.clock.fresh() + withinMs;
    while (!condition()) {
      if (this.clock.fresh() > end) throw new Error(`waited in vain until ${what}: ${this.reports.join("; ")}`);
      await this.clock.advance(STEP_MS);
    }
  }

  async done<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    const ended = (): void => void (isDone = true);
    work.then(ended, ended);
    await this.until("it is done", () => isDone);
    return work;
  }

  async close(): Promise<void> {
    for (const close of this.#open.reverse()) await this.done(Promise.resolve(close()));
    for (const server of this.servers) await this.done(server.stop());
  }
}

describe("nacos in trouble", () => {
  let scene: Scene;
  afterEach(() => scene.close());
  const begin = async (servers: number = 1): Promise<Scene> => {
    scene = new Scene(servers);
    return scene.start();
  };
  const idsOf = (): string[] =>
    scene.store
      .hosts(SERVICE)
      .map(({ ip }) => String(ip))
      .sort();

  it("goes to another server when one sends it away, registers and subscribes there, and tells nothing", async () => {
    const { servers } = await begin(2);
    const seen = scene.watch(scene.registry());
    const registry = scene.registry({ requestTimeoutMs: 2999 });
    await scene.done(registry.register(SERVICE, instance(1)));
    await scene.until("it is seen", () => seen.keys.length === 1);
    const before = servers.find((server) => server.connections.length > 0) as NacosDouble;
    const other = servers.find((server) => server !== before) as NacosDouble;
    before.sendAll("ConnectResetRequest", { serverIp: "", serverPort: "" });
    await scene.until("all are at the other", () => other.connections.length === 2 && before.connections.length === 0);
    await scene.until("it is seen there", () => seen.last?.freshness === "live" && seen.keys.length === 1);
    expect(before.acknowledged.some(({ type }) => type === "ConnectResetResponse")).toBe(true);
    await scene.done(registry.register(SERVICE, instance(2)));
    await scene.until("pushes come from there", () => seen.keys.length === 2);
    expect(seen.failures).toEqual([]);
  });

  it("finds out by its heartbeat that a server has forgotten it, and registers anew", async () => {
    await begin();
    const registry = scene.registry();
    const seen = scene.watch(scene.registry({ requestTimeoutMs: 2999 }));
    const registration = await scene.done(registry.register(SERVICE, instance(1)));
    await scene.until("it is seen", () => seen.keys.length === 1);
    scene.server.forgetConnections();
    expect(idsOf()).toEqual([]);
    await scene.until("it is back", () => idsOf().length === 1, 20_000);
    await scene.until("it is registered", () => registration.state === "registered");
    await scene.until("it is seen", () => seen.keys.length === 1);
  });

  it("has all in place again within a second after a server is back from a long outage", async () => {
    await begin();
    const registry = scene.registry();
    const seen = scene.watch(scene.registry({ requestTimeoutMs: 2999 }));
    const registering = Promise.all([1, 2, 3].map((each) => registry.register(SERVICE, instance(each))));
    const registrations = await scene.done(registering);
    await scene.until("they are seen", () => seen.keys.length === 3);
    for (let round = 0; round < 5; round++) {
      await scene.done(scene.server.stop());
      await scene.until("it is noticed", () => seen.last?.freshness === "stale");
      await scene.until("all know", () => registrations.every(({ state }) => state === "pending"));
      await scene.clock.advance(60_000);
      await scene.server.start();
      const isTrue = (): boolean => seen.last?.freshness === "live" && seen.keys.length === 3;
      await scene.until(
        "all is in place",
        () => isTrue() && registrations.every((each) => each.state === "registered"),
        1000,
      );
    }
    expect(registrations.map(({ losses }) => losses)).toEqual([0, 0, 0]);
  });

  it("waits on its connection for a server that is starting, and asks it a few times a second", async () => {
    await begin();
    const starting = () => ({ errorCode: 300, message: "Server is starting,please try later." });
    scene.server.refusals.ServerCheckRequest = starting;
    const registering = scene.registry().register(SERVICE, instance(1));
    await scene.clock.advance(2500);
    expect(scene.server.counts.ServerCheckRequest).toBeGreaterThan(5);
    expect(scene.server.counts.ServerCheckRequest).toBeLessThan(20);
    expect(scene.server.counts.HealthCheckRequest).toBeUndefined();
    delete scene.server.refusals.ServerCheckRequest;
    expect((await scene.done(registering)).state).toBe("registered");
    expect(scene.reports).toEqual([]);
  });

  it("reads anew within a minute what a lost push would have told", async () => {
    await begin();
    const seen = scene.watch(scene.registry());
    await scene.until("it is known", () => seen.snapshots.length === 1);
    scene.server.losesPushes = true;
    scene.store.set(SERVICE, "stranger", [{ ip: "10.9.0.1", port: 80 }]);
    await scene.until("it is seen", () => seen.keys.length === 1, 60_100);
    scene.store.set(SERVICE, "stranger", []);
    seen.watcher.refresh();
    await scene.until("a refresh sees it at once", () => seen.keys.length === 0, 1000);
  });

  it("answers each push and each question whether it lives", async () => {
    await begin();
    const seen = scene.watch(scene.registry());
    await scene.until("it is known", () => seen.snapshots.length === 1);
    scene.server.sendAll("ClientDetectionRequest", {});
    scene.store.set(SERVICE, "stranger", [{ ip: "10.9.0.1", port: 80 }]);
    await scene.until("it is seen", () => seen.keys.length === 1);
    const { acknowledged } = scene.server;
    await scene.until("all are answered", () => acknowledged.length >= 3);
    expect(acknowledged.map(({ type }) => type)).toEqual(
      expect.arrayContaining(["SetupAckResponse", "ClientDetectionResponse", "NotifySubscriberResponse"]),
    );
    const detected = acknowledged.find(({ type }) => type === "ClientDetectionResponse");
    expect(detected).toMatchObject({ resultCode: 200, requestId: "1" });
  });

  it("does not follow a push that is older than what it has read", async () => {
    await begin();
    const seen = scene.watch(scene.registry());
    scene.store.set(SERVICE, "stranger", [{ ip: "10.9.0.1", port: 80 }]);
    await scene.until("it is seen", () => seen.keys.length === 1);
    const old = { name: SERVICE, groupName: "DEFAULT_GROUP", hosts: [], lastRefTime: scene.store.time - 1 };
    scene.server.sendAll("NotifySubscriberRequest", { namespace: "public", serviceInfo: old });
    const count = scene.server.acknowledged.length;
    await scene.until("the push has come", () => scene.server.acknowledged.length > count);
    expect(seen.keys).toHaveLength(1);
  });

  it("rejects a registration that it has no right to, and reports a watch that it has no right to", async () => {
    await begin();
    const refuse = () => ({ errorCode: 403, message: "authorization failed!" });
    scene.server.refusals.InstanceRequest = refuse;
    scene.server.refusals.SubscribeServiceRequest = refuse;
    const registry = scene.registry();
    const seen = scene.watch(registry);
    await expect(scene.done(registry.register(SERVICE, instance(1)))).rejects.toThrow(
      /authorization failed.*the right/,
    );
    await scene.until("it is told", () => seen.failures.length === 1);
    delete scene.server.refusals.SubscribeServiceRequest;
    delete scene.server.refusals.InstanceRequest;
    await scene.until("it goes on", () => seen.last?.freshness === "live");
    const registration = await scene.done(registry.register(SERVICE, instance(1)));
    expect(registration.state).toBe("registered");
  });

  it("keeps what is good where one of several registrations is refused", async () => {
    await begin();
    const bad = ({ instances, instance: one }: Record<string, unknown>) =>
      JSON.stringify(instances ?? one).includes("10.0.0.2")
        ? { errorCode: 400, message: "Param check invalid:Param 'Metadata' is illegal" }
        : undefined;
    scene.server.refusals.InstanceRequest = bad;
    scene.server.refusals.BatchInstanceRequest = bad;
    const registry = scene.registry();
    const all = [1, 2, 3, 4].map((number) => registry.register(SERVICE, instance(number)));
    const results = await scene.done(Promise.allSettled(all));
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled", "fulfilled"]);
    expect(idsOf()).toEqual(["10.0.0.1", "10.0.0.3", "10.0.0.4"]);
  });

  it("waits for a server that is full, and says so", async () => {
    await begin();
    scene.server.isFull = true;
    const registry = scene.registry();
    const registration = await scene.done(registry.register(SERVICE, instance(1)));
    expect(registration.state).toBe("pending");
    expect(scene.reports.join()).toMatch(/nacos-1:9848/);
    scene.server.isFull = false;
    await scene.until("it is registered", () => registration.state === "registered");
    expect(idsOf()).toEqual(["10.0.0.1"]);
  });

  it("uses one connection for registries of equal options", async () => {
    await begin();
    const [one, two] = [scene.registry(), scene.registry()];
    await scene.done(one.register(SERVICE, instance(1)));
    await scene.done(two.register(SERVICE, instance(2)));
    expect([scene.server.connections.length, idsOf()]).toEqual([1, ["10.0.0.1", "10.0.0.2"]]);
    await scene.done(one.close());
    expect([scene.server.connections.length, idsOf()]).toEqual([1, ["10.0.0.2"]]);
  });

  it("signs its requests where it has keys, and never shows them", async () => {
    await begin();
    const registry = scene.registry({ accessKey: "the-key", secretKey: "the-secret" });
    await scene.done(registry.register(SERVICE, instance(1)));
    const { ak, data, signature } = scene.server.headers.InstanceRequest;
    expect([ak, data.endsWith(`@@DEFAULT_GROUP@@${SERVICE}`)]).toEqual(["the-key", true]);
    expect(Buffer.from(signature, "base64")).toHaveLength(20);
    expect(JSON.stringify(scene.server.headers)).not.toContain("the-secret");
  });

  it("reads a set of 5,000, and a change of it with the same objects", async () => {
    await begin();
    const hosts = Array.from({ length: 5000 }, (_, at) => ({
      ip: `10.${(at >> 8) & 255}.${at & 255}.1`,
      port: 8080,
      weight: 1,
      metadata: { zone: "a", bowline: `{"v":1,"id":"i-${at}","address":"10.${(at >> 8) & 255}.${at & 255}.1:8080"}` },
    }));
    scene.store.set(SERVICE, "stranger", hosts);
    const seen = scene.watch(scene.registry());
    await scene.until("all are seen", () => seen.last?.instances.length === 5000, 2000);
    const before = new Set(seen.last?.instances);
    scene.store.set(SERVICE, "stranger", [...hosts.slice(1), { ...hosts[0], weight: 2 }]);
    await scene.until("the change is seen", () => (seen.last?.revision ?? 0) > 1, 2000);
    expect(seen.last?.instances.filter((each) => !before.has(each))).toHaveLength(1);
  });
});
