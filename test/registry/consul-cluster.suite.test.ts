import { seededRandom, systemClock } from "bowline/testing";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { consul } from "../../packages/bowline/src/registry/consul/consul.ts";
import type { ConsulOptions } from "../../packages/bowline/src/registry/consul/options.ts";
import type { Registry } from "../../packages/bowline/src/registry/registry.ts";
import { ConsulServer, consulPorts } from "./consul-server.ts";
import { fullInstance } from "./harness.ts";
import { Recording } from "./recording.ts";
import { realRegistry } from "./suite.ts";

const closers: (() => Promise<void>)[] = [];
const reports: string[] = [];

function open(options: ConsulOptions): Registry {
  const report = (error: Error): void => void reports.push(error.message);
  const context = { clock: systemClock, random: seededRandom(closers.length + 1), environment: {}, report };
  const registry = consul(options).create(context);
  closers.push(() => registry.close());
  return registry;
}

function watch(registry: Registry, service: string): Recording {
  return new Recording(registry, service, ({ id }) => id);
}

/** Waits until `condition` holds; the test's own timeout ends it. */
function until(condition: () => boolean): Promise<void> {
  return expect.poll(condition, { timeout: 60_000, interval: 10 }).toBe(true) as unknown as Promise<void>;
}

function readAll(kind: string): string {
  return `${kind}_prefix "" { policy = "read" }`;
}

await realRegistry("consul", ["consul"], ([program]) => {
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
    reports.length = 0;
  });

  describe("consul with ACLs", { timeout: 120_000 }, () => {
    const master = "00000000-0000-0000-0000-000000000001";
    let server: ConsulServer | undefined;
    beforeAll(async () => {
      const [ports] = await consulPorts(1);
      const acl = { enabled: true, default_policy: "deny", tokens: { initial_management: master, agent: master } };
      server = await ConsulServer.start({ program, ports, node: "one", settings: { acl } });
      // A leader that has just been elected does not know its first token yet.
      await vi.waitFor(() => server?.request("GET", "/v1/acl/token/self", undefined, master), 60_000);
    }, 120_000);
    afterAll(() => server?.process.remove());

    const tokenFor = async (rules: string): Promise<string> => {
      const name = `p${closers.length}-${rules.length}-${process.pid}`;
      await server?.request("PUT", "/v1/acl/policy", { Name: name, Rules: rules }, master);
      const made = (await server?.request("PUT", "/v1/acl/token", { Policies: [{ Name: name }] }, master)) as Response;
      const { SecretID } = (await made.json()) as { SecretID: string };
      return SecretID;
    };

    it("registers and watches with a token that may, and says what one lacks that may not", async () => {
      const hosts = server?.address ?? "";
      const token = await tokenFor('service_prefix "" { policy = "write" } node_prefix "" { policy = "read" }');
      const reader = await tokenFor('service_prefix "" { policy = "read" }');
      const registry = open({ hosts, token });
      await registry.register("user", fullInstance(1));
      const seen = watch(registry, "user");
      await until(() => seen.keys.length === 1);
      expect(seen.last?.instances[0]).toEqual(fullInstance(1));
      await expect(open({ hosts }).register("user", fullInstance(2))).rejects.toThrow(
        /403 .*service:write for what it registers/,
      );
      await expect(
        open({ hosts, token: "00000000-0000-0000-0000-00000000dead" }).register("user", fullInstance(2)),
      ).rejects.toThrow(/this cluster does not know the token; set consul\(…\)\.token/);
      const blind = watch(open({ hosts, token: reader }), "user");
      await until(() => blind.failures.length > 0);
      expect(blind.messages[0]).toMatch(/the token may not see its instances; give it service:read and node:read/);
      expect(blind.snapshots).toEqual([]);
      const nobody = watch(open({ hosts }), "user");
      await until(() => nobody.failures.length > 0);
      expect(nobody.messages[0]).toMatch(/perhaps all, since no token is set/);
    });

    it("is told again of what it has lost, and only of that, long before its agent would", async () => {
      const hosts = server?.address ?? "";
      const token = await tokenFor(
        ['service_prefix "" { policy = "write" }', readAll("node"), readAll("agent")].join(" "),
      );
      const early = await open({ hosts, token }).register("order", fullInstance(1));
      const seen = watch(open({ hosts, token: master }), "order");
      await until(() => seen.keys.length === 1);
      const snapshot = await (await server?.request("GET", "/v1/snapshot", undefined, master))?.arrayBuffer();
      const late = await open({ hosts, token }).register("order", fullInstance(2));
      await until(() => seen.keys.length === 2);
      // Their questions are held by now.
      await new Promise((resolve) => systemClock.setTimeout(() => resolve(undefined), 2000));
      await server?.request("PUT", "/v1/snapshot", new Uint8Array(snapshot ?? new ArrayBuffer(0)), master);
      const shown = async (): Promise<number> => {
        const answer = await server?.request("GET", "/v1/health/service/order?passing", undefined, master);
        return ((await (answer as Response).json()) as unknown[]).length;
      };
      await expect.poll(shown, { timeout: 20_000, interval: 10 }).toBe(2);
      await until(() => seen.keys.length === 2);
      expect([early.losses, late.losses]).toEqual([0, 0]);
    });
  });

  describe("consul with 5,000 instances", { timeout: 240_000 }, () => {
    let server: ConsulServer | undefined;
    beforeAll(async () => {
      const [ports] = await consulPorts(1);
      server = await ConsulServer.start({ program, ports, node: "one" });
    }, 120_000);
    afterAll(() => server?.process.remove());

    it("reads them all, and tells how long that took and blocked", async () => {
      await server?.request("PUT", "/v1/catalog/register", { Node: "many", Address: "10.0.0.1" });
      for (let from = 0; from < 5000; from += 64) {
        const numbers = Array.from({ length: Math.min(64, 5000 - from) }, (_, at) => from + at);
        const operations = numbers.map((number) => ({
          Service: {
            Verb: "set",
            Node: "many",
            Service: {
              ID: `u-${number}`,
              Service: "user",
              Address: `10.1.${number >> 8}.${number & 255}`,
              Port: 80,
              Meta: { zone: "a" },
            },
          },
        }));
        await server?.request("PUT", "/v1/txn", operations);
      }
      const seen = watch(open({ hosts: server?.address ?? "" }), "user");
      let longestMs = 0;
      let last = performance.now();
      const begun = last;
      const beat = setInterval(() => {
        longestMs = Math.max(longestMs, performance.now() - last);
        last = performance.now();
      }, 1);
      await until(() => seen.keys.length === 5000);
      clearInterval(beat);
      process.stderr.write(
        `consul: 5000 instances read in ${Math.round(performance.now() - begun)} ms, longest block ${Math.round(longestMs)} ms\n`,
      );
      const before = new Set(seen.last?.instances);
      await server?.request("PUT", "/v1/catalog/deregister", { Node: "many", ServiceID: "u-7" });
      await until(() => seen.last?.instances.length === 4999);
      expect(seen.last?.instances.every((instance) => before.has(instance))).toBe(true);
      expect(seen.violations).toEqual([]);
    });
  });

  describe("a cluster of three consul servers", { timeout: 240_000 }, () => {
    const servers: ConsulServer[] = [];
    beforeAll(async () => {
      const ports = await consulPorts(3);
      const join = ports.map(([, , , serf]) => serf);
      const started = ports.map((each, at) =>
        ConsulServer.start({ program, ports: each, node: `n${at}`, servers: 3, join }),
      );
      servers.push(...(await Promise.all(started)));
    }, 180_000);
    afterAll(async () => {
      await Promise.all(servers.map((server) => server.process.remove()));
    });

    const leader = async (): Promise<ConsulServer> => {
      const status = await Promise.any(servers.map((each) => each.request("GET", "/v1/operator/raft/configuration")));
      const { Servers } = (await status.json()) as { Servers: { Node: string; Leader: boolean }[] };
      return servers[Number(Servers.find(({ Leader }) => Leader)?.Node.slice(1))];
    };

    it("loses no instance from view while its leader is killed, and finds what changed", async () => {
      const hosts = servers.map(({ address }) => address);
      // Each registers with another agent first.
      const registries = hosts.map((_, at) =>
        open({ hosts: [...hosts.slice(at), ...hosts.slice(0, at)], ttlSeconds: 10 }),
      );
      const registrations = await Promise.all(
        registries.flatMap((registry, at) =>
          [0, 1, 2].map((each) => registry.register("user", fullInstance(at * 3 + each))),
        ),
      );
      const watches = registries.map((registry) => watch(registry, "user"));
      for (const seen of watches) await until(() => seen.keys.length === 9);
      for (let round = 0; round < 2; round++) {
        const killed = await leader();
        await killed.process.stop("SIGKILL");
        // What was registered with the agent that is gone goes to another one.
        const added = await registries[round].register("user", fullInstance(100 + round));
        for (const seen of watches) await until(() => seen.last?.freshness === "live" && seen.keys.length === 10);
        await until(() => registrations.every(({ state }) => state === "registered"));
        await added.close();
        for (const seen of watches) await until(() => seen.last?.freshness === "live" && seen.keys.length === 9);
        await killed.process.start();
      }
      const fewest = Math.min(
        ...watches.flatMap(({ snapshots }) =>
          snapshots.filter(({ instances }) => instances.length > 0).map(({ instances }) => instances.length),
        ),
      );
      process.stderr.write(`consul: fewest of 9 live instances seen while two leaders were killed: ${fewest}\n`);
      expect(watches.flatMap(({ violations }) => violations)).toEqual([]);
      expect(watches.every((seen) => seen.keys.length === 9)).toBe(true);
    });

    it("keeps what it knows while most servers are gone, and finds what changed when they are back", async () => {
      const [survivor, ...others] = servers;
      const hosts = survivor.address;
      const registry = open({ hosts, ttlSeconds: 30 });
      for (const each of [1, 2, 3]) await registry.register("order", fullInstance(each));
      const watches = (["default", "stale", "consistent"] as const).map((consistency) =>
        watch(open({ hosts, consistency, waitMs: 2000 }), "order"),
      );
      for (const seen of watches) await until(() => seen.keys.length === 3);
      await Promise.all(others.map((server) => server.process.stop("SIGKILL")));
      for (const seen of watches) {
        await until(() => seen.last?.freshness === "stale");
        await until(() => seen.messages.some((message) => /no leader|No cluster leader/.test(message)));
      }
      // Who begins now learns what the survivor knows, if that will do.
      const [strict, lenient] = (["default", "stale"] as const).map((consistency) =>
        watch(open({ hosts, consistency, waitMs: 3000 }), "order"),
      );
      await until(() => lenient.keys.length === 3 && strict.failures.length > 0);
      expect([lenient.last?.freshness, strict.snapshots]).toEqual(["stale", []]);
      expect(await open({ hosts, consistency: "stale" }).services?.()).toContain("order");
      // An agent looks for a leader for some seconds before it says that there is none.
      await expect(open({ hosts }).services?.()).rejects.toThrow(/No cluster leader|did not answer within/);
      watches.push(strict, lenient);
      // The agent takes it; the catalog has it later.
      await registry.register("order", fullInstance(4));
      await Promise.all(others.map((server) => server.process.start()));
      for (const seen of watches) await until(() => seen.last?.freshness === "live" && seen.keys.length === 4);
      const told = watches.flatMap(({ snapshots }) =>
        snapshots.slice(snapshots.findIndex(({ instances }) => instances.length === 3)),
      );
      expect(told.filter(({ instances }) => instances.length < 3)).toEqual([]);
      expect(watches.flatMap(({ violations }) => violations)).toEqual([]);
    });
  });
});
