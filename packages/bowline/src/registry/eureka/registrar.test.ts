import { afterEach, describe, expect, it, vi } from "vitest";
import { EurekaServer } from "../../../test/eureka-server.ts";
import { answerText } from "../../../test/http-peer.ts";
import { systemClock } from "../../rpc/clock.ts";
import { instanceAt } from "../instance/instance.ts";
import type { Registry } from "../registry.ts";
import { entryId } from "../remote/entry-id.ts";
import type { RemoteTarget } from "../remote-target.ts";
import { eureka } from "./eureka.ts";
import { completeEurekaOptions, type EurekaOptions } from "./options.ts";
import { fromTarget } from "./target.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function startServer(): Promise<EurekaServer> {
  const server = await EurekaServer.start();
  closers.push(() => server.close());
  return server;
}

const reports: string[] = [];

function open(servers: readonly EurekaServer[], options: Partial<EurekaOptions> = {}): Registry {
  reports.length = 0;
  const report = (error: Error): void => void reports.push(error.message);
  const context = { clock: systemClock, random: () => 0.1, environment: {}, report };
  const registry = eureka({ hosts: servers.map(({ address }) => address), ttlSeconds: 3, ...options }).create(context);
  closers.push(() => registry.close());
  return registry;
}

/** Waits for a condition that a request brings about. */
function until(condition: () => boolean): Promise<boolean> {
  return vi.waitUntil(condition, { timeout: 30_000, interval: 2 });
}

const user = { ...instanceAt("10.0.0.7:8080"), id: "user-1" };
const USER = entryId("user", "user-1");

describe("a registration in Eureka", () => {
  it("is written, renewed with the time of its last change, and taken out", async () => {
    const server = await startServer();
    const registration = await open([server]).register("user", user);
    expect(registration.state).toBe("registered");
    await until(() => server.peer.requests.length >= 3);
    await registration.close();
    const [put, , renewal, removal] = server.peer.requests;
    expect(`${put.method} ${put.path}`).toBe("POST /eureka/apps/USER");
    const { instance } = JSON.parse(put.body) as { instance: { lastDirtyTimestamp: string } };
    expect(`${renewal.method} ${renewal.path}?${renewal.query}`).toBe(
      `PUT /eureka/apps/USER/${USER}?lastDirtyTimestamp=${instance.lastDirtyTimestamp}`,
    );
    expect(`${removal.method} ${removal.path}`).toBe(`DELETE /eureka/apps/USER/${USER}`);
    expect(server.apps.get("USER")?.size).toBe(0);
  });

  it("is written again when the server has lost it or has an older one", async () => {
    const server = await startServer();
    const registration = await open([server]).register("user", user);
    await registration.update({ weight: 4 });
    server.remove("USER", USER);
    await until(() => server.apps.get("USER")?.has(USER) === true);
    expect(server.apps.get("USER")?.get(USER)).toMatchObject({ metadata: { weight: "4" } });
    server.put({ ...(server.apps.get("USER")?.get(USER) as never as object), lastDirtyTimestamp: "1" } as never);
    await until(() => server.apps.get("USER")?.get(USER)?.lastDirtyTimestamp !== "1");
    expect(reports).toEqual([]);
  });

  it("drains by a status above its own, and takes it back", async () => {
    const server = await startServer();
    const registration = await open([server]).register("user", user);
    await registration.update({ state: "draining" });
    expect(server.apps.get("USER")?.get(USER)?.status).toBe("OUT_OF_SERVICE");
    await registration.update({ weight: 2 });
    expect(server.apps.get("USER")?.get(USER)?.status).toBe("OUT_OF_SERVICE");
    await registration.update({ state: "ready" });
    expect(server.apps.get("USER")?.get(USER)?.status).toBe("UP");
    const overrides = server.peer.requests.filter(({ path }) => path.endsWith("/status"));
    expect(overrides.map(({ method, query }) => `${method} ${query.get("value")}`)).toEqual([
      "DELETE UP",
      "PUT OUT_OF_SERVICE",
      "PUT OUT_OF_SERVICE",
      "DELETE UP",
    ]);
  });

  it("comes back ready under the same id, also when the one before could not be taken out", async () => {
    const server = await startServer();
    const registry = open([server]);
    const before = await registry.register("user", user);
    await before.update({ state: "draining" });
    server.peer.goAway();
    await before.close();
    server.peer.comeBack();
    const after = await registry.register("user", user);
    expect([before.state, after.state]).toEqual(["closed", "registered"]);
    expect(server.apps.get("USER")?.get(USER)?.status).toBe("UP");
    const writes = server.peer.requests.length;
    await until(() => server.peer.requests.length >= writes + 2);
    expect(server.apps.get("USER")?.has(USER)).toBe(true);
  });

  it("goes to the next server when one is away", async () => {
    const [first, second] = [await startServer(), await startServer()];
    first.peer.goAway();
    const registration = await open([first, second]).register("user", user);
    expect([registration.state, second.apps.get("USER")?.size]).toEqual(["registered", 1]);
    second.peer.goAway();
    first.peer.comeBack();
    // The first one does not know it: it answers 404 to the renewal.
    await until(() => first.apps.get("USER")?.size === 1);
  });

  it("rejects what trying again can't mend, and is pending where it can", async () => {
    const server = await startServer();
    const answers: [number, RegExp][] = [
      [401, /set eureka\(…\)\.user and eureka\(…\)\.password$/],
      [403, /exempt \/eureka\/\*\* from CSRF protection$/],
      [404, /write the path of its API behind the host/],
    ];
    for (const [status, message] of answers) {
      server.intercept = ({ response }) => {
        answerText(response, status);
        return true;
      };
      await expect(open([server]).register("user", user)).rejects.toThrow(message);
    }
    server.peer.goAway();
    const registration = await open([server]).register("user", user);
    expect(registration.state).toBe("pending");
    expect(reports).toHaveLength(1);
    server.intercept = () => false;
    server.peer.comeBack();
    await until(() => registration.state === "registered");
  });

  it("refuses a second one of the same id, and addresses without a port, before anybody is asked", async () => {
    const server = await startServer();
    const registry = open([server]);
    await registry.register("user", user);
    await expect(registry.register("user", user)).rejects.toThrow(
      /"user-1" of user is registered by this registry already/,
    );
    await expect(registry.register("user", instanceAt("unix:/run/u.sock"))).rejects.toThrow(/has no host and port/);
    expect(server.peer.requests.filter(({ method }) => method === "POST")).toHaveLength(1);
    expect(await registry.reachedFrom?.()).toBeNull();
  });
});

describe("options and targets of Eureka", () => {
  it("have defaults, and take user and password from the environment", () => {
    const environment = { BOWLINE_EUREKA_USER: "u", BOWLINE_EUREKA_PASSWORD: "p" };
    const read = completeEurekaOptions({ hosts: "https://e.internal" }, environment);
    expect(read).toMatchObject({ user: "u", password: "p", refreshSeconds: 5, ttlSeconds: 30, secure: false });
    expect(read.hosts[0]).toMatchObject({ label: "e.internal:8761", isTls: true, basePath: "/eureka" });
    expect(completeEurekaOptions({ hosts: "http://e/eureka/v2" }, {}).hosts[0].basePath).toBe("/eureka/v2");
    expect(() => completeEurekaOptions({ hosts: "e", user: "u" }, {})).toThrow(/the user "u" has no password/);
  });

  it.each<[Partial<EurekaOptions>, RegExp]>([
    [undefined as never, /hosts is missing: write it as/],
    [{}, /hosts is missing: write it as "10\.0\.0\.1:8761"/],
    [{ hosts: [] }, /hosts: at least one is needed/],
    [{ hosts: "http://u:hunter2@e" }, /holds a user or password/],
    [{ hosts: "e", password: "hunter2" }, /password is given without user/],
    [{ hosts: "e", user: "a:b" }, /a colon can't be part of it/],
    [{ hosts: "e", refreshSeconds: 0 }, /refreshSeconds is 0: give a number of s from 0\.1 to 120/],
    [{ hosts: "http://e", tls: true }, /tls is set, but e:8761 is written with http:\/\//],
    [{ hosts: "e", url: "x" } as never, /eureka registry\.url is not an option/],
  ])("are refused when they are wrong: %#", (options, message) => {
    expect(() => eureka(options as EurekaOptions)).toThrow(message);
    expect(() => eureka(options as EurekaOptions)).not.toThrow(/hunter2/);
  });

  it("read eureka://", () => {
    const target = (
      query: Record<string, string>,
      hosts: readonly string[] = ["e:1"],
      path: string = "user",
    ): RemoteTarget => ({
      kind: "remote",
      scheme: "eureka",
      hosts,
      path,
      query,
    });
    expect(fromTarget(target({ path: "/eureka/v2", secure: "true", tls: "true" })).service).toBe("user");
    expect(fromTarget(target({})).config.name).toBe("eureka");
    expect(() => fromTarget(target({ zone: "a" }))).toThrow(
      /"zone" is no setting of eureka; known are path, user, secure, tls/,
    );
    expect(() => fromTarget(target({}, []))).toThrow(/names no host/);
    expect(() => fromTarget(target({}, undefined, ""))).toThrow(/lacks the name of the service/);
    expect(() => fromTarget(target({ tls: "maybe" }))).toThrow(/has tls that is not true or false/);
  });
});
