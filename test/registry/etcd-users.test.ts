import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EtcdScene } from "./etcd-scene.ts";

let scene: EtcdScene;
const service = "user.rpc";
const put = (suffix: string, value: string): void => scene.store.put(`${service}/${suffix}`, value);

async function open(members: number = 1): Promise<void> {
  scene = new EtcdScene(members);
  await scene.start();
}

beforeEach(() => open());

afterEach(async () => {
  expect(await scene.close()).toEqual({ violations: [], timers: 0 });
});

describe("users of etcd", () => {
  const who = { user: "reader", password: "s3cret" };

  it("that is wrong about the password hears it in one clear error that holds no password", async () => {
    scene.member.credentials = who;
    const seen = scene.watch(scene.registry({ ...who, password: "wr0ng" }));
    await scene.until("it fails", () => seen.failures.length > 0);
    await scene.clock.advance(60_000);
    expect(seen.messages).toEqual([
      'etcd registry: logging in as "reader": etcdserver: authentication failed, invalid user ID or password (check the options user and password)',
    ]);
    expect(scene.count("authenticate")).toBeLessThan(20);
  });

  it("are asked for where none is given", async () => {
    scene.member.credentials = who;
    const seen = scene.watch(scene.registry());
    await scene.until("it fails", () => seen.failures.length > 0);
    expect(seen.messages[0]).toMatch(/this etcd wants a user: set the options user and password/);
  });

  it("may come from the environment", async () => {
    scene.member.credentials = who;
    put("1", "10.0.0.1:80");
    const environment = { BOWLINE_ETCD_USER: who.user, BOWLINE_ETCD_PASSWORD: who.password };
    await scene.knows(scene.watch(scene.registry({}, environment)), "10.0.0.1:80");
  });

  it("do no harm to an etcd without users", async () => {
    put("1", "10.0.0.1:80");
    await scene.knows(scene.watch(scene.registry(who)), "10.0.0.1:80");
  });

  it("get another token when theirs is not taken any more", async () => {
    scene.member.credentials = who;
    put("1", "10.0.0.1:80");
    const seen = scene.watch(scene.registry(who));
    await scene.knows(seen, "10.0.0.1:80");
    await scene.clock.advance(5000);
    scene.member.tokens.clear();
    scene.member.breakStreams();
    put("2", "10.0.0.2:80");
    await scene.knows(seen, "10.0.0.1:80", "10.0.0.2:80");
    expect(scene.count("authenticate")).toBe(2);
    expect(seen.failures).toEqual([]);
  });

  it("without the right to read hear which right is missing, and read as soon as they have it", async () => {
    put("1", "10.0.0.1:80");
    scene.member.forbidden = `bowline/instances/${service}/`;
    const registry = scene.registry();
    const seen = scene.watch(registry);
    const other = scene.watch(registry, "order.rpc");
    await scene.until("it fails", () => seen.failures.length > 0);
    expect(seen.messages[0]).toMatch(
      /may not read the keys of "user\.rpc\/" and "bowline.*grant-permission.*metadata: false/,
    );
    await scene.knows(other);
    expect(other.failures).toEqual([]);
    await scene.knows(scene.watch(scene.registry({ metadata: false })), "10.0.0.1:80");
    scene.member.forbidden = "\uffff";
    await scene.knows(seen, "10.0.0.1:80");
  });
});
