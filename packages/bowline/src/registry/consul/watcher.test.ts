import { afterEach, describe, expect, it, vi } from "vitest";
import { ConsulAgent } from "../../../test/consul-agent.ts";
import { answerJson, answerText } from "../../../test/http-peer.ts";
import { WatchRecorder } from "../../../test/watch-recorder.ts";
import { systemClock } from "../../rpc/clock.ts";
import { systemRandom } from "../../rpc/random.ts";
import { VirtualClock } from "../../testing/virtual-clock.ts";
import type { Registry } from "../registry.ts";
import { TurnTaking } from "../remote/turn-taking.ts";
import type { HealthAnswer } from "./answers.ts";
import type { ConsulClient, HealthQuery } from "./client.ts";
import { consul } from "./consul.ts";
import { type ConsulOptions, completeConsulOptions } from "./options.ts";
import { ConsulWatch } from "./watcher.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function startAgent(): Promise<ConsulAgent> {
  const agent = await ConsulAgent.start();
  closers.push(() => agent.close());
  return agent;
}

function open(agent: ConsulAgent, options: ConsulOptions = {}, environment: Record<string, string> = {}): Registry {
  const context = { clock: systemClock, random: systemRandom, environment, report: () => {} };
  const registry = consul({ hosts: agent.address, ...options }).create(context);
  closers.push(() => registry.close());
  return registry;
}

function watch(registry: Registry, service: string = "user"): WatchRecorder {
  return new WatchRecorder(registry, service);
}

const entry = (id: string, service: string = "user"): { ID: string; Name: string; Address: string; Port: number } => ({
  ID: id,
  Name: service,
  Address: `10.0.0.${id}`,
  Port: 80,
});

/** Waits for a condition that a request brings about. */
function until(condition: () => boolean): Promise<boolean> {
  return vi.waitUntil(condition, { timeout: 30_000, interval: 2 });
}

describe("a watch of Consul", () => {
  it("asks with the last index and is answered when something changes", async () => {
    const agent = await startAgent();
    agent.put(entry("1"));
    const seen = watch(open(agent));
    await seen.untilIds("1");
    await until(() => agent.held === 1);
    agent.put(entry("2"));
    await seen.untilIds("1", "2");
    expect(agent.questions).toEqual(["user 0", "user 11"]);
    expect(seen.snapshots.map(({ revision }) => revision)).toEqual([1, 2]);
  });

  it("says nothing when the wait is over and nothing has changed", async () => {
    const agent = await startAgent();
    agent.put(entry("1"));
    const seen = watch(open(agent));
    await seen.untilIds("1");
    for (let round = 0; round < 3; round++) {
      await until(() => agent.held === 1);
      agent.answerHeld();
      await until(() => agent.held === 0);
    }
    agent.put(entry("2"));
    await seen.untilIds("1", "2");
    expect(seen.snapshots).toHaveLength(2);
  });

  it("begins again from 0 when the index goes back, and believes it when a majority confirms it", async () => {
    const agent = await startAgent();
    agent.put(entry("1"), entry("2"));
    const modes: string[] = [];
    agent.intercept = ({ query }) => {
      modes.push(query.has("consistent") ? "consistent" : "default");
      return false;
    };
    const seen = watch(open(agent));
    await seen.untilIds("1", "2");
    await until(() => agent.held === 1);
    // A cluster that was restored from a backup.
    agent.entries.delete("2");
    agent.index = 3n;
    agent.answerHeld();
    await seen.untilIds("1");
    await until(() => agent.held === 1);
    expect(agent.questions).toEqual(["user 0", "user 11", "user 0", "user 3"]);
    expect(modes).toEqual(["default", "default", "consistent", "default"]);
  });

  it("asks a majority when a server is behind, and loses nothing by it", async () => {
    const agent = await startAgent();
    agent.put(entry("1"), entry("2"));
    const modes: string[] = [];
    agent.intercept = ({ query, path }) => {
      if (path.startsWith("/v1/health/"))
        modes.push(query.has("stale") ? "stale" : query.has("consistent") ? "consistent" : "default");
      return false;
    };
    const seen = watch(open(agent, { consistency: "stale" }));
    await seen.untilIds("1", "2");
    await until(() => agent.held === 1);
    // A server that lags: what it does not know yet is not gone.
    agent.entries.delete("2");
    agent.index = 3n;
    agent.answerHeld();
    agent.entries.set("2", entry("2"));
    agent.index = 20n;
    await until(() => modes.length >= 3);
    expect(modes.slice(0, 3)).toEqual(["stale", "stale", "consistent"]);
    agent.put(entry("3"));
    await seen.untilIds("1", "2", "3");
    expect(seen.snapshots.map(({ instances }) => instances.length)).toEqual([2, 3]);
  });

  it("never waits on an answer without an index", async () => {
    const agent = await startAgent();
    agent.put(entry("1"));
    agent.headers["x-consul-index"] = "0";
    const seen = watch(open(agent));
    await seen.untilIds("1");
    await until(() => agent.questions.length === 3);
    expect(new Set(agent.questions)).toEqual(new Set(["user 0"]));
  });

  it.each([
    ["nothing new at once", "42"],
    ["without an index", "0"],
  ])("asks a server that answers %s ever more seldom, until it holds its answers", async (_name, first) => {
    const clock = new VirtualClock();
    const asked: number[] = [];
    let [index, isHolding, answer] = [first, false, (): void => {}];
    const health = async (_service: string, query: HealthQuery): Promise<HealthAnswer> => {
      asked.push(clock.fresh());
      const held = new Promise<void>((resolve) => (answer = resolve));
      if (isHolding && query.index === index) await held;
      return { index, knowsLeader: true, isFiltered: false, isStreamed: false, isAnonymous: false, entries: [] };
    };
    const outage = { wait: () => undefined, forget: () => undefined };
    const watch = new ConsulWatch("user", {
      client: { health, outage } as unknown as ConsulClient,
      options: completeConsulOptions({}, {}),
      clock,
      random: () => 1,
      turns: new TurnTaking(1),
      watched: () => 1,
      onIdle: () => undefined,
    });
    const watcher = watch.add({ snapshot: () => undefined, failed: () => undefined });
    await clock.advance(60_000);
    expect(asked.length).toBeLessThan(15);
    [index, isHolding] = ["50", true];
    await clock.advance(10_000);
    const before = asked.length;
    index = "51";
    answer();
    await clock.advance(100);
    expect(asked).toHaveLength(before + 1);
    watcher.close();
  });

  it("takes an answer that the token may not see for no empty service", async () => {
    const agent = await startAgent();
    agent.put(entry("1"));
    const seen = watch(open(agent));
    await seen.untilIds("1");
    agent.headers["x-consul-results-filtered-by-acls"] = "true";
    await until(() => agent.held === 1);
    agent.lose("1");
    await seen.untilFailure(
      /the token may not see its instances; give it service:read and node:read, or set consul\(…\)\.token/,
    );
    expect([seen.ids, seen.last?.freshness]).toEqual([["1"], "stale"]);
    agent.put(entry("2"));
    await seen.untilIds("2");
    await seen.untilFailure(/entries are skipped: some, which the token may not see/);
  });

  it("says that there may be more when it has no token and Consul denies by default", async () => {
    const agent = await startAgent();
    agent.headers["x-consul-default-acl-policy"] = "deny";
    const seen = watch(open(agent));
    await seen.untilFailure(/perhaps all, since no token is set and this Consul shows nothing without a right/);
    expect(seen.last).toMatchObject({ freshness: "live", instances: [] });
    const known = watch(open(agent, { token: "t" }));
    await known.until(() => true);
    expect(known.failures).toEqual([]);
    agent.put(entry("1"));
    await seen.untilIds("1");
  });

  it("says which setting to change when it may not ask, and goes on when it may", async () => {
    const agent = await startAgent();
    agent.put(entry("1"));
    agent.intercept = ({ headers, response }) => {
      if (headers["x-consul-token"] === "good") return false;
      answerText(response, 403, "Permission denied: token with AccessorID 'anonymous' lacks permission 'service:read'");
      return true;
    };
    const seen = watch(open(agent, { token: "wrong-secret" }));
    const error = await seen.untilFailure(/answered 403/);
    expect(error.message).toMatch(
      /give it service:write for what it registers, service:read and node:read for what it watches, or set consul\(…\)\.token$/,
    );
    expect(error.message).not.toContain("wrong-secret");
    await watch(open(agent, {}, { CONSUL_HTTP_TOKEN: "good" })).untilIds("1");
  });

  it.each<[string, (response: Parameters<typeof answerText>[0]) => void, RegExp]>([
    ["HTML", (response) => answerText(response, 200, "<html>"), /answered with "<html>" where JSON was expected/],
    ["an object", (response) => answerJson(response, {}), /answered for "user" with JSON that is no list/],
    [
      "no leader",
      (response) => answerText(response, 500, "No cluster leader"),
      /its servers have no leader at present/,
    ],
    [
      "an unknown datacentre",
      (response) => answerText(response, 500, "No path to datacenter"),
      /set consul\(…\)\.datacenter/,
    ],
    [
      "too many connections",
      (response) => answerText(response, 429, "Your IP is issuing too many concurrent connections"),
      /raise http_max_conns_per_client/,
    ],
    [
      "no namespaces",
      (response) =>
        answerText(response, 400, 'Invalid query parameter: "ns" - Namespaces are a Consul Enterprise feature'),
      /has no namespaces or partitions/,
    ],
    [
      "TLS",
      (response) => answerText(response, 400, "Client sent an HTTP request to an HTTPS server."),
      /set consul\(…\)\.tls, or write https:\/\//,
    ],
  ])("explains an answer that can't be used, and is not stopped by it: %s", async (_name, answer, message) => {
    const agent = await startAgent();
    agent.put(entry("1"));
    let isBad = true;
    agent.intercept = ({ response }) => {
      if (isBad) answer(response);
      return isBad;
    };
    const seen = watch(open(agent));
    await seen.untilFailure(message);
    expect(seen.snapshots).toEqual([]);
    isBad = false;
    seen.watcher.refresh();
    await seen.untilIds("1");
  });

  it("shows those that fail their checks only when it is told to", async () => {
    const agent = await startAgent();
    agent.put(entry("1"), entry("2"), entry("3"));
    agent.setStatus("2", "warning");
    agent.setStatus("3", "critical");
    await watch(open(agent)).untilIds("1");
    await watch(open(agent, { health: "warning" })).untilIds("1", "2");
    await watch(open(agent, { health: "any" })).untilIds("1", "2", "3");
  });

  it("asks for tags, filter, datacentre, namespace and consistency as it is told", async () => {
    const agent = await startAgent();
    const options = {
      tag: ["a", "b"],
      filter: "x == 1",
      datacenter: "dc2",
      namespace: "n",
      partition: "p",
      waitMs: 5000,
    };
    const seen = watch(open(agent, { ...options, consistency: "consistent" }));
    await seen.until(() => true);
    await until(() => agent.held === 1);
    const [first, second] = agent.peer.requests.map(({ query }) => String(query));
    expect(first).toBe("ns=n&partition=p&dc=dc2&tag=a&tag=b&filter=x+%3D%3D+1&passing=1&consistent=");
    expect(second).toBe(`${first}&index=10&wait=5000ms`);
  });

  it("serves all who watch a service by one question, over one set of connections", async () => {
    const agent = await startAgent();
    agent.put(entry("1"));
    const [one, two] = [open(agent), open(agent)];
    const watches = [watch(one), watch(one), watch(two)];
    for (const seen of watches) await seen.untilIds("1");
    await until(() => agent.held === 1);
    expect(agent.questions).toEqual(["user 0", "user 11"]);
    await one.close();
    agent.put(entry("2"));
    await watches[2].untilIds("1", "2");
    expect(watches[0].ids).toEqual(["1"]);
    await two.close();
    await until(() => agent.held === 0);
  });

  it("watches more services than it has connections, one after another", async () => {
    const agent = await startAgent();
    const services = Array.from({ length: 12 }, (_, at) => `service-${at}`);
    for (const service of services) agent.put({ ...entry(`${service}-1`, service), Address: "10.0.0.1" });
    // The waits that it asks for are over at once.
    const waits = new Set<string>();
    agent.intercept = ({ query }) => {
      const wait = query.get("wait");
      if (wait !== null) waits.add(wait);
      if (wait !== null) setImmediate(() => agent.answerHeld());
      return false;
    };
    const registry = open(agent, { maxConnections: 3 });
    const watches = services.map((service) => watch(registry, service));
    for (const seen of watches) await seen.until(({ instances }) => instances.length === 1);
    expect(agent.peer.connections).toBeLessThanOrEqual(3);
    agent.put({ ...entry("service-11-2", "service-11"), Address: "10.0.0.2" });
    await watches[11].until(({ instances }) => instances.length === 2);
    expect([...waits]).toContain("2500ms");
  });

  it("takes one instance that two agents hold for one", async () => {
    const agent = await startAgent();
    agent.put(entry("1"));
    agent.intercept = ({ path, response }) => {
      if (!path.startsWith("/v1/health/")) return false;
      const shown = agent.shownEntry(entry("1"));
      answerJson(response, [shown, shown], 200, { "x-consul-index": "11" });
      return true;
    };
    const seen = watch(open(agent));
    await seen.untilIds("1");
  });

  it("asks at once when it is told to, but not without end", async () => {
    const agent = await startAgent();
    agent.put(entry("1"));
    const seen = watch(open(agent));
    await seen.untilIds("1");
    await until(() => agent.held === 1);
    for (let round = 0; round < 50; round++) seen.watcher.refresh();
    await until(() => agent.questions.length >= 4);
    expect(agent.questions).toEqual(["user 0", "user 11", "user 0", "user 11"]);
    expect(seen.snapshots).toHaveLength(1);
  });

  it("gives others their turn while it reads 5,000 instances, and costs little for each", async () => {
    const agent = await startAgent();
    const many = Array.from({ length: 5000 }, (_, at) => ({
      ...entry(String(at)),
      Address: `10.1.${at >> 8}.${at & 255}`,
    }));
    agent.put(...many);
    const seen = watch(open(agent));
    await until(() => agent.questions.length === 1);
    let turns = 0;
    let isDone = false;
    void (async () => {
      while (!isDone) {
        await new Promise((resolve) => setImmediate(resolve));
        turns++;
      }
    })();
    await seen.until(({ instances }) => instances.length === 5000);
    const first = seen.last?.instances ?? [];
    isDone = true;
    // 20 slices of instances, and as many as there are 128 KiB of JSON.
    expect(turns).toBeGreaterThan(25);
    agent.put({ ...entry("7"), Address: "10.9.9.9" });
    await seen.until(({ instances }) => instances !== first);
    const known = new Set(first);
    expect(seen.last?.instances.filter((each) => !known.has(each))).toHaveLength(1);
  });
});
