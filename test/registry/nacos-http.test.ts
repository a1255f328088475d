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
const hurried: Clock = {
  now: () => systemClock.now(),
  fresh: () => systemClock.fresh(),
  setTimeout: (callback, delayMs) => systemClock.setTimeout(callback, delayMs < LONG_MS ? delayMs : delayMs / 20),
  setInterval: (callback, periodMs) => systemClock.setInterval(callback, periodMs),
};
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
  const registry = (http: NacosHttpDouble, options: Partial<NacosOptions> = {}): Registry => {
    const report = ({ message }: Error): void => void reports.push(message);
    const context = { clock: hurried, random: seededRandom(4), environment: {}, report };
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
