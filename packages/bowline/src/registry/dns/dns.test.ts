import { describe, expect, it } from "vitest";
import { registryContract } from "../../../../../test/registry/contract.ts";
import { ManualClock, settled } from "../../../test/manual-clock.ts";
import { WatchRecorder } from "../../../test/watch-recorder.ts";
import { systemClock } from "../../rpc/clock.ts";
import { systemRandom } from "../../rpc/random.ts";
import { instanceAt } from "../instance/instance.ts";
import { createDnsRegistry, dns } from "./dns.ts";
import type { HostAnswer } from "./dns-resolver.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const refusal = (code: string): Error => Object.assign(new Error(code), { code });

/** What a DNS server would answer, by host; null while it can't be reached. */
let contractHosts: Map<string, readonly string[]> | null = new Map();
const contractZone = contractHosts;
const hostOf = (service: string): string => service.slice(0, service.lastIndexOf(":"));
registryContract("dns", {
  capabilities: { writes: false, lists: false, keeps: ["id"], unknownService: "failure" },
  patienceMs: 10 * MINUTE,
  clock: new ManualClock(),
  create: (context) => {
    const resolve = async (host: string): Promise<HostAnswer> => {
      if (contractHosts === null) throw refusal("ETIMEOUT");
      const addresses = contractHosts.get(host);
      if (addresses === undefined) throw refusal("ENOTFOUND");
      return { addresses, ttlMs: 5 * SECOND };
    };
    return createDnsRegistry({ resolve }, context);
  },
  service: (label) => `contract-${label}.internal:8080`,
  instance: (number) => instanceAt(`10.7.${number >> 8}.${number & 255}:8080`),
  set: (service, instances) => {
    contractZone.set(
      hostOf(service),
      instances.map(({ addresses }) => hostOf(addresses[0].address)),
    );
  },
  stop: () => {
    contractHosts = null;
  },
  start: () => {
    contractHosts = contractZone;
  },
});

/** A watch of `user.internal:8080` whose answers the test gives; `asked` counts the questions. */
function setUp(first: HostAnswer | Error, random: () => number = () => 0) {
  const clock = new ManualClock();
  const dnsServer = { answer: first, asked: 0, hosts: new Set<string>() };
  const resolve = async (host: string): Promise<HostAnswer> => {
    dnsServer.asked++;
    dnsServer.hosts.add(host);
    if (dnsServer.answer instanceof Error) throw dnsServer.answer;
    return dnsServer.answer;
  };
  const registry = createDnsRegistry({ resolve }, { clock, random });
  return { clock, dnsServer, registry, seen: new WatchRecorder(registry, "user.internal:8080") };
}

const answer = (ttlMs: number | undefined, ...addresses: string[]): HostAnswer => ({ addresses, ttlMs });

describe("a dns registry", () => {
  it("gives each address as an instance, in a stable order, once", async () => {
    const { clock, seen } = setUp(answer(SECOND, "10.0.0.9", "10.0.0.7", "fd00::7", "10.0.0.9"));
    await clock.advance(0);
    expect(seen.ids).toEqual(["10.0.0.7:8080", "10.0.0.9:8080", "[fd00::7]:8080"]);
  });

  it("asks again when the TTL is over, and delivers only what changed", async () => {
    const { clock, dnsServer, seen } = setUp(answer(5 * SECOND, "10.0.0.7"));
    await clock.advance(5 * SECOND - 1);
    expect(dnsServer.asked).toBe(1);
    await clock.advance(1);
    expect(dnsServer.asked).toBe(2);
    expect(seen.snapshots).toHaveLength(1);
    const before = seen.last?.instances[0];
    dnsServer.answer = answer(5 * SECOND, "10.0.0.8", "10.0.0.7");
    await clock.advance(5 * SECOND);
    expect(seen.ids).toEqual(["10.0.0.7:8080", "10.0.0.8:8080"]);
    expect(seen.last).toMatchObject({ revision: 2, freshness: "live" });
    expect(seen.last?.instances[0]).toBe(before);
  });

  it.each([
    ["of nothing as 1 s", 0, 1 * SECOND],
    ["of a day as 5 minutes", 86_400 * SECOND, 5 * MINUTE],
    ["that is unknown as 10 s", undefined, 10 * SECOND],
  ])("takes a TTL %s", async (_, ttlMs, expectedMs) => {
    const { clock, dnsServer } = setUp(answer(ttlMs, "10.0.0.7"));
    await clock.advance(expectedMs - 1);
    expect(dnsServer.asked).toBe(1);
    await clock.advance(1);
    expect(dnsServer.asked).toBe(2);
  });

  it("adds up to a tenth to the wait, so that clients do not ask together", async () => {
    const { clock, dnsServer } = setUp(answer(10 * SECOND, "10.0.0.7"), () => 0.5);
    await clock.advance(10.5 * SECOND - 1);
    expect(dnsServer.asked).toBe(1);
    await clock.advance(1);
    expect(dnsServer.asked).toBe(2);
  });

  it("asks at once on refresh, but once a second", async () => {
    const { clock, dnsServer, seen } = setUp(answer(MINUTE, "10.0.0.7"));
    await clock.advance(SECOND - 1);
    for (let i = 0; i < 10; i++) seen.watcher.refresh();
    await clock.advance(0);
    expect(dnsServer.asked).toBe(1);
    await clock.advance(1);
    expect(dnsServer.asked).toBe(2);
    await clock.advance(10 * SECOND);
    seen.watcher.refresh();
    await clock.advance(0);
    expect(dnsServer.asked).toBe(3);
  });

  it("asks one question at a time", async () => {
    const clock = new ManualClock();
    const waiting: ((found: HostAnswer) => void)[] = [];
    const resolve = (): Promise<HostAnswer> => new Promise((found) => waiting.push(found));
    const registry = createDnsRegistry({ resolve }, { clock, random: () => 0 });
    const seen = new WatchRecorder(registry, "user.internal:8080");
    await clock.advance(10 * SECOND);
    seen.watcher.refresh();
    await clock.advance(10 * SECOND);
    expect(waiting).toHaveLength(1);
    waiting[0](answer(MINUTE, "10.0.0.7"));
    await clock.advance(SECOND);
    expect(seen.ids).toEqual(["10.0.0.7:8080"]);
  });

  it("keeps the last set through failures, stale, says so once, and backs off up to 30 s", async () => {
    const { clock, dnsServer, seen } = setUp(answer(SECOND, "10.0.0.7"), () => 1);
    await clock.advance(0);
    dnsServer.answer = refusal("ETIMEOUT");
    await clock.advance(1.1 * SECOND);
    expect(seen.last).toMatchObject({ freshness: "stale", revision: 2 });
    expect(seen.ids).toEqual(["10.0.0.7:8080"]);
    const askedAt: number[] = [];
    for (let count = dnsServer.asked, time = 0; time <= 2 * MINUTE; time += SECOND / 2) {
      await clock.advance(SECOND / 2);
      if (dnsServer.asked > count) askedAt.push(time / SECOND + 0.5);
      count = dnsServer.asked;
    }
    expect(askedAt).toEqual([1, 3, 7, 15, 31, 61, 91]);
    expect(seen.messages).toEqual([
      'dns registry: no address found for "user.internal" (ETIMEOUT): check that the DNS server can be reached; going on with the 1 known',
    ]);
    dnsServer.answer = answer(SECOND, "10.0.0.7");
    await clock.advance(30 * SECOND);
    expect(seen.last).toMatchObject({ freshness: "live", revision: 3 });
  });

  it.each([
    ["an error", refusal("ENOTFOUND"), "ENOTFOUND"],
    ["an empty answer", answer(SECOND), "an empty answer"],
  ])("says that a name resolves to nothing after %s", async (_, nothing, reason) => {
    const { clock, dnsServer, seen } = setUp(nothing);
    await clock.advance(10 * SECOND);
    expect(seen.messages).toEqual([
      `dns registry: no address found for "user.internal" (${reason}): check the name, and whether this machine can resolve it`,
    ]);
    expect(seen.snapshots).toEqual([]);
    dnsServer.answer = answer(SECOND, "10.0.0.7");
    await clock.advance(10 * SECOND);
    expect(seen.ids).toEqual(["10.0.0.7:8080"]);
  });

  it("keeps the addresses of a family whose question failed, and drops those of one without records", async () => {
    const { clock, dnsServer, seen } = setUp(answer(SECOND, "10.0.0.7", "fd00::7"));
    await clock.advance(0);
    dnsServer.answer = { ...answer(SECOND, "10.0.0.8"), failedFamily: 6 };
    await clock.advance(SECOND);
    expect(seen.ids).toEqual(["10.0.0.8:8080", "[fd00::7]:8080"]);
    dnsServer.answer = answer(SECOND, "10.0.0.8");
    await clock.advance(SECOND);
    expect(seen.ids).toEqual(["10.0.0.8:8080"]);
  });

  it("asks nobody for a literal address", async () => {
    const { clock, dnsServer, registry } = setUp(answer(MINUTE, "10.0.0.7"));
    const [v4, v6] = ["10.0.0.1:80", "[FD00::1]:80"].map((service) => new WatchRecorder(registry, service));
    await clock.advance(10 * SECOND);
    v4.watcher.refresh();
    await clock.advance(10 * SECOND);
    expect([v4.ids, v6.ids]).toEqual([["10.0.0.1:80"], ["[fd00::1]:80"]]);
    expect([...dnsServer.hosts]).toEqual(["user.internal"]);
  });

  it("leaves no timer behind, even if it is closed while it asks", async () => {
    const { clock, registry, seen } = setUp(answer(SECOND, "10.0.0.7"));
    await registry.close();
    await settled();
    expect(clock.timers).toBe(0);
    expect(seen.snapshots).toEqual([]);
  });

  it("finds localhost, which DNS does not know, through the system", async () => {
    const registry = dns().create({ clock: systemClock, random: systemRandom, environment: {} });
    const seen = new WatchRecorder(registry, "localhost:8080");
    const { instances } = await seen.until(({ instances }) => instances.length > 0);
    expect(["127.0.0.1:8080", "[::1]:8080"]).toEqual(expect.arrayContaining(instances.map(({ id }) => id)));
    await registry.close();
  });

  it("refuses what is no host:port, and a server that is no IP address", () => {
    const { registry, seen } = setUp(answer(SECOND, "10.0.0.7"));
    expect(() => registry.watch("user.rpc", seen)).toThrow(
      /"user\.rpc" has no port; a port is required; write host:port/,
    );
    expect(() => dns({ server: "resolver.internal:53" })).toThrow(/server: "resolver\.internal:53" is no IP address/);
    expect(() => dns({ server: "10.0.0.2" })).toThrow(TypeError);
  });
});
