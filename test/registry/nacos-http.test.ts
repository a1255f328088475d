import { type Clock, memoryNetwork, seededRandom, systemClock } from "bowline/testing";
import { afterEach, describe, expect, it } from "vitest";
import { instanceAt } from "../../packages/bowline/src/registry/instance/instance.ts";
import { type NacosOptions, nacos } from "../../packages/bowline/src/registry/nacos/index.ts";
import type { Instance, Registry } from "../../packages/bowline/src/registry/registry.ts";
import { NacosDouble, NacosStore } from "./nacos-double.ts";
import { NacosHttpDouble } from "./nacos-http-double.ts";
import { Recording } from "./recording.ts";

const SERVICE = "user.rpc";
const WAIT = { timeout: 30_000 };
/** Beats, looks and renewals come 20 times as often as they would; what a request may take stays as it is. */
const LONG_MS = 5000;
const hurriedFrom = (longMs: number): Clock => ({
  now: () => systemClock.now(),
  fresh: () => systemClock.fresh(),
  setTimeout: (callback, delayMs) => systemClock.setTimeout(callback, delayMs < longMs ? delayMs : delayMs / 20),
  setInterval: (callback, periodMs) => systemClock.setInterval(callback, periodMs),
});
const hurried = hurriedFrom(LONG_MS);
/** The time for which what has lost its link stays on the old one passes as fast as well. */
const withoutHandover = hurriedFrom(3000);
const instance = (number: number): Instance => ({ ...instanceAt(`10.0.0.${number}:80`), id: `i-${number}` });

describe.each([
  ["2", false],
  ["3", true],
])("nacos over the HTTP API of Nacos %s", { timeout: 60_000 }, (_name, isV3) => {
  const store = new NacosStore();
  const closing: (() => Promise<void> | void)[] = [];
  const reports: string[] = [];
  // What answers gRPC, if anything does.
  const network = memoryNetwork({ clock: systemClock });
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
    store.services.clear();
    reports.length = 0;
  });
  const server = async (): Promise<NacosHttpDouble> => {
    const http = new NacosHttpDouble(store, isV3);
    await http.start();
    closing.push(() => http.stop());
    return http;
  };
  const registry = (http: NacosHttpDouble, options: Partial<NacosOptions> = {}, clock: Clock = hurried): Registry => {
    const report = ({ message }: Error): void => void reports.push(message);
    const context = { clock, random: seededRandom(4), environment: {}, report };
    const made = nacos({ hosts: http.host, network, requestTimeoutMs: 4900, ...options }).create(context);
    closing.push(() => made.close());
    return made;
  };
  const watch = (of: Registry): Recording => {
    const seen = new Recording(of, SERVICE, ({ id }) => id);
    closing.push(() => seen.close());
    return seen;
  };

  it("lists services, those of many pages too", async () => {
    const http = await server();
    const names = Array.from({ length: 1100 }, (_, at) => `service-${String(at).padStart(4, "0")}`);
    for (const name of names) store.set(name, "somebody", [{ ip: "10.0.0.1", port: 80 }]);
    if (isV3) store.set("other-service", "somebody", [{ ip: "10.0.0.1", port: 80 }]);
    expect(await registry(http, { requestTimeoutMs: 4897 }).services?.()).toEqual(names);
  });

  it("registers, changes, shows and takes out, where nothing answers gRPC", async () => {
    const http = await server();
    const made = registry(http);
    const registration = await made.register(SERVICE, instance(1));
    await made.register(SERVICE, instance(2));
    const seen = watch(registry(http, { requestTimeoutMs: 4899 }));
    const keys = (): readonly string[] => {
      seen.watcher.refresh();
      return seen.keys;
    };
    await expect.poll(keys, WAIT).toEqual(["i-1", "i-2"]);
    await registration.update({ weight: 7, state: "draining" });
    const changed = (): unknown => {
      seen.watcher.refresh();
      return seen.last?.instances.find(({ id }) => id === "i-1");
    };
    await expect.poll(changed, WAIT).toMatchObject({ weight: 7, state: "draining" });
    await registration.close();
    await expect.poll(keys, WAIT).toEqual(["i-2"]);
    expect(reports).toEqual([]);
  });

  it("puts back with its next beat what the server has lost", async () => {
    const http = await server();
    const registration = await registry(http, { protocol: "http" }).register(SERVICE, instance(1));
    expect(registration.losses).toBe(0);
    store.set(SERVICE, "http", []);
    await http.until(() => store.hosts(SERVICE).length === 1);
    expect(store.hosts(SERVICE)).toMatchObject([{ ip: "10.0.0.1" }]);
    await expect.poll(() => registration.losses, WAIT).toBe(1);
  });

  const isBeat = (name: string, { heartBeat }: Readonly<Record<string, string>>): boolean =>
    name.endsWith("/beat") || heartBeat === "true";
  const isLook = (name: string): boolean => name.endsWith("/instance/list");
  /** A registry whose link ends often enough. */
  const restless = (http: NacosHttpDouble, options: Partial<NacosOptions> = {}): Registry =>
    registry(http, { requestTimeoutMs: 60_000, connectTimeoutMs: 60_000, ...options }, withoutHandover);
  /** What it has is looked at after each answer, until so many more beats have been taken. */
  const beaten = async (http: NacosHttpDouble, times: number): Promise<number[]> => {
    const listed: number[] = [];
    let beats = 0;
    const before = http.refuses;
    http.refuses = (name, fields) => {
      const isRefused = before(name, fields);
      if (isBeat(name, fields) && !isRefused) beats++;
      return isRefused;
    };
    await http.until(() => {
      listed.push(store.hosts(SERVICE).length);
      return beats >= times;
    });
    return listed;
  };

  it.each([
    ["one beat", isBeat],
    ["one look at another service", isLook],
  ])("never takes out what it has registered because %s fails", async (_what, isRefused) => {
    const http = await server();
    const made = restless(http, { protocol: "http" });
    const registration = await made.register(SERVICE, instance(1));
    const other = new Recording(made, "other.rpc", ({ id }) => id);
    closing.push(() => other.close());
    await expect.poll(() => other.snapshots.length, WAIT).toBe(1);
    let refusals = 0;
    http.refuses = (name, fields) => isRefused(name, fields) && refusals++ === 0;
    await http.until(() => refusals > 0);
    expect(new Set(await beaten(http, 4))).toEqual(new Set([1]));
    expect(registration.state).toBe("registered");
    await registration.close();
    expect(store.hosts(SERVICE)).toEqual([]);
  });

  it("takes out with its next link what was closed while it had none, and registers the rest anew", async () => {
    const http = await server();
    const made = restless(http, { protocol: "http" });
    const closed = await made.register(SERVICE, instance(1));
    const kept = await made.register(SERVICE, instance(2));
    let looks = 0;
    http.refuses = (name) => (isLook(name) ? ++looks > 0 : true);
    await http.until(() => looks > 0);
    await closed.close();
    http.refuses = () => false;
    await http.until(() => store.hosts(SERVICE).length === 1);
    expect(store.hosts(SERVICE)).toMatchObject([{ ip: "10.0.0.2" }]);
    await expect.poll(() => kept.state, WAIT).toBe("registered");
    store.set(SERVICE, "http", []);
    await http.until(() => store.hosts(SERVICE).length === 1);
    expect(store.hosts(SERVICE)).toMatchObject([{ ip: "10.0.0.2" }]);
  });

  it("takes out what HTTP had behind gRPC too when that is there after a beat has failed", async () => {
    const http = await server();
    const made = restless(http);
    await made.register(SERVICE, instance(1));
    const grpc = new NacosDouble(network, http.host, store);
    await grpc.start();
    closing.splice(1, 0, () => grpc.stop());
    let refusals = 0;
    http.refuses = (name, fields) => isBeat(name, fields) && refusals++ === 0;
    const owners = (): string[] => [...(store.services.get(SERVICE)?.keys() ?? [])];
    await expect.poll(() => owners().length === 1 && owners()[0] !== "http", WAIT).toBe(true);
  });

  it("goes over to gRPC when that is there, and takes out behind it what HTTP had", async () => {
    const http = await server();
    const made = registry(http);
    await made.register(SERVICE, instance(1));
    const seen = watch(made);
    expect([...(store.services.get(SERVICE)?.keys() ?? [])]).toEqual(["http"]);
    const grpc = new NacosDouble(network, http.host, store);
    await grpc.start();
    closing.splice(1, 0, () => grpc.stop());
    const owners = (): string[] => [...(store.services.get(SERVICE)?.keys() ?? [])];
    await expect.poll(() => owners().length === 1 && owners()[0] !== "http", WAIT).toBe(true);
    expect(grpc.connections).toHaveLength(1);
    store.set(SERVICE, "stranger", [{ ip: "10.9.0.1", port: 80 }]);
    await expect.poll(() => seen.keys, WAIT).toEqual(["10.9.0.1:80", "i-1"]);
    expect([seen.snapshots.filter(({ instances }) => instances.length === 0), seen.failures]).toEqual([[], []]);
  });

  it("logs in, and again when its token is not taken any more", async () => {
    const http = await server();
    http.credentials = { user: "app", password: "secret" };
    const made = registry(http, { protocol: "http", user: "app", password: "secret" });
    expect((await made.register(SERVICE, instance(1))).state).toBe("registered");
    http.tokens.clear();
    expect((await made.register(SERVICE, instance(2))).state).toBe("registered");
    expect(http.counts[`POST ${isV3 ? "/v3/auth/user/login" : "/v1/auth/users/login"}`]).toBe(2);
  });

  it("rejects a wrong password with the setting to change, and without the password", async () => {
    const http = await server();
    http.credentials = { user: "app", password: "secret" };
    const made = registry(http, { user: "app", password: "wrong-one" });
    const refused = made.register(SERVICE, instance(1)).catch((error: Error) => error.message);
    const message = await refused;
    expect(message).toMatch(/^nacos registry: logging in as "app" failed; check the options user and password$/);
    const seen = watch(made);
    await expect.poll(() => seen.messages, WAIT).toEqual([message]);
  });

  it("brings its token along by gRPC, and gets another when that is not taken", async () => {
    const http = await server();
    const grpc = new NacosDouble(network, http.host, store);
    await grpc.start();
    closing.push(() => grpc.stop());
    http.credentials = { user: "app", password: "secret" };
    const check = (_body: unknown, { accessToken = "" }: Record<string, string>) =>
      http.tokens.has(accessToken) ? undefined : { errorCode: 403, message: "token invalid!" };
    grpc.refusals.InstanceRequest = check;
    grpc.refusals.BatchInstanceRequest = check;
    const made = registry(http, { user: "app", password: "secret" });
    expect((await made.register(SERVICE, instance(1))).state).toBe("registered");
    http.tokens.clear();
    expect((await made.register(SERVICE, instance(2))).state).toBe("registered");
    expect(store.hosts(SERVICE)).toHaveLength(2);
    expect(grpc.connections).toHaveLength(1);
  });
});
