import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EtcdScene } from "./etcd-scene.ts";

let scene: EtcdScene;

beforeEach(async () => {
  scene = new EtcdScene();
  await scene.start();
});

afterEach(async () => {
  expect(await scene.close()).toEqual({ violations: [], timers: 0 });
});

describe("the services in etcd", () => {
  it("are found among all keys, page by page, however many instances they have", async () => {
    const keys = Array.from({ length: 2500 }, (_, at) => ({ key: `order.rpc/${at}`, value: "10.0.0.1:80", lease: 0n }));
    scene.store.change(keys, []);
    scene.store.put("user.rpc/1", "10.0.0.2:80");
    scene.store.put("bowline/instances/user.rpc/1", "{}");
    scene.store.put("settings/of/somebody", "1");
    expect(await scene.done(scene.registry().services?.() ?? Promise.reject())).toEqual(["order.rpc", "user.rpc"]);
    expect(scene.count("range")).toBe(3);
  });

  it("are those under the prefix, where there is one", async () => {
    for (const key of ["user.rpc/1", "staging/order.rpc/1", "staging/shop/user/1", "stagingx/a/1"]) {
      scene.store.put(key, "10.0.0.2:80");
    }
    const services = scene.registry({ prefix: "staging/" }).services?.();
    expect(await scene.done(services ?? Promise.reject())).toEqual(["order.rpc", "shop/user"]);
  });

  it("are not told to a user who may not read them, and the error says what was read", async () => {
    scene.member.forbidden = "staging/";
    const services = scene.registry({ prefix: "staging/" }).services?.();
    await expect(scene.done(services ?? Promise.reject())).rejects.toThrow(
      /^etcd registry: listing the keys under "staging\/": etcdserver: permission denied/,
    );
  });
});
