import { Code, RpcError } from "bowline";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CallContext, callStorage } from "../../packages/bowline/src/rpc/call-context.ts";
import { EtcdScene, someInstance } from "./etcd-scene.ts";

let scene: EtcdScene;
const service = "user.rpc";
const put = (suffix: string, value: string): void => scene.store.put(`${service}/${suffix}`, value);
const remove = (suffix: string): void => scene.store.delete(`${service}/${suffix}`);

async function open(members: number = 1): Promise<void> {
  scene = new EtcdScene(members);
  await scene.start();
}

beforeEach(() => open());

afterEach(async () => {
  expect(await scene.close()).toEqual({ violations: [], timers: 0 });
});

describe("a watch of a service in etcd", () => {
  it("reads Go services: any suffix, the value as it stands, equal ones once", async () => {
    put("7587883301129417221", "10.0.0.1:80");
    put("17", "10.0.0.2:80");
    put("by-hand", "10.0.0.2:80");
    const seen = scene.watch(scene.registry());
    await scene.knows(seen, "10.0.0.1:80", "10.0.0.2:80");
    expect(seen.failures).toEqual([]);
    remove("17");
    put("18", "10.0.0.3:80");
    await scene.knows(seen, "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80");
  });

  it("reads etcd's own gRPC naming", async () => {
    put("a", '{"Op":0,"Addr":"10.0.0.1:80","Metadata":{"zone":"b"}}');
    const seen = scene.watch(scene.registry());
    await scene.knows(seen, "10.0.0.1:80");
    expect(seen.last?.instances[0].tags).toEqual({ zone: "b" });
  });

  it("leaves the keys of a service with a longer name to that service", async () => {
    put("1", "10.0.0.1:80");
    put("v2/1", "10.0.0.2:80");
    const [seen, other] = [scene.watch(scene.registry()), scene.watch(scene.registry(), `${service}/v2`)];
    await scene.knows(seen, "10.0.0.1:80");
    await scene.knows(other, "10.0.0.2:80");
  });

  it("tells an instance and what Bowline says of it as one, although etcd tells of two keys", async () => {
    const seen = scene.watch(scene.registry());
    await scene.knows(seen);
    await scene.done(scene.registry({ ttlSeconds: 20 }).register(service, someInstance(3)));
    await scene.knows(seen, "user-3");
    expect(seen.snapshots.map(({ instances }) => instances.map(({ id }) => id))).toEqual([[], ["user-3"]]);
  });

  it("goes on behind the last revision when its stream breaks: nothing is missed, nothing told twice, nobody worried", async () => {
    put("1", "10.0.0.1:80");
    const seen = scene.watch(scene.registry());
    await scene.knows(seen, "10.0.0.1:80");
    await scene.clock.advance(5000);
    const reads = scene.count("txn");
    scene.member.breakStreams();
    put("2", "10.0.0.2:80");
    remove("1");
    await scene.knows(seen, "10.0.0.2:80");
    await scene.clock.advance(5000);
    expect(scene.count("txn")).toBe(reads);
    expect(scene.count("watch")).toBe(2);
    expect(seen.failures).toEqual([]);
    expect(seen.snapshots.every(({ freshness }) => freshness === "live")).toBe(true);
  });

  it("reads all anew when the history was compacted while it was cut off, and misses no removal", async () => {
    put("1", "10.0.0.1:80");
    put("2", "10.0.0.2:80");
    const seen = scene.watch(scene.registry());
    await scene.knows(seen, "10.0.0.1:80", "10.0.0.2:80");
    await scene.done(scene.member.stop());
    await scene.until("it is stale", () => seen.last?.freshness === "stale");
    const told = seen.snapshots.length;
    remove("1");
    put("3", "10.0.0.3:80");
    scene.store.compact();
    await scene.member.start();
    await scene.knows(seen, "10.0.0.2:80", "10.0.0.3:80");
    const after = seen.snapshots.slice(told).filter(({ freshness }) => freshness === "live");
    expect(after.flatMap(({ instances }) => instances.map(({ id }) => id))).not.toContain("10.0.0.1:80");
    put("4", "10.0.0.4:80");
    await scene.knows(seen, "10.0.0.2:80", "10.0.0.3:80", "10.0.0.4:80");
  });

  it("tells once that it is stale, of each failure once, and that it is live again, with the same revision", async () => {
    put("1", "10.0.0.1:80");
    const seen = scene.watch(scene.registry());
    await scene.knows(seen, "10.0.0.1:80");
    await scene.done(scene.member.stop());
    await scene.clock.advance(60_000);
    await scene.member.start();
    await scene.knows(seen, "10.0.0.1:80");
    expect(seen.snapshots.map(({ freshness, revision }) => [freshness, revision])).toEqual([
      ["live", 1],
      ["stale", 1],
      ["live", 1],
    ]);
    expect(new Set(seen.messages).size).toBe(seen.messages.length);
    expect(seen.messages[0]).toMatch(/etcd-1:2379.*check the options hosts/);
  });

  it("is not led back by a member that tells of changes from before", async () => {
    put("1", "10.0.0.1:80");
    remove("1");
    put("2", "10.0.0.2:80");
    scene.member.tellsOldChanges = true;
    const seen = scene.watch(scene.registry());
    await scene.knows(seen, "10.0.0.2:80");
    scene.member.breakStreams();
    put("3", "10.0.0.3:80");
    await scene.knows(seen, "10.0.0.2:80", "10.0.0.3:80");
    expect(seen.snapshots.flatMap(({ instances }) => instances.map(({ id }) => id))).not.toContain("10.0.0.1:80");
  });

  it("makes sure by a full read when the member it moved to is behind", async () => {
    put("1", "10.0.0.1:80");
    put("2", "10.0.0.2:80");
    const seen = scene.watch(scene.registry());
    await scene.knows(seen, "10.0.0.1:80", "10.0.0.2:80");
    const reads = scene.count("txn");
    scene.member.lag = 1n;
    scene.member.breakStreams();
    await scene.until("it has read", () => scene.count("txn") > reads);
    await scene.knows(seen, "10.0.0.1:80", "10.0.0.2:80");
    scene.member.lag = 0n;
    put("3", "10.0.0.3:80");
    await scene.knows(seen, "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80");
    expect(seen.failures).toEqual([]);
  });

  it("takes an etcd that lost its data for what it is: another one, whose revisions begin anew", async () => {
    for (const number of [1, 2, 3]) put(String(number), `10.0.0.${number}:80`);
    const seen = scene.watch(scene.registry());
    await scene.knows(seen, "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80");
    await scene.done(scene.member.stop());
    scene.store.wipe();
    put("9", "10.0.0.9:80");
    await scene.member.start();
    await scene.knows(seen, "10.0.0.9:80");
    put("10", "10.0.0.10:80");
    await scene.knows(seen, "10.0.0.9:80", "10.0.0.10:80");
  });

  it("tells the fragments of one revision as one change", async () => {
    scene.member.fragmentSize = 2;
    const seen = scene.watch(scene.registry());
    await scene.knows(seen);
    const entries = [1, 2, 3, 4, 5].map((number) => ({
      key: `${service}/${number}`,
      value: `h${number}:1`,
      lease: 0n,
    }));
    scene.store.change(entries, []);
    await scene.knows(seen, "h1:1", "h2:1", "h3:1", "h4:1", "h5:1");
    expect(seen.snapshots.length).toBe(2);
  });

  it("reads a large service page by page, at one revision", async () => {
    const entries = Array.from({ length: 1200 }, (_, at) => ({
      key: `${service}/${at}`,
      value: `h${at}:1`,
      lease: 0n,
    }));
    scene.store.change(entries, []);
    scene.member.hooks.range = () => {
      // A change between two pages belongs to the watch that follows.
      scene.member.hooks.range = undefined;
      remove("0");
    };
    const seen = scene.watch(scene.registry());
    await scene.until("all are known", () => seen.last?.instances.length === 1199);
    expect(scene.count("range")).toBe(2);
  });

  it("reads again from the start when the history is compacted between two pages", async () => {
    const entries = Array.from({ length: 600 }, (_, at) => ({ key: `${service}/${at}`, value: `h${at}:1`, lease: 0n }));
    scene.store.change(entries, []);
    scene.member.hooks.range = () => {
      scene.member.hooks.range = undefined;
      put("more", "more:1");
      scene.store.compact();
    };
    const seen = scene.watch(scene.registry());
    await scene.until("all are known", () => seen.last?.instances.length === 601);
  });

  it("skips what is no address, counts on the rest, and says once what is wrong", async () => {
    put("1", "10.0.0.1:80");
    put("2", '{"weight":3}');
    put("3", "x".repeat(1 << 20));
    put("4", "10.0.0.4:99999");
    const seen = scene.watch(scene.registry());
    await scene.knows(seen, "10.0.0.1:80");
    put("2", '{"weight":3}');
    put("2", "10.0.0.2:80");
    await scene.knows(seen, "10.0.0.1:80", "10.0.0.2:80");
    expect(seen.messages.length).toBe(3);
    expect(seen.messages.join("\n")).toMatch(/"user\.rpc\/2": .*neither a bare address/);
  });

  it("believes the newest of two instances with one id, and says so", async () => {
    const details = (address: string): string => `{"v":1,"id":"twin","addresses":[{"address":"${address}"}]}`;
    for (const [suffix, address] of [
      ["1", "10.0.0.1:80"],
      ["2", "10.0.0.2:80"],
    ]) {
      scene.store.put(`bowline/instances/${service}/${suffix}`, details(address));
      put(suffix, address);
    }
    const seen = scene.watch(scene.registry());
    await scene.knows(seen, "twin");
    expect(seen.last?.instances[0].addresses[0].address).toBe("10.0.0.2:80");
    expect(seen.messages.join()).toMatch(/"twin" belongs to 10\.0\.0\.1:80 and 10\.0\.0\.2:80/);
    remove("2");
    await scene.until("the other is used", () => seen.last?.instances[0]?.addresses[0].address === "10.0.0.1:80");
  });

  it("gives up a member that takes the stream and says nothing", async () => {
    put("1", "10.0.0.1:80");
    const silent = Promise.withResolvers<void>();
    scene.member.hooks.create = () => silent.promise;
    const seen = scene.watch(scene.registry());
    await scene.until("it says so", () => seen.messages.some((message) => /no answer from etcd-1:2379/.test(message)));
    scene.member.hooks.create = undefined;
    silent.resolve();
    await scene.knows(seen, "10.0.0.1:80");
    put("2", "10.0.0.2:80");
    await scene.knows(seen, "10.0.0.1:80", "10.0.0.2:80");
  });

  it("keeps the stream of changes that works when reads are not answered", async () => {
    put("1", "10.0.0.1:80");
    const registry = scene.registry();
    const seen = scene.watch(registry);
    await scene.knows(seen, "10.0.0.1:80");
    await scene.clock.advance(2000);
    scene.member.hooks.txn = () => new Promise(() => {});
    const other = scene.watch(registry, "order.rpc");
    await scene.until("the read fails", () => other.failures.length > 0);
    put("2", "10.0.0.2:80");
    await scene.knows(seen, "10.0.0.1:80", "10.0.0.2:80");
    scene.member.hooks.txn = undefined;
    await scene.knows(other);
    expect([scene.count("watch"), seen.failures]).toEqual([1, []]);
  });

  it("asks for a fresh look once a second at most", async () => {
    const seen = scene.watch(scene.registry());
    await scene.knows(seen);
    const reads = scene.count("txn");
    for (let i = 0; i < 50; i++) {
      seen.watcher.refresh();
      await scene.clock.advance(100);
    }
    expect(scene.count("txn") - reads).toBeGreaterThan(2);
    expect(scene.count("txn") - reads).toBeLessThan(7);
    expect(seen.snapshots.length).toBe(1);
  });
});

describe("several members", () => {
  beforeEach(async () => {
    await scene.close();
    await open(3);
  });

  it("are gone to one after another when the first is dead, and no others", async () => {
    put("1", "10.0.0.1:80");
    await scene.done(scene.member.stop());
    const seen = scene.watch(scene.registry());
    await scene.knows(seen, "10.0.0.1:80");
    expect(seen.failures).toEqual([]);
    expect(scene.members.map(({ counts }) => (counts.watch ?? 0) > 0)).toEqual([false, true, false]);
  });

  it("take over without a word when the one that tells of changes dies", async () => {
    put("1", "10.0.0.1:80");
    const seen = scene.watch(scene.registry());
    await scene.knows(seen, "10.0.0.1:80");
    await scene.clock.advance(2000);
    await scene.done(scene.member.stop());
    put("2", "10.0.0.2:80");
    await scene.knows(seen, "10.0.0.1:80", "10.0.0.2:80");
    expect(seen.failures).toEqual([]);
  });
});

describe("what is no etcd", () => {
  it("is named as that", async () => {
    scene.member.hooks.txn = () => {
      throw new RpcError(Code.UNIMPLEMENTED, "unknown service etcdserverpb.KV");
    };
    const seen = scene.watch(scene.registry());
    await scene.until("it fails", () => seen.failures.length > 0);
    expect(seen.messages[0]).toMatch(/is no etcd v3: check the option hosts/);
  });
});

describe("one process", () => {
  it("has one connection, one stream and one lease, however many registries, services and registrations there are", async () => {
    const registries = [scene.registry(), scene.registry(), scene.registry()];
    const watches = registries.flatMap((registry) =>
      Array.from({ length: 20 }, (_, at) => scene.watch(registry, `service-${at}`)),
    );
    await scene.done(
      Promise.all(registries.map((registry, at) => registry.register(`service-${at}`, someInstance(at + 1)))),
    );
    for (const [at, seen] of watches.entries()) {
      const number = (at % 20) + 1;
      await scene.knows(seen, ...(number <= 3 ? [`user-${number}`] : []));
    }
    expect([scene.count("watch"), scene.count("keepAlive") <= 1, scene.count("grant")]).toEqual([1, true, 1]);
  });

  it("goes on with what a call has begun when that call is over", async () => {
    const call = new CallContext();
    call.deadlineAt = scene.clock.now() + 100;
    const registry = callStorage.run(call, () => scene.registry());
    const seen = callStorage.run(call, () => scene.watch(registry));
    const registration = await scene.done(callStorage.run(call, () => registry.register(service, someInstance(1))));
    call.cancel(new RpcError(Code.CANCELLED, "the caller is gone"));
    await scene.clock.advance(60_000);
    put("2", "10.0.0.2:80");
    await scene.knows(seen, "10.0.0.2:80", "user-1");
    expect([registration.state, scene.count("watch"), scene.count("keepAlive")]).toEqual(["registered", 1, 1]);
  });
});
