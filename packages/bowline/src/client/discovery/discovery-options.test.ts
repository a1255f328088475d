import { describe, expect, it } from "vitest";
import { NoteService } from "../../../test/client/note-service.ts";
import { instanceAt } from "../../registry/instance/instance.ts";
import type { Registry } from "../../registry/registry.ts";
import type { RegistryContext } from "../../registry/registry-config.ts";
import { seededRandom } from "../../rpc/random.ts";
import { VirtualClock } from "../../testing/virtual-clock.ts";
import type { ClientOptions } from "../client-options.ts";
import { createClient } from "../create-client.ts";
import { channelDiscovery } from "./channel-discovery.ts";
import type { DiscoverySettings } from "./discovery-options.ts";

describe("options of discovery", () => {
  it.each([
    [{ networks: "vpc-a" }, 'networks is "vpc-a": give an array'],
    [{ networks: ["vpc-a", ""] }, 'networks[1] is "": give labels of networks, each once, such as ["vpc-a", "public"]'],
    [{ networks: ["a", "a"] }, 'networks[1] is "a": give labels of networks, each once'],
    [{ rewrite: {} }, "rewrite is an object: give an array"],
    [{ rewrite: [{ from: "10.0.0.0/40", to: "a" }] }, 'rewrite[0].from is "10.0.0.0/40": that is no range'],
    [{ snapshotFolder: "cache" }, 'snapshotFolder is "cache": give an absolute path'],
    [{ snapshotFolder: true }, "snapshotFolder is true: give an absolute path"],
    [{ reconnect: { initialMs: 0 } }, "reconnect.initialMs is 0: give a number of ms from 1 to 600000"],
    [{ reconnect: { jitter: 2 } }, "reconnect.jitter is 2: give a number of parts of the wait from 0 to 1"],
    [{ reconnect: { initialMs: 500, maxMs: 100 } }, "reconnect.maxMs is 100: give initialMs (500) or more"],
    [{ reconnect: { max: 100 } }, "reconnect.max is not an option; did you mean maxMs?"],
  ])("that are wrong are named with what is allowed: %j", (options, text) => {
    expect(() => createClient(NoteService, "a:1", options as ClientOptions)).toThrow(`createClient options.${text}`);
  });

  it("are the same for two clients if their values are: they share a channel", async () => {
    const options = (): ClientOptions => ({
      networks: ["vpc-a"],
      rewrite: [{ from: "a", to: "b" }],
      reconnect: { maxMs: 5000 },
      snapshotFolder: false,
    });
    const [one, two] = [createClient(NoteService, "a:1", options()), createClient(NoteService, "a:1", options())];
    const other = createClient(NoteService, "a:1", { ...options(), networks: ["vpc-b"] });
    expect([one.channel === two.channel, one.channel === other.channel]).toEqual([true, false]);
    await Promise.all([one.close(), two.close(), other.close()]);
  });
});

describe("what a target is looked up with", () => {
  const context: RegistryContext = {
    clock: new VirtualClock(),
    random: seededRandom(1),
    environment: { HOME: "/me" },
  };
  const found = (target: string, registry: Partial<Registry>, settings: DiscoverySettings = {}) =>
    channelDiscovery(target, registry as Registry, settings, context, () => {});

  it.each([
    ["static:///a:1", { name: "static" }, {}, false],
    ["local:///user.rpc", { name: "local" }, { snapshotFolder: "/c" }, false],
    ["dns:///user:80", { name: "dns" }, {}, false],
    ["etcd://a:2379/user.rpc", { name: "etcd" }, {}, true],
    ["etcd://a:2379/user.rpc", { name: "etcd" }, { snapshotFolder: false }, false],
    ["user.rpc", { name: "etcd", place: "a:2379" }, {}, true],
    ["user.rpc", { name: "etcd" }, {}, false],
    ["user.rpc", { name: "etcd" }, { snapshotFolder: "/c" }, true],
    ["user.rpc", { name: "memory" }, {}, false],
    ["user.rpc", { name: "memory" }, { snapshotFolder: "/c" }, true],
  ] as const)("of %s in %j with %j, is kept on disk: %s", (target, registry, settings, isKept) => {
    expect(found(target, registry, settings).disk !== null).toBe(isKept);
  });

  it("may be waited for unless it is at hand", () => {
    const waits = (name: string): boolean => found("user.rpc", { name }).waitsForRegistry;
    expect(["static", "dns", "local", "memory", "etcd", "merged"].map(waits)).toEqual([
      false,
      false,
      false,
      true,
      true,
      true,
    ]);
  });

  it("chooses and rewrites addresses", () => {
    const { choose, whyNone } = found(
      "user.rpc",
      { name: "etcd" },
      { networks: ["vpc-a"], rewrite: [{ from: "10.0.0.7", to: "b", target: "user.rpc" }] },
    );
    const addresses = [{ address: "10.0.0.7:80", network: "vpc-a" }];
    expect(choose({ ...instanceAt("x:1"), addresses })).toBe("b:80");
    const elsewhere = { ...instanceAt("x:1"), addresses: [{ address: "a:1", network: "vpc-b" }] };
    expect(choose(elsewhere)).toBeNull();
    expect(whyNone(elsewhere)).toContain("in the networks vpc-b, and this client is in vpc-a");
  });
});
