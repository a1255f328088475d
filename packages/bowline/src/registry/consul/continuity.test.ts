import { afterEach, describe, expect, it, vi } from "vitest";
import { ConsulAgent } from "../../../test/consul-agent.ts";
import { answerText } from "../../../test/http-peer.ts";
import { systemClock } from "../../rpc/clock.ts";
import { seededRandom } from "../../rpc/random.ts";
import { VirtualClock } from "../../testing/virtual-clock.ts";
import { HttpError } from "../http/http-error.ts";
import { instanceAt } from "../instance/instance.ts";
import type { Registry } from "../registry.ts";
import { consul } from "./consul.ts";
import { type AgentEntry, type AgentServices, Continuity } from "./continuity.ts";
import type { ConsulOptions } from "./options.ts";
import { Outage } from "./outage.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

describe("what the servers have lost while the agent runs on", () => {
  async function begin(options: ConsulOptions = {}): Promise<{ agent: ConsulAgent; registry: Registry }> {
    const agent = await ConsulAgent.start();
    closers.push(() => agent.close());
    const context = { clock: systemClock, random: seededRandom(1), environment: {} };
    const registry = consul({ hosts: agent.address, ttlSeconds: 86_400, ...options }).create(context);
    closers.push(() => registry.close());
    const ids = ["user-1", "user-2"];
    await Promise.all(ids.map((id) => registry.register("user", { ...instanceAt("10.0.0.7:8080"), id })));
    await until(() => agent.kept === 2);
    return { agent, registry };
  }

  function until(condition: () => boolean): Promise<boolean> {
    return vi.waitUntil(condition, { timeout: 9000, interval: 2 });
  }

  it.each<[string, (agent: ConsulAgent) => void]>([
    ["by a snapshot", (agent) => agent.restoreServers()],
    ["by a restart without their data", (agent) => agent.replaceServers()],
  ])("%s is told them again at once", async (_, lose) => {
    const { agent } = await begin();
    for (let round = 0; round < 2; round++) {
      await until(() => agent.kept === 2);
      // What an agent may need to tell them is not taken for a loss.
      await new Promise((resolve) => systemClock.setTimeout(() => resolve(undefined), 1000));
      lose(agent);
      expect(agent.untold).toHaveLength(2);
      await until(() => agent.untold.length === 0);
    }
    const told = agent.peer.requests.filter(({ path }) => path === "/v1/catalog/register");
    expect(told.map(({ body }) => JSON.parse(body) as unknown)).toMatchObject(
      Array.from({ length: 4 }, () => ({ Node: "test", ID: "", Address: "10.1.2.3", SkipNodeUpdate: true })),
    );
  });

  it("is looked at from the first registration to the end of the last", async () => {
    const { agent, registry } = await begin();
    await registry.close();
    await until(() => agent.kept === 0);
    const { length } = agent.peer.requests;
    agent.restoreServers();
    await new Promise((resolve) => systemClock.setTimeout(() => resolve(undefined), 50));
    expect(agent.peer.requests).toHaveLength(length);
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
    await new Promise((resolve) => systemClock.setTimeout(() => resolve(undefined), 1000));
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
    const servers = { there: new Set<string>(), index: "5", isFiltered: false, holds: true };
    const asked: Asked[] = [];
    const lost: string[] = [];
    const ask = (what: Asked["what"], index: string, waitMs: number, signal: AbortSignal): Promise<AgentServices> => {
      return new Promise((resolve, reject) => {
        const answer = (answered: string): void => {
          const services = Object.fromEntries([...servers.there].map((id) => [id, {}]));
          resolve({ index: answered, services, isFiltered: servers.isFiltered });
        };
        asked.push({ what, index, at: clock.now(), answer, fail: reject });
        if (index === "0") answer(servers.index);
        else if (servers.holds) clock.setTimeout(() => answer(index), waitMs);
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
    servers.isFiltered = true;
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
