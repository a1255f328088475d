import { Code, RpcError } from "bowline";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Instance, Registration, Registry } from "../../packages/bowline/src/registry/registry.ts";
import { EtcdScene, someInstance } from "./etcd-scene.ts";

let scene: EtcdScene;
const service = "user.rpc";

beforeEach(async () => {
  scene = new EtcdScene();
  await scene.start();
});

afterEach(async () => {
  expect(await scene.close()).toEqual({ violations: [], timers: 0 });
});

const register = (instance: Instance, registry: Registry = scene.registry()): Promise<Registration> =>
  scene.done(registry.register(service, instance));
const leases = (): bigint[] => [...scene.store.leases.keys()];
const values = (): string[] => scene.keys(`${service}/`);

describe("a registration in etcd", () => {
  it("has go-zero's key and value on a lease of 10 s, and what Bowline adds beside it on the same lease", async () => {
    await register(someInstance(1));
    const [lease] = leases();
    expect(values()).toEqual([`${lease}=10.0.0.1:8080`]);
    expect(scene.keys("bowline/instances/user.rpc/")).toEqual([
      `${lease}={"v":1,"id":"user-1","addresses":[{"address":"10.0.0.1:8080"}]}`,
    ]);
    expect(scene.store.leases.get(lease)).toBe(10);
    expect(scene.keys("").length).toBe(2);
  });

  it("shares the lease with all others of its process, under a key of its own", async () => {
    const registry = scene.registry();
    const registrations = [];
    for (const number of [1, 2, 3]) registrations.push(await register(someInstance(number), registry));
    const [lease] = leases();
    expect(values()).toEqual([`${lease}=10.0.0.1:8080`, `${lease}-2=10.0.0.2:8080`, `${lease}-3=10.0.0.3:8080`]);
    await scene.done(registrations[1].close());
    expect(values()).toEqual([`${lease}=10.0.0.1:8080`, `${lease}-3=10.0.0.3:8080`]);
    await register(someInstance(4), registry);
    expect(values()).toContain(`${lease}-2=10.0.0.4:8080`);
    expect(scene.count("grant")).toBe(1);
  });

  it("may stand under a prefix, in the format of gRPC's naming, or without what Bowline adds", async () => {
    await register(someInstance(1), scene.registry({ prefix: "staging/", register: "grpc-naming", metadata: false }));
    const [lease] = leases();
    expect(scene.keys("")).toEqual([`staging/user.rpc/${lease}={"Op":0,"Addr":"10.0.0.1:8080","Metadata":null}`]);
  });

  it("is gone with its lease when the last of a process is closed", async () => {
    const registration = await register(someInstance(1));
    await scene.done(registration.close());
    expect([leases(), scene.keys("")]).toEqual([[], []]);
    expect(scene.count("revoke")).toBe(1);
  });

  it("is renewed three times in the life of its lease, on one stream", async () => {
    await register(someInstance(1));
    await scene.clock.advance(100_000);
    expect(scene.count("renew")).toBeGreaterThanOrEqual(29);
    expect(scene.count("renew")).toBeLessThanOrEqual(31);
    expect(scene.count("keepAlive")).toBe(1);
  });

  it("of a hundred together takes few requests", async () => {
    const registry = scene.registry();
    const all = Array.from({ length: 100 }, (_, at) => registry.register(`service-${at}`, someInstance(at + 1)));
    await scene.done(Promise.all(all));
    expect(scene.count("txn")).toBeLessThanOrEqual(5);
    expect(scene.count("grant")).toBe(1);
  });

  it("that is closed before its lease was granted leaves no lease behind", async () => {
    // Another registry of the same options keeps open what they share.
    const [registry, other] = [scene.registry(), scene.registry()];
    await scene.knows(scene.watch(other));
    const granted = Promise.withResolvers<void>();
    scene.member.hooks.grant = () => granted.promise;
    const registering = registry.register(service, someInstance(1));
    await scene.until("the lease is asked for", () => scene.count("grant") === 1);
    const closing = registry.close();
    granted.resolve();
    await expect(scene.done(registering)).rejects.toThrow(/closed/);
    await scene.done(closing);
    await scene.clock.advance(1000);
    expect([leases(), values(), scene.count("grant")]).toEqual([[], [], 1]);
  });

  it("can't be made twice in one process", async () => {
    const registry = scene.registry();
    await register(someInstance(1), registry);
    await expect(registry.register(service, someInstance(1))).rejects.toThrow(/registered by this process already/);
  });
});

describe("a registration that is lost", () => {
  it("is put back when its keys are deleted or overwritten", async () => {
    const registration = await register(someInstance(1));
    const [lease] = leases();
    const before = scene.keys("");
    const { store } = scene;
    const harm = [
      () => store.delete(`${service}/${lease}`),
      () => store.delete(`bowline/instances/${service}/${lease}`),
      () => store.put(`${service}/${lease}`, "10.9.9.9:1", lease),
      () => store.put(`${service}/${lease}`, "10.0.0.1:8080"),
    ];
    for (const harmed of harm) {
      harmed();
      await scene.until(
        "it is back",
        () => scene.keys("").join() === before.join() && store.get(`${service}/${lease}`)?.lease === lease,
        1000,
      );
    }
    expect(registration.state).toBe("registered");
    expect(scene.count("grant")).toBe(1);
  });

  it("comes back on another lease within a heartbeat when etcd says that the lease is gone", async () => {
    const registration = await register(someInstance(1));
    const [lost] = leases();
    // Without a change of its keys, as when the watch is behind.
    scene.store.leases.delete(lost);
    await scene.until("there is another lease", () => leases().length === 1, 3400);
    await scene.until("it is back", () => values().some((each) => each.startsWith(`${leases()[0]}=`)), 100);
    expect(registration.state).toBe("registered");
  });

  it("comes back at once when its lease is revoked, even if etcd takes renewals of it", async () => {
    const registration = await register(someInstance(1));
    scene.member.areRenewalsLies = true;
    scene.store.revoke(leases()[0]);
    expect(values()).toEqual([]);
    await scene.until("it is back", () => values().length === 1, 100);
    expect(registration.state).toBe("registered");
    await scene.clock.advance(30_000);
    expect(scene.count("grant")).toBe(2);
  });

  it("is found missing after a compaction hid how it went", async () => {
    await register(someInstance(1));
    const [lease] = leases();
    await scene.done(scene.member.stop());
    scene.store.delete(`${service}/${lease}`);
    scene.store.compact();
    await scene.member.start();
    await scene.until("it is back", () => values().length === 1, 10_000);
    expect(leases()).toEqual([lease]);
  });

  it("comes back after the process stood still for two lives of its lease", async () => {
    const registration = await register(someInstance(1));
    const [lease] = leases();
    const before = scene.clock.now();
    scene.store.revoke(lease);
    await scene.until("it is back", () => registration.state === "registered" && values().length === 1, 1000);
    expect(scene.clock.now() - before).toBeLessThanOrEqual(1000);
  });

  it("is brought as it was changed last", async () => {
    const registration = await register(someInstance(1));
    await scene.done(registration.update({ weight: 5, state: "draining" }));
    scene.store.revoke(leases()[0]);
    await scene.until("it is back", () => values().length === 1, 1000);
    expect(scene.keys("bowline/instances/")[0]).toMatch(/"weight":5,"state":"draining"/);
  });
});

describe("a registration and an etcd in trouble", () => {
  it("is pending while etcd can't be reached, says why once, and comes about by itself", async () => {
    await scene.done(scene.member.stop());
    const registration = await register(someInstance(1));
    expect(registration.state).toBe("pending");
    await scene.clock.advance(60_000);
    expect(scene.reports.length).toBe(1);
    expect(scene.reports[0].message).toMatch(/asking for a lease at etcd-1:2379: .*check the options hosts/);
    await scene.member.start();
    await scene.until("it is registered", () => registration.state === "registered", 4000);
  });

  it("keeps its lease over a restart of etcd, and is pending only when the lease may be over", async () => {
    const registration = await register(someInstance(1));
    const [lease] = leases();
    await scene.done(scene.member.stop());
    await scene.clock.advance(8000);
    expect(registration.state).toBe("registered");
    await scene.clock.advance(10_000);
    expect(registration.state).toBe("pending");
    await scene.member.start();
    await scene.until("it is registered", () => registration.state === "registered", 4000);
    expect(leases()).toEqual([lease]);
  });

  it("opens another stream when a renewal is not answered in time", async () => {
    const registration = await register(someInstance(1));
    const silent = Promise.withResolvers<void>();
    scene.member.hooks.renew = () => silent.promise;
    await scene.until("it has opened another", () => scene.count("keepAlive") > 1, 8000);
    scene.member.hooks.renew = undefined;
    silent.resolve();
    await scene.clock.advance(20_000);
    expect([registration.state, leases().length]).toEqual(["registered", 1]);
  });

  it("is closed for good although a put was on its way whose answer never came", async () => {
    const registry = scene.registry();
    const [kept, registration] = [await register(someInstance(1), registry), await register(someInstance(2), registry)];
    const [lease] = leases();
    let late: () => void = () => {};
    scene.member.hooks.txn = () => {
      scene.member.hooks.txn = undefined;
      late = () => {
        scene.store.put(`${service}/${lease}-2`, "10.0.0.2:8080", lease);
      };
      return new Promise(() => {});
    };
    const updating = registration.update({ weight: 7 }).catch(() => {});
    await scene.until("the put is lost", () => scene.count("txn") > 3, 10_000);
    await scene.done(updating);
    await scene.done(registration.close());
    late();
    await scene.until("it is taken out again", () => values().length === 1, 10_000);
    await scene.clock.advance(30_000);
    expect([values(), kept.state]).toEqual([[`${lease}=10.0.0.1:8080`], "registered"]);
  });

  it("that etcd does not take leaves the others alone", async () => {
    const registry = scene.registry();
    scene.member.forbidden = "secret.rpc/";
    const refused = registry.register("secret.rpc", someInstance(1));
    const taken = registry.register(service, someInstance(2));
    await expect(scene.done(refused)).rejects.toThrow(
      /may not write "secret\.rpc\/" and "bowline\/instances\/secret\.rpc\/": grant it, etcdctl role grant-permission/,
    );
    expect((await scene.done(taken)).state).toBe("registered");
  });

  it("tries a change at once, whatever was refused before", async () => {
    const registration = await register(someInstance(1));
    scene.member.forbidden = `${service}/`;
    await expect(scene.done(registration.update({ weight: 2 }))).rejects.toThrow(/may not write/);
    expect(registration.state).toBe("pending");
    scene.member.forbidden = "\uffff";
    const before = scene.clock.now();
    await scene.done(registration.update({ weight: 3 }));
    expect([registration.state, scene.clock.now() - before < 1000]).toEqual(["registered", true]);
  });

  it("is refused with a wrong password, and the message holds none", async () => {
    scene.member.credentials = { user: "a", password: "right" };
    const refused = scene.done(scene.registry({ user: "a", password: "wr0ng" }).register(service, someInstance(1)));
    await expect(refused).rejects.toThrow(/logging in as "a": .*check the options user and password/);
    await expect(refused).rejects.not.toThrow(/wr0ng/);
  });

  it("gets another token when its own is not taken any more", async () => {
    const who = { user: "a", password: "right" };
    scene.member.credentials = who;
    const registration = await register(someInstance(1), scene.registry(who));
    scene.member.tokens.clear();
    await scene.done(registration.update({ weight: 3 }));
    scene.member.tokens.clear();
    scene.member.breakStreams();
    await scene.clock.advance(30_000);
    expect([registration.state, values().length, scene.count("grant")]).toEqual(["registered", 1, 1]);
  });

  it("is not stormed: with no lease to be had the requests of a minute are few", async () => {
    scene.member.hooks.grant = () => {
      throw new RpcError(Code.UNAVAILABLE, "etcdserver: request timed out");
    };
    await register(someInstance(1));
    const before = scene.count("grant");
    await scene.clock.advance(60_000);
    expect(scene.count("grant") - before).toBeLessThan(120);
    scene.member.hooks.grant = undefined;
  });

  it("closes quickly and for good while etcd is away, and its lease ends what is left", async () => {
    const registration = await register(someInstance(1));
    await scene.done(scene.member.stop());
    await expect(scene.done(registration.close())).rejects.toThrow(
      /giving the lease back at etcd-1:2379: .*it goes within 10 s/,
    );
    expect(registration.state).toBe("closed");
    await scene.member.start();
    await scene.until("the lease is given back", () => leases().length === 0, 5000);
  });
});
