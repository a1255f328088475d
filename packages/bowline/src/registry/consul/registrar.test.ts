import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { certPath } from "../../../test/certs.ts";
import { ConsulAgent } from "../../../test/consul-agent.ts";
import { answerJson, answerText } from "../../../test/http-peer.ts";
import { systemClock } from "../../rpc/clock.ts";
import { instanceAt } from "../instance/instance.ts";
import type { Registry } from "../registry.ts";
import { entryId } from "../remote/entry-id.ts";
import { consul } from "./consul.ts";
import type { ConsulOptions } from "./options.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function startAgent(tls?: Parameters<typeof ConsulAgent.start>[0]): Promise<ConsulAgent> {
  const agent = await ConsulAgent.start(tls);
  closers.push(() => agent.close());
  return agent;
}

const reports: string[] = [];

function open(hosts: readonly ConsulAgent[], options: ConsulOptions = {}): Registry {
  reports.length = 0;
  const report = (error: Error): void => void reports.push(error.message);
  // Retries come soon: after a tenth of 0.5 s, 1 s, 2 s.
  const context = { clock: systemClock, random: () => 0.1, environment: {}, report };
  const registry = consul({ hosts: hosts.map(({ address }) => address), ttlSeconds: 2, ...options }).create(context);
  closers.push(() => registry.close());
  return registry;
}

/** Waits for a condition that a request brings about. */
function until(condition: () => boolean): Promise<boolean> {
  return vi.waitUntil(condition, { timeout: 30_000, interval: 2 });
}

/** What was asked, but for the questions whether the servers still have what the agent was told. */
function ownRequests(agent: ConsulAgent): string[] {
  return agent.peer.requests.flatMap(({ method, path }) => {
    return WATCHING.includes(path) ? [] : [`${method} ${decodeURIComponent(path)}`];
  });
}

const WATCHING = ["/v1/agent/self", "/v1/health/service/bowline-none", "/v1/catalog/node/test"];
const user = { ...instanceAt("10.0.0.7:8080"), id: "user-1" };
const USER = entryId("user", "user-1");

describe("a registration in Consul", () => {
  it("is written with its check and says three times in its life that it lives", async () => {
    const agent = await startAgent();
    const registration = await open([agent]).register("user", user);
    expect(registration.state).toBe("registered");
    expect(agent.entries.get(USER)).toMatchObject({
      Name: "user",
      Address: "10.0.0.7",
      Port: 8080,
      Check: { TTL: "2s" },
    });
    await until(() => ownRequests(agent).length >= 6);
    expect(ownRequests(agent).slice(0, 6)).toEqual([
      "PUT /v1/agent/service/register",
      `PUT /v1/agent/check/update/service:${USER}`,
      "GET /v1/agent/checks",
      ...Array.from({ length: 3 }, () => `PUT /v1/agent/check/update/service:${USER}`),
    ]);
    expect(String(agent.peer.requests[0].query)).toBe("replace-existing-checks=true");
    await registration.close();
    expect(agent.entries.size).toBe(0);
  });

  it("is written again when an agent was restarted and has lost it, also one of before release 1.11", async () => {
    for (const isOld of [false, true]) {
      const agent = await startAgent();
      agent.intercept = ({ path, response }) => {
        if (!isOld || !path.includes("/check/update/") || agent.entries.has(USER)) return false;
        answerText(response, 500, `CheckID "service:${USER}" does not have associated TTL`);
        return true;
      };
      const registration = await open([agent]).register("user", user);
      await registration.update({ weight: 4 });
      agent.lose(USER);
      await until(() => agent.entries.has(USER));
      expect(agent.entries.get(USER)).toMatchObject({ Weights: { Passing: 4 } });
      expect(reports).toEqual([]);
    }
  });

  it("is put right as soon as its agent answers after a restart, also when that lies between two renewals", async () => {
    const agent = await startAgent();
    const registry = open([agent], { ttlSeconds: 86_400 });
    const registrations = await Promise.all(
      ["user-1", "user-2"].map((id) => registry.register("user", { ...user, id })),
    );
    const asked = (path: string): number => agent.peer.requests.filter((each) => each.path === path).length;
    const restarts = [...agent.entries.keys()].map((id) => `restart:${id}`);
    for (let round = 0; round < 2; round++) {
      agent.restart();
      expect(restarts.map((id) => agent.status.get(id))).toEqual(["critical", "critical"]);
      await until(() => asked("/v1/agent/check/register") === 2 * (round + 1));
      expect(restarts.map((id) => agent.status.get(id))).toEqual([undefined, undefined]);
    }
    // And one that has lost its data.
    agent.entries.clear();
    agent.restart();
    await until(() => agent.entries.size === 2 && registrations.every(({ state }) => state === "registered"));
    expect(registrations.map(({ state, losses }) => [state, losses])).toEqual([
      ["registered", 1],
      ["registered", 1],
    ]);
  });

  it("is put right when nothing told of the restart of its agent, by a look now and then", async () => {
    const agent = await startAgent();
    const registration = await open([agent]).register("user", user);
    agent.status.set(`restart:${USER}`, "critical");
    await until(() => ownRequests(agent).at(-1) === "PUT /v1/agent/check/register");
    expect(ownRequests(agent).slice(3)).toEqual([
      ...Array.from({ length: 3 }, () => `PUT /v1/agent/check/update/service:${USER}`),
      "GET /v1/agent/checks",
      `PUT /v1/agent/check/deregister/restart:${USER}`,
      "PUT /v1/agent/check/register",
    ]);
    expect(registration.losses).toBe(0);
  });

  it("is not renewed for each connection that something in between ends when it is idle", async () => {
    const agent = await startAgent();
    await open([agent]).register("user", user);
    let questions = 0;
    agent.intercept = ({ path, response }) => {
      if (path === "/v1/status/leader") questions++;
      response.once("finish", () => response.socket?.end());
      return false;
    };
    agent.peer.cut();
    const beats = (): number => agent.peer.requests.filter(({ path }) => path.includes("/update/")).length;
    await until(() => beats() >= 7);
    // The first loss is looked into at once, and seldom one of those that follow.
    expect(questions).toBeGreaterThan(0);
    expect(questions).toBeLessThan(7);
  });

  it("looks for its entry where the agent does the checking", async () => {
    const agent = await startAgent();
    await open([agent], { check: "tcp", checkIntervalSeconds: 1 }).register("user", user);
    expect(agent.entries.get(USER)).toMatchObject({ Check: { TCP: "10.0.0.7:8080", Interval: "1s" } });
    agent.lose(USER);
    await until(() => agent.entries.has(USER));
    expect(agent.peer.requests.map(({ method, path }) => `${method} ${path}`)).toContain(
      `GET /v1/agent/service/${USER}`,
    );
  });

  it("goes to another agent when its own is away, and leaves nothing at the first one when that is back", async () => {
    const [first, second] = [await startAgent(), await startAgent()];
    const registration = await open([first, second]).register("user", user);
    expect([first.entries.size, second.entries.size]).toEqual([1, 0]);
    first.peer.goAway();
    await until(() => second.entries.size === 1);
    first.peer.comeBack();
    await until(() => first.entries.size === 0 && second.kept === 2);
    expect([registration.state, first.kept]).toEqual(["registered", 0]);
    await registration.close();
    expect([first.entries.size, second.entries.size]).toEqual([0, 0]);
  });

  it("has it written into the catalog by another agent when it ends while its own is away", async () => {
    const [first, second] = [await startAgent(), await startAgent()];
    const transactions: string[] = [];
    let leaders = 0;
    second.intercept = ({ path, query, body, response }) => {
      if (path === "/v1/txn") transactions.push(body);
      else if (path !== "/v1/health/service/user" || query.get("filter") !== `Service.ID == "${USER}"`) return false;
      if (leaders++ === 0) answerText(response, 500, "No cluster leader");
      else
        answerJson(
          response,
          [...first.entries.values()].map((entry) => first.shownEntry(entry)),
        );
      return true;
    };
    const registry = open([first, second]);
    const registration = await registry.register("user", user);
    first.peer.goAway();
    await registration.close();
    expect(transactions).toEqual([]);
    // It is tried on, but not for the agent's sake.
    await registry.close();
    expect(transactions).toHaveLength(1);
    expect(JSON.parse(transactions[0])).toMatchObject([
      { Service: { Verb: "cas", Node: "test", Service: { ID: USER, EnableTagOverride: true } } },
      { Check: { Verb: "set", Check: { Node: "test", ServiceID: USER, Status: "critical" } } },
    ]);
    expect([first.entries.size, second.entries.size]).toEqual([1, 0]);
  });

  it("is written into the catalog, too, where the agent that it has moved to has not told it yet", async () => {
    const [first, second] = [await startAgent(), await startAgent()];
    const told: string[] = [];
    let isTold = false;
    second.intercept = ({ path, body, response }) => {
      // It has what it was told, and shows it when the catalog is told.
      if (path === "/v1/catalog/node/test" && !isTold) answerJson(response, { Node: null, Services: null });
      else if (path === "/v1/catalog/register") {
        isTold = true;
        told.push(body);
        answerText(response, 200, "true");
      } else return false;
      return true;
    };
    const registration = await open([first, second]).register("user", user);
    first.peer.goAway();
    await until(() => told.length > 0);
    const checks = [`service:${USER}`, `restart:${USER}`].map((CheckID) => {
      return { Node: "test", CheckID, Status: "passing", ServiceID: USER };
    });
    expect(told.map((each) => JSON.parse(each) as unknown)).toMatchObject([
      {
        Node: "test",
        SkipNodeUpdate: true,
        Service: { ID: USER, Service: "user", Address: "10.0.0.7", Port: 8080, EnableTagOverride: true },
        Checks: checks,
      },
    ]);
    await until(() => registration.state === "registered");
    expect(second.entries.has(USER)).toBe(true);
  });

  it("is taken out of the catalog, too, where its agent has not told it yet, and asks anew what is held without a leader", async () => {
    const agent = await startAgent();
    const registration = await open([agent]).register("user", user);
    const entry = agent.entries.get(USER);
    if (entry === undefined) throw new Error("it is not registered");
    const asked: string[] = [];
    agent.intercept = ({ path, body, response }) => {
      if (path === "/v1/health/service/user") {
        asked.push("GET");
        // The first is held, as a server does that has no leader; then the catalog has one of this run and one of another.
        const other = { ...entry, Meta: { ...(entry.Meta as object), "bowline-run": "another" } };
        if (asked.length > 1)
          answerJson(
            response,
            [entry, other].map((each) => agent.shownEntry(each)),
          );
        return true;
      }
      if (path !== "/v1/catalog/deregister") return false;
      asked.push(body);
      answerText(response, 200, "true");
      return true;
    };
    await registration.close();
    await until(() => asked.length >= 3);
    expect(asked).toEqual(["GET", "GET", JSON.stringify({ Node: "test", ServiceID: USER })]);
    expect(agent.entries.has(USER)).toBe(false);
  });

  it("is closed where the token may not look whether it is gone", async () => {
    const agent = await startAgent();
    const registry = open([agent]);
    const registration = await registry.register("user", user);
    agent.intercept = ({ path, response }) => {
      if (!path.startsWith("/v1/health/")) return false;
      answerText(response, 403, "Permission denied");
      return true;
    };
    await registration.close();
    const { length } = agent.peer.requests;
    await registry.close();
    expect(agent.peer.requests.length).toBe(length);
    expect(agent.entries.has(USER)).toBe(false);
  });

  it("is pending while no agent can be reached, says so once, and is registered as soon as one can", async () => {
    const agent = await startAgent();
    agent.peer.goAway();
    const registration = await open([agent]).register("user", user);
    expect(registration.state).toBe("pending");
    await until(() => agent.peer.connections >= 4);
    // A connection may be refused, or ended by the peer: each is said once.
    expect(reports.length).toBe(new Set(reports).size);
    expect(reports[0]).toMatch(/^consul registry: PUT \/v1\/agent\/service\/register: /);
    agent.peer.comeBack();
    await until(() => registration.state === "registered");
  });

  it.each<[number, string, RegExp]>([
    [
      403,
      "Permission denied: lacks permission 'service:write' on \"user\"",
      /give it service:write for what it registers/,
    ],
    [403, "ACL not found", /this cluster does not know the token; set consul\(…\)\.token/],
    [400, "Invalid Service Meta: Value is too long", /answered 400 \(Invalid Service Meta: Value is too long\)/],
  ])("rejects what trying again can't mend: %s %s", async (status, text, message) => {
    const agent = await startAgent();
    agent.intercept = ({ response }) => {
      answerText(response, status, text);
      return true;
    };
    const registry = open([agent], { token: "hunter2" });
    await expect(registry.register("user", user)).rejects.toThrow(message);
    await expect(registry.register("user", user)).rejects.not.toThrow(/hunter2/);
    expect(reports).toEqual([]);
    agent.intercept = () => false;
    expect((await registry.register("user", user)).state).toBe("registered");
  });

  it("sends the token, as an option or from a file", async () => {
    const agent = await startAgent();
    await open([agent], { token: "from-option" }).register("user", user);
    expect(agent.peer.requests[0].headers["x-consul-token"]).toBe("from-option");
    const folder = await mkdtemp(join(tmpdir(), "bowline-consul-"));
    closers.push(() => rm(folder, { recursive: true }));
    const tokenFile = join(folder, "token");
    await expect(open([agent], { tokenFile }).register("user", user)).resolves.toMatchObject({ state: "pending" });
    expect(reports[0]).toMatch(/tokenFile: .* can't be used: ENOENT/);
    await writeFile(tokenFile, "from-file\n");
    await open([agent], { tokenFile, waitMs: 5000 }).register("order", { ...user, id: "order-1" });
    expect(agent.peer.requests.at(-1)?.headers["x-consul-token"]).toBe("from-file");
  });

  it("refuses a second one of the same id, and services that can't be asked for", async () => {
    const agent = await startAgent();
    const registry = open([agent]);
    await registry.register("user", user);
    await expect(registry.register("user", user)).rejects.toThrow(
      /"user-1" of user is registered by this registry already/,
    );
    for (const service of ["..", "a/../b", "a//b", "/a"]) {
      await expect(registry.register(service, user)).rejects.toThrow(
        /no part between slashes may be empty, "\." or "\.\."/,
      );
    }
  });

  it("comes back under the same id, also when the one before could not be taken out", async () => {
    const agent = await startAgent();
    const registry = open([agent]);
    const before = await registry.register("user", user);
    agent.peer.goAway();
    await before.close();
    agent.peer.comeBack();
    const after = await registry.register("user", user);
    expect([before.state, after.state]).toEqual(["closed", "registered"]);
    const writes = agent.peer.requests.length;
    await until(() => agent.peer.requests.length >= writes + 2);
    expect(agent.entries.has(USER)).toBe(true);
  });

  it("speaks TLS and shows its certificate", async () => {
    const ca = readFileSync(certPath("authority.crt"));
    const agent = await startAgent({ name: "server", requestCert: true, rejectUnauthorized: true, ca });
    const tls = {
      authorities: certPath("authority.crt"),
      certificate: certPath("client.crt"),
      key: certPath("client.key"),
    };
    expect((await open([agent], { tls }).register("user", user)).state).toBe("registered");
    const untrusting = await open([agent], { tls: true }).register("user", { ...user, id: "user-2" });
    expect(untrusting.state).toBe("pending");
    expect(reports[0]).toMatch(/put that authority's certificate into tls\.authorities/);
  });

  it("knows the address that others reach this machine by from the agent on it", async () => {
    const agent = await startAgent();
    expect(await open([agent]).reachedFrom?.()).toBe("10.1.2.3");
    agent.intercept = ({ path, response }) => {
      if (path === "/v1/agent/self") answerText(response, 403, "Permission denied");
      return path === "/v1/agent/self";
    };
    expect(await open([agent], { waitMs: 1000 }).reachedFrom?.()).toBeNull();
  });
});
