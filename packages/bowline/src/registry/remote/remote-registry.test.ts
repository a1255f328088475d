import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../testing/virtual-clock.ts";
import { instanceAt } from "../instance/instance.ts";
import { type RemoteProduct, RemoteRegistry } from "./remote-registry.ts";

const PROGRAM = join(import.meta.dirname, "../../../test/registry-close-process.ts");

describe("a registry whose servers never answer", () => {
  it("is closed after 10 s, and nothing is tried any more", async () => {
    const clock = new VirtualClock();
    const done: string[] = [];
    const never = (what: string) => async (): Promise<never> => {
      done.push(what);
      return new Promise(() => {});
    };
    const product: RemoteProduct = {
      name: "silent",
      place: "",
      renewMs: 5000,
      expiryMs: 30_000,
      isFinal: () => false,
      entry: () => ({ put: async () => void done.push("put"), renew: never("renew"), remove: never("remove") }),
      watch: () => ({ refresh: () => {}, close: () => {} }),
      services: async () => [],
      reachedFrom: async () => null,
      release: () => void done.push("release"),
    };
    const registry = new RemoteRegistry(product, { clock, random: () => 0.5, environment: {} });
    await registry.register("user.rpc", instanceAt("10.0.0.7:8080"));
    const closed = registry.close();
    await clock.advance(9999);
    expect(done).toEqual(["put", "remove"]);
    await clock.advance(1);
    await closed;
    expect(done).toEqual(["put", "remove", "release"]);
    expect(clock.pending).toBe(0);
  });
});

describe("a registry whose servers are gone", () => {
  it.each(["consul", "etcd", "eureka", "nacos"])(
    "closes in time, and the process lives until then: %s",
    async (name) => {
      const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, name]);
      const [registered, closed] = stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
      expect(registered).toEqual({ state: "pending" });
      expect(closed.closedAfterMs).toBeLessThan(8000);
    },
  );
});
