import { expect, it } from "vitest";
import { answer, ChannelScene } from "../../../test/client/channel-scene.ts";
import { useScene } from "../../../test/client/client-scene.ts";
import { NoteService } from "../../../test/client/note-service.ts";
import { failure } from "../../../test/client/outcomes.ts";
import { MemoryFileSystem } from "../../../test/memory-file-system.ts";
import { silentLogger } from "../../observe/logger.ts";
import { instanceAt } from "../../registry/instance/instance.ts";
import type { WatchHandler } from "../../registry/registry.ts";
import { Code } from "../../rpc/code.ts";
import { seededRandom } from "../../rpc/random.ts";
import { settle, VirtualClock } from "../../testing/virtual-clock.ts";
import { createClient } from "../create-client.ts";
import { SnapshotStore } from "./snapshot-store.ts";

const scene = useScene();

it.each([
  ["etcd:///x", /lacks the name of the service\. Correct: "etcd:\/\//],
  ["etcd://127.0.0.1:1/x?usr=a", /"usr" is no setting of etcd; known are key, user, prefix, tls/],
  ["discov://127.0.0.1:1/x?usr=a", /"usr" is no setting of discov/],
  ["consul://127.0.0.1:1/x?tagg=a", /"tagg" is no setting of consul/],
  ["nacos://127.0.0.1:1/x?groop=a", /"groop" is no setting of nacos/],
  ["eureka://127.0.0.1:1/x?foo=1", /"foo" is no setting of eureka/],
  ["k8s://shop/x?dc=1", /"dc" is no setting of k8s/],
])("calls of %s fail at once with what its adapter finds wrong, the second like the first", async (target, why) => {
  const client = scene.client(target, { timeoutMs: 0, logger: silentLogger, snapshotFolder: false });
  for (let call = 1; call <= 2; call++) {
    const error = await failure(client.say("x"));
    expect([error.code, error.reason, error.sent]).toEqual([Code.UNAVAILABLE, "no-endpoint", false]);
    expect(error.text).toContain("can't be looked up: target ");
    expect(error.text).toMatch(why);
  }
  expect(client.channel.discovery).toMatchObject({ unusable: true, freshness: "none" });
});

it("so do those of a registry that refuses the watch", async () => {
  const registry = {
    name: "mine",
    register: () => Promise.reject(new Error("no")),
    watch: () => {
      throw new TypeError("mine: no such name");
    },
    close: async () => {},
  };
  const client = createClient(NoteService, "user", { registry, timeoutMs: 0, logger: silentLogger });
  expect((await failure(client.say("x"))).text).toBe("user can't be looked up: mine: no such name");
  await client.close();
});

/** A scene whose registry is the returned handler's caller. */
function watched(options: ConstructorParameters<typeof ChannelScene>[0] = {}): [ChannelScene, () => WatchHandler] {
  let handler: WatchHandler | undefined;
  const watch = (given: WatchHandler): { refresh(): void; close(): void } => {
    handler = given;
    return { refresh() {}, close() {} };
  };
  return [new ChannelScene({ watch, waitsForRegistry: true, ...options }), () => handler as WatchHandler];
}

it("a registry that answers after all makes the target usable", async () => {
  const [{ channel }, handler] = watched();
  const waiting = channel.connect();
  handler().failed(new Error("no cluster"), true);
  expect([channel.state, channel.discovery.unusable]).toEqual(["transient-failure", true]);
  handler().failed(new Error("the cluster is away"));
  expect(channel.discovery.unusable).toBe(false);
  handler().snapshot({ instances: [instanceAt("a:1")], revision: 1, freshness: "live" });
  expect(channel.state).toBe("connecting");
  await channel.close();
  await expect(waiting).rejects.toThrow(/closed/);
});

it("what is on disk stands in for a target that can't be looked up", async () => {
  const clock = new VirtualClock();
  const files = new MemoryFileSystem(() => clock.now());
  const common = { files, clock, random: seededRandom(3), folder: "/c", source: "notes", warn: () => {} };
  const before = new SnapshotStore(common);
  before.keep([instanceAt("10.0.0.1:80")]);
  await before.close();
  const [known, handler] = watched({ disk: new SnapshotStore(common) });
  const call = known.call("say", "x", { timeoutMs: 0 });
  handler().failed(new Error("no cluster"), true);
  await settle();
  expect(known.channel.discovery).toMatchObject({ freshness: "disk", unusable: false });
  answer(await known.lastDial.serve(), 1, "x");
  expect(await call).toBe("x");
  expect(known.warnings).toEqual(["no cluster"]);
});

it("an empty disk does not", async () => {
  const clock = new VirtualClock();
  const files = new MemoryFileSystem(() => clock.now());
  const disk = new SnapshotStore({
    files,
    clock,
    random: seededRandom(3),
    folder: "/c",
    source: "notes",
    warn: () => {},
  });
  const [empty, handler] = watched({ disk });
  const call = empty.call("say", "x", { timeoutMs: 0 });
  handler().failed(new Error("no cluster"), true);
  expect((await failure(call)).text).toBe("notes can't be looked up: no cluster");
});
