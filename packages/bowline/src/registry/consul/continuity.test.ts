import { afterEach, describe, expect, it, vi } from "vitest";
import { ConsulAgent } from "../../../test/consul-agent.ts";
import { answerJson, answerText } from "../../../test/http-peer.ts";
import { systemClock } from "../../rpc/clock.ts";
import { seededRandom } from "../../rpc/random.ts";
import { VirtualClock } from "../../testing/virtual-clock.ts";
import { HttpError } from "../http/http-error.ts";
import { instanceAt } from "../instance/instance.ts";
import type { Registration, Registry } from "../registry.ts";
import { consul } from "./consul.ts";
import { type AgentEntry, type AgentServices, Continuity } from "./continuity.ts";
import type { ConsulOptions } from "./options.ts";
import { Outage } from "./outage.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** An agent may need so long to tell the servers: until then nothing is taken for a loss, in ms. */
const TELLING_MS = 1000;

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void systemClock.setTimeout(resolve, ms));
}

describe("what the servers have lost while the agent runs on", () => {
  interface Begun {
    readonly agent: ConsulAgent;
    readonly registry: Registry;
    readonly registrations: readonly Registration[];
  }

  async function begin(options: ConsulOptions = {}): Promise<Begun> {
    const agent = await ConsulAgent.start();
    closers.push(() => agent.close());
    const context = { clock: systemClock, random: seededRandom(1), environment: {} };
    const registry = consul({ hosts: agent.address, ttlSeconds: 86_400, ...options }).create(context);
    closers.push(() => registry.close());
    const ids = ["user-1", "user-2"];
    const registrations = await Promise.all(
      ids.map((id) => registry.register("user", { ...instanceAt("10.0.0.7:8080"), id })),
    );
    await until(() => agent.kept === 2);
    return { agent, registry, registrations };
  }

  function until(condition: () => boolean): Promise<boolean> {
    return vi.waitUntil(condition, { timeout: 30_000, interval: 2 });
  }

  it.each<[string, (agent: ConsulAgent) => void]>([
    ["by a snapshot", (agent) => agent.restoreServers()],
    ["by a restart without their data", (agent) => agent.replaceServers()],
  ])("%s is told them again at once", async (_, lose) => {
    const { agent } = await begin();
    for (let round = 0; round < 2; round++) {
      await until(() => agent.kept === 2);
      await pause(TELLING_MS);
      lose(agent);
      expect(agent.untold).toHaveLength(2);
      await until(() => agent.untold.length === 0);
    }
    const told = agent.peer.requests.filter(({ path }) => path === "/v1/catalog/register");
    expect(told.map(({ body }) => JSON.parse(body) as unknown)).toMatchObject(
      Array.from({ length: 4 }, () => ({ Node: "test", ID: "", Address: "10.1.2.3", SkipNodeUpdate: true })),
    );
  });

  it("is told them again where they have an older state of it", async () => {
    const { agent, registrations } = await begin();
    const older = [...agent.entries.values()];
    await registrations[0].update({ state: "draining" });
    await pause(TELLING_MS);
    agent.restoreServers(...older);
    await until(() => agent.untold.length === 1);
    await pause(1500);
    expect(agent.untold).toEqual([older[1].ID]);
  });

  it("is left to the agent where it fails its checks there, or is another registration of the same id", async () => {
    const { agent } = await begin();
    const [first, second] = [...agent.entries.values()];
    agent.status.set(`service:${first.ID}`, "critical");
    agent.entries.set(second.ID, { ...second, Meta: { ...(second.Meta as object), "bowline-run": "another" } });
    await pause(TELLING_MS);
    agent.restoreServers();
    const judged = (): number => agent.peer.requests.filter(({ path }) => path.includes("/health/service/id/")).length;
    await until(() => judged() >= 2);
    await pause(1500);
    expect(agent.untold).toEqual([first.ID, second.ID]);
  });

  it.each([
    ["x-consul-results-filtered-by-acls", "true"],
    ["x-consul-default-acl-policy", "deny"],
    ["x-consul-knownleader", "false"],
  ])("is not taken for lost where the answer may lack something: %s", async (header, value) => {
    const { agent } = await begin();
    agent.headers[header] = value;
    await pause(TELLING_MS);
    agent.restoreServers();
    await pause(2500);
    expect(agent.peer.requests.filter(({ path }) => path === "/v1/catalog/register")).toEqual([]);
    delete agent.headers[header];
    agent.replaceServers();
    await until(() => agent.untold.length === 0);
  });

  it("is looked at for each registration until that ends", async () => {
    const { agent, registrations } = await begin();
    const [, second] = [...agent.entries.keys()];
    await registrations[0].close();
    await pause(TELLING_MS);
    agent.restoreServers();
    await until(() => agent.untold.length === 0);
    const told = agent.peer.requests.filter(({ path }) => path === "/v1/catalog/register");
    expect(told.map(({ body }) => (JSON.parse(body) as { Service: { ID: string } }).Service.ID)).toEqual([second]);
    await registrations[1].close();
    await until(() => agent.kept === 0);
    const { length } = agent.peer.requests;
    await pause(1500);
    expect(agent.peer.requests).toHaveLength(length);
  });

  it.each([500, 429])("is told them no oftener for being refused with %i", async (status) => {
    const { agent } = await begin();
    let refused = 0;
    agent.intercept = ({ path, response }) => {
      if (path !== "/v1/catalog/register") return false;
      refused++;
      answerText(response, status, "not now");
      return true;
    };
    await pause(TELLING_MS);
    agent.restoreServers();
    await until(() => refused >= 4);
    await pause(3000);
    // Each at once, when it may be possible again, and at the looks that follow.
    expect(refused).toBeLessThan(16);
    agent.intercept = () => false;
    agent.restoreServers();
    await until(() => agent.untold.length === 0);
  });

  it("is looked for again at the end where the servers have not answered: what they were told may come late", async () => {
    const { agent, registry } = await begin();
    const held: string[] = [];
    agent.intercept = ({ path, body }) => {
      if (path !== "/v1/catalog/register") return false;
      held.push((JSON.parse(body) as { Service: { ID: string } }).Service.ID);
      return true;
    };
    await pause(TELLING_MS);
    const lost = [...agent.entries.values()];
    agent.restoreServers();
    await until(() => held.length >= 2);
    const deregistered: string[] = [];
    let isLate = false;
    agent.intercept = ({ path, body, response }) => {
      if (path === "/v1/health/service/user") {
        const entries = isLate && deregistered.length < lost.length ? lost : [];
        answerJson(
          response,
          entries.map((entry) => agent.shownEntry(entry)),
        );
        return true;
      }
      if (path !== "/v1/catalog/deregister") return false;
      deregistered.push((JSON.parse(body) as { ServiceID: string }).ServiceID);
      answerText(response, 200, "true");
      return true;
    };
    const closed = registry.close();
    await pause(1500);
    isLate = true;
    await closed;
    expect(new Set(deregistered)).toEqual(new Set(lost.map(({ ID }) => ID)));
  });

  it("is left to the agent where the token may not tell them", async () => {
    const { agent } = await begin();
    let refused = 0;
    agent.intercept = ({ path, response }) => {
      if (path !== "/v1/catalog/register") return false;
      refused++;
      answerText(response, 403, "Permission denied: lacks permission 'node:write'");
      return true;
    };
    await pause(TELLING_MS);
    agent.restoreServers();
    await until(() => refused === 2);
    await until(() => agent.kept === 2);
    expect([refused, agent.untold.length]).toEqual([2, 2]);
  });
});

describe("the questions that tell of it", () => {
  interface Asked {
    readonly what: "services" | "stream";
    readonly index: string;
    readonly at: number;
    answer(index: string): void;
    fail(error: Error): void;
  }

  /** Servers that have what is in `there`; questions are answered at once, but for those that may be held. */
  function begin() {
    const clock = new VirtualClock();
    const outage = new Outage({ clock, random: seededRandom(1), isOver: () => Promise.resolve(true) });
    const servers = {
      there: new Set<string>(),
      index: "5",
      isPartial: false,
      refusal: null as HttpError | null,
    };
    const asked: Asked[] = [];
    const lost: string[] = [];
    const ask = (what: Asked["what"], index: string, waitMs: number, signal: AbortSignal): Promise<AgentServices> => {
      return new Promise((resolve, reject) => {
        const answer = (answered: string): void => {
          const services = Object.fromEntries([...servers.there].map((id) => [id, {}]));
          resolve({ index: answered, services, isPartial: servers.isPartial });
        };
        asked.push({ what, index, at: clock.now(), answer, fail: reject });
        if (servers.refusal !== null) reject(servers.refusal);
        else if (index === "0") answer(servers.index);
        else clock.setTimeout(() => answer(index), waitMs);
        signal.addEventListener("abort", () => reject(new Error("given up")));
      });
    };
    const continuity = new Continuity(() => ({
      clock,
      outage,
      waitMs: 30_000,
      services: (...question) => ask("services", ...question),
      stream: (...question) => ask("stream", ...question),
    }));
    const entry = (id: string): AgentEntry => ({
      id,
      isThere: (service) => service !== undefined,
      lost: () => void lost.push(`${id} ${clock.now()}`),
    });
    const of = (what: Asked["what"]): Asked[] => asked.filter((each) => each.what === what);
    return { clock, servers, asked, lost, continuity, entry, of };
  }

  const unavailable = new HttpError("status", "answered 503", { status: 503 });

  it("are held, ten seconds long those for the services: each look is asked afresh", async () => {
    const { clock, servers, continuity, entry, of } = begin();
    servers.there.add("a");
    continuity.add("agent", entry("a"));
    continuity.add("agent", entry("b"));
    await clock.advance(60_000);
    expect(of("services").map(({ index, at }) => [index, at])).toEqual(
      [0, 10_000, 20_000, 30_000, 40_000, 50_000, 60_000].flatMap((at) => [
        ["0", at],
        ["5", at],
      ]),
    );
    expect(of("stream").map(({ at }) => at)).toEqual([0, 0, 30_000, 30_000, 60_000, 60_000]);
  });

  it("count what is missing three times, and then ever more seldom; what is there counts from the beginning again", async () => {
    const { clock, servers, lost, continuity, entry } = begin();
    continuity.add("agent", entry("a"));
    await clock.advance(150_000);
    expect(lost).toEqual(["a 10000", "a 20000", "a 30000", "a 40000", "a 50000", "a 70000", "a 110000"]);
    servers.there.add("a");
    await clock.advance(60_000);
    servers.there.delete("a");
    await clock.advance(30_000);
    expect(lost.slice(7)).toHaveLength(3);
  });

  it("say nothing of what the token may not see", async () => {
    const { clock, servers, lost, continuity, entry } = begin();
    servers.isPartial = true;
    continuity.add("agent", entry("a"));
    await clock.advance(60_000);
    expect(lost).toEqual([]);
  });

  it("are asked at growing distances where nothing holds them", async () => {
    const { clock, servers, continuity, entry, of } = begin();
    servers.index = "0";
    continuity.add("agent", entry("a"));
    await clock.advance(45_000);
    expect(of("services").map(({ index, at }) => [index, at])).toEqual(
      [0, 1000, 3000, 7000, 15_000, 25_000, 35_000, 45_000].map((at) => ["0", at]),
    );
  });

  it("ask for the services anew when the stream breaks off", async () => {
    const { clock, lost, servers, continuity, entry, of } = begin();
    servers.there.add("a");
    continuity.add("agent", entry("a"));
    await clock.advance(5000);
    servers.there.delete("a");
    of("stream").at(-1)?.fail(unavailable);
    await clock.advance(500);
    expect(lost).toHaveLength(1);
    // Until the agent has a stream again the services are looked at each second.
    const looks = (): number => of("services").filter(({ index }) => index === "0").length;
    const looked = looks();
    await clock.advance(10_000);
    expect(looks() - looked).toBe(10);
    // It breaks off again and again: the servers can be asked, and there is time.
    const before = of("stream").length;
    for (let second = 0; second < 60; second++) {
      of("stream").at(-1)?.fail(unavailable);
      await clock.advance(1000);
    }
    expect(of("stream").length - before).toBeGreaterThan(10);
    expect(of("stream").length - before).toBeLessThan(30);
    await clock.advance(10_000);
    of("stream")
      .at(-1)
      ?.fail(new HttpError("status", "answered 403", { status: 403 }));
    const { length } = of("stream");
    await clock.advance(14_000);
    expect(of("stream")).toHaveLength(length);
    await clock.advance(1000);
    expect(of("stream").length).toBeGreaterThan(length);
  });

  it.each([500, 429])("are asked ever more seldom while they are refused with %i", async (status) => {
    const { clock, servers, asked, continuity, entry } = begin();
    servers.refusal = new HttpError("status", `answered ${status}`, { status });
    continuity.add("agent", entry("a"));
    await clock.advance(60_000);
    expect(asked.length).toBeGreaterThan(10);
    expect(asked.length).toBeLessThan(30);
    servers.refusal = null;
    await clock.advance(10_000);
    expect(asked.slice(-4).some(({ index }) => index === "5")).toBe(true);
  });

  it("end with the last entry of an agent, and with all", async () => {
    const { clock, continuity, entry } = begin();
    const [a, b] = [entry("a"), entry("b")];
    continuity.add("agent", a);
    continuity.add("agent", b);
    continuity.delete("agent", a);
    await clock.advance(1000);
    expect(clock.pending).toBeGreaterThan(0);
    continuity.delete("agent", b);
    await clock.advance(30_000);
    expect(clock.pending).toBe(0);
    continuity.add("agent", a);
    continuity.add("other", b);
    continuity.close();
    await clock.advance(30_000);
    expect(clock.pending).toBe(0);
  });
});
