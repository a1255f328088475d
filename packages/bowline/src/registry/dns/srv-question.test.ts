import { describe, expect, it } from "vitest";
import { ManualClock } from "../../../test/manual-clock.ts";
import { WatchRecorder } from "../../../test/watch-recorder.ts";
import { seededRandom } from "../../rpc/random.ts";
import { createDnsRegistry } from "./dns.ts";
import type { SrvRecord } from "./dns-resolver.ts";

/** DNS as a test writes it. */
class Zone {
  records: SrvRecord[] = [];
  hosts: Record<string, readonly string[] | Error> = {};
  /** By host: the family whose question fails. */
  readonly failedFamilies: Record<string, 4 | 6> = {};
  readonly clock: ManualClock = new ManualClock();

  watch(): WatchRecorder {
    const registry = createDnsRegistry(
      {
        records: "srv",
        resolveSrv: async () => this.records,
        resolve: async (host) => {
          const found = this.hosts[host] ?? Object.assign(new Error(`no ${host}`), { code: "ENOTFOUND" });
          if (found instanceof Error) throw found;
          return { addresses: found, ttlMs: 5_000, failedFamily: this.failedFamilies[host] };
        },
      },
      { clock: this.clock, random: seededRandom(1) },
    );
    return new WatchRecorder(registry, "_grpc._tcp.user.internal");
  }
}

const srv = (name: string, weight = 0, priority = 10, port = 80): SrvRecord => ({ name, weight, priority, port });

describe("SRV records", () => {
  it("give each address of each target of the lowest priority, with the port and weight of its record", async () => {
    const zone = new Zone();
    zone.records = [srv("a", 30), srv("b", 10, 10, 81), srv("c", 0), srv("spare", 99, 20)];
    zone.hosts = { a: ["10.0.0.1"], b: ["10.0.0.2", "fd00::2"], c: ["10.0.0.3"], spare: ["10.0.0.9"] };
    const { instances } = await zone.watch().untilIds("10.0.0.1:80", "10.0.0.2:81", "[fd00::2]:81", "10.0.0.3:80");
    expect(Object.fromEntries(instances.map(({ id, weight }) => [id, weight]))).toEqual({
      "10.0.0.1:80": 30,
      "10.0.0.2:81": 10,
      "[fd00::2]:81": 10,
      "10.0.0.3:80": 1,
    });
  });

  it("that all weigh nothing count alike", async () => {
    const zone = new Zone();
    zone.records = [srv("a"), srv("b")];
    zone.hosts = { a: ["10.0.0.1"], b: ["10.0.0.2"] };
    const { instances } = await zone.watch().untilIds("10.0.0.1:80", "10.0.0.2:80");
    expect(instances.map(({ weight }) => weight)).toEqual([1, 1]);
  });

  it("of a higher priority count when there is no lower one", async () => {
    const zone = new Zone();
    zone.records = [srv("a", 0, 1), srv("b", 0, 2)];
    zone.hosts = { a: ["10.0.0.1"], b: ["10.0.0.2"] };
    const seen = zone.watch();
    await seen.untilIds("10.0.0.1:80");
    zone.records = [srv("b", 0, 2)];
    seen.watcher.refresh();
    await zone.clock.advance(1_000);
    await seen.untilIds("10.0.0.2:80");
  });

  it("keep the addresses of a target that does not resolve at the moment, and tell a changed weight", async () => {
    const zone = new Zone();
    zone.records = [srv("a", 1), srv("b", 1)];
    zone.hosts = { a: ["10.0.0.1"], b: ["10.0.0.2"] };
    const seen = zone.watch();
    const before = await seen.untilIds("10.0.0.1:80", "10.0.0.2:80");
    zone.hosts.a = Object.assign(new Error("a: timed out"), { code: "ETIMEOUT" });
    zone.records = [srv("a", 1), srv("b", 5)];
    seen.watcher.refresh();
    await zone.clock.advance(1_000);
    const after = await seen.until(({ instances }) => instances[1]?.weight === 5);
    expect(after.instances[0]).toBe(before.instances[0]);
  });

  it("keep the addresses of a family whose question fails at the moment, each those of its own target", async () => {
    const zone = new Zone();
    zone.records = [srv("a"), srv("b")];
    zone.hosts = { a: ["10.0.0.1", "fd00::1"], b: ["10.0.0.2", "fd00::2"] };
    const seen = zone.watch();
    await seen.untilIds("10.0.0.1:80", "10.0.0.2:80", "[fd00::1]:80", "[fd00::2]:80");
    zone.hosts = { a: ["10.0.0.3"], b: ["10.0.0.2"] };
    zone.failedFamilies.a = 6;
    seen.watcher.refresh();
    await zone.clock.advance(1_000);
    await seen.untilIds("10.0.0.2:80", "10.0.0.3:80", "[fd00::1]:80");
    delete zone.failedFamilies.a;
    await zone.clock.advance(6_000);
    await seen.untilIds("10.0.0.2:80", "10.0.0.3:80");
  });

  it("that name nobody, or hosts that nobody knows, are a failure that keeps what was known", async () => {
    const zone = new Zone();
    zone.records = [srv("a")];
    zone.hosts = { a: ["10.0.0.1"] };
    const seen = zone.watch();
    await seen.untilIds("10.0.0.1:80");
    zone.records = [srv(".")];
    seen.watcher.refresh();
    await zone.clock.advance(1_000);
    await seen.untilFailure(/no address found for "_grpc\._tcp\.user\.internal" \(an empty answer\).*with the 1 known/);
    expect(seen.last).toMatchObject({ freshness: "stale", instances: [{ id: "10.0.0.1:80" }] });
    zone.records = [srv("nobody")];
    await zone.clock.advance(2_000);
    await seen.untilFailure(/\(ENOTFOUND\): check the name/);
  });

  it("are asked of the system's DNS, or of the server that is given", () => {
    expect(() =>
      createDnsRegistry({ records: "txt" as never }, { clock: new ManualClock(), random: seededRandom(1) }),
    ).toThrow(/records: "txt" is neither "address" nor "srv"/);
  });
});
