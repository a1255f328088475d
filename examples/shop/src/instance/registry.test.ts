import { describe, expect, it } from "vitest";
import { openRegistry } from "./registry.ts";

describe("the registry of a shop", () => {
  it.each([
    ["local", "local"],
    ["etcd://127.0.0.1:2379,127.0.0.1:2479", "etcd"],
    ["consul://127.0.0.1:8500", "consul"],
    ["nacos://127.0.0.1:8848", "nacos"],
    ["eureka://127.0.0.1:8761", "eureka"],
  ])("%s is found", async (name, product) => {
    expect((await openRegistry(name, "shop")).name).toBe(product);
  });

  it.each(["", "etcd", "etcd://", "etcd://127.0.0.1:2379/shop", "zookeeper://127.0.0.1:2181", "constructor://a:1"])(
    "%j is refused, with what may be given",
    async (name) => {
      await expect(openRegistry(name, "shop")).rejects.toThrow(
        `--registry is ${JSON.stringify(name)}: give local, or etcd://, consul://, nacos:// or eureka:// with host:port`,
      );
    },
  );
});
