import { afterEach, describe, expect, it, vi } from "vitest";
import { ConsulAgent } from "../../../test/consul-agent.ts";
import { answerJson } from "../../../test/http-peer.ts";
import { WatchRecorder } from "../../../test/watch-recorder.ts";
import { systemClock } from "../../rpc/clock.ts";
import { systemRandom } from "../../rpc/random.ts";
import type { Registry } from "../registry.ts";
import { consul } from "./consul.ts";
import type { ConsulOptions } from "./options.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function startAgent(): Promise<ConsulAgent> {
  const agent = await ConsulAgent.start();
  closers.push(() => agent.close());
  return agent;
}

function open(agent: ConsulAgent, options: ConsulOptions = {}): Registry {
  const context = { clock: systemClock, random: systemRandom, environment: {}, report: () => {} };
  const registry = consul({ hosts: agent.address, ...options }).create(context);
  closers.push(() => registry.close());
  return registry;
}

function watch(registry: Registry): WatchRecorder {
  return new WatchRecorder(registry, "user");
}

const entry = (id: string): { ID: string; Name: string; Address: string; Port: number } => ({
  ID: id,
  Name: "user",
  Address: `10.0.0.${id}`,
  Port: 80,
});

/** Waits for a condition that a request brings about. */
function until(condition: () => boolean): Promise<boolean> {
  return vi.waitUntil(condition, { timeout: 30_000, interval: 2 });
}

describe("a watch of Consul without a leader", () => {
  it("keeps what it knows as stale while servers know no leader, and believes nothing new", async () => {
    const agent = await startAgent();
    agent.put(entry("1"));
    const seen = watch(open(agent, { consistency: "stale" }));
    await seen.untilIds("1");
    await until(() => agent.held === 1);
    agent.headers["x-consul-knownleader"] = "false";
    agent.lose("1");
    await seen.until(({ freshness }) => freshness === "stale");
    await seen.untilFailure(/service "user": the server that answers knows no leader, so that what it says may be old/);
    expect(seen.ids).toEqual(["1"]);
    delete agent.headers["x-consul-knownleader"];
    await seen.until(({ freshness, instances }) => freshness === "live" && instances.length === 0);
  });

  it("takes what a server without leader knows when it knows nothing itself, as stale", async () => {
    const agent = await startAgent();
    agent.put(entry("1"));
    agent.headers["x-consul-knownleader"] = "false";
    const seen = watch(open(agent, { consistency: "stale" }));
    expect((await seen.until(() => true)).freshness).toBe("stale");
    // An agent that answers from its own stream does not fill it in.
    agent.headers["x-consul-query-backend"] = "streaming";
    await seen.until(({ freshness }) => freshness === "live");
  });

  it("asks for the leader when a stream of changes is silent", async () => {
    const agent = await startAgent();
    agent.put(entry("1"));
    let leader = "127.0.0.1:8300";
    agent.intercept = ({ path, response }) => {
      if (path === "/v1/status/leader") answerJson(response, leader);
      return path === "/v1/status/leader";
    };
    agent.headers["x-consul-query-backend"] = "streaming";
    agent.headers["x-consul-knownleader"] = "false";
    const seen = watch(open(agent));
    await seen.untilIds("1");
    await until(() => agent.held === 1);
    leader = "";
    agent.answerHeld();
    await seen.until(({ freshness }) => freshness === "stale");
    leader = "127.0.0.1:8300";
    await seen.until(({ freshness }) => freshness === "live");
    expect(seen.messages).toHaveLength(1);
  });

  it("asks anew when there is a leader again, and not only when a server answers that has waited for one", async () => {
    const agent = await startAgent();
    agent.put(entry("1"));
    const seen = watch(open(agent, { requestTimeoutMs: 60_000 }));
    await seen.untilIds("1");
    await until(() => agent.held === 1);
    let hasLeader = false;
    const asked = { forLeader: 0, waiting: 0 };
    agent.intercept = ({ path, response }) => {
      if (hasLeader) return false;
      asked[path === "/v1/status/leader" ? "forLeader" : "waiting"]++;
      if (path === "/v1/status/leader") answerJson(response, "");
      return true;
    };
    agent.peer.goAway();
    await seen.until(({ freshness }) => freshness === "stale");
    agent.peer.comeBack();
    await until(() => asked.waiting > 0 && asked.forLeader > 0);
    agent.put(entry("2"));
    hasLeader = true;
    await seen.untilIds("1", "2");
    expect(seen.last?.freshness).toBe("live");
  });
});
