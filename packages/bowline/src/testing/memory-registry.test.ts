import { afterEach, describe, expect, it } from "vitest";
import { registryContract } from "../../../../test/registry/contract.ts";
import { NoteService } from "../../test/client/note-service.ts";
import { failure } from "../../test/client/outcomes.ts";
import { WatchRecorder } from "../../test/watch-recorder.ts";
import { createClient } from "../client/create-client.ts";
import { instanceAt } from "../registry/instance/instance.ts";
import { Code } from "../rpc/code.ts";
import { inMemory } from "./in-memory.ts";
import { memoryRegistry } from "./memory-registry.ts";
import { memoryNetwork } from "./network/memory-network.ts";
import { settle } from "./virtual-clock.ts";

const contractPlace = memoryRegistry();
registryContract("a memory registry", {
  create: (context) => contractPlace.create(context),
  stop: () => contractPlace.fail(),
  start: () => contractPlace.recover(),
});

describe("a memory registry", () => {
  it("refuses an id twice", async () => {
    const place = memoryRegistry();
    await place.create().register("users", instanceAt("a:1"));
    await expect(place.create().register("users", instanceAt("a:1"))).rejects.toThrow(/"a:1".*registered already/);
    expect(place.instances("users").map(({ id }) => id)).toEqual(["a:1"]);
  });

  it("takes instances by hand, in place of those it had", async () => {
    const place = memoryRegistry();
    const seen = new WatchRecorder(place.create(), "users");
    place.set("users", ["a:1", "b:1"]);
    await seen.untilIds("a:1", "b:1");
    place.set("users", ["c:1"]);
    await seen.untilIds("c:1");
    expect(() => place.set("users", ["no port"])).toThrow(/port/);
  });

  it("out of reach takes no update, and makes what was asked for when it recovers, unless that was closed", async () => {
    const place = memoryRegistry();
    const registry = place.create();
    const stays = await registry.register("users", instanceAt("a:1"));
    const goes = await registry.register("users", instanceAt("b:1"));
    place.fail(new Error("no quorum"));
    for (const each of [stays, goes]) await expect(each.update({ weight: 9 })).rejects.toThrow(new Error("no quorum"));
    await goes.close();
    expect(place.instances("users")).toMatchObject([{ id: "a:1", weight: 1 }]);
    place.recover();
    await settle();
    expect(place.instances("users")).toMatchObject([{ id: "a:1", weight: 9 }]);
  });

  it("out of reach tells so once, shows no changes and keeps registrations pending, until it recovers", async () => {
    const place = memoryRegistry();
    const registry = place.create();
    const seen = new WatchRecorder(registry, "users");
    await seen.untilIds();
    place.fail(new Error("no quorum"));
    const registration = await registry.register("users", instanceAt("a:1"));
    seen.watcher.refresh();
    await settle();
    expect([seen.ids, seen.last?.freshness, seen.messages]).toEqual([[], "stale", ["no quorum"]]);
    expect(registration.state).toBe("pending");
    place.recover();
    await seen.untilIds("a:1");
    expect(registration.state).toBe("registered");
  });
});

describe("a memory registry that loses instances", () => {
  it("tells of the others only, until it recovers", async () => {
    const place = memoryRegistry();
    place.set("users", ["a:1", "b:1"]);
    const seen = new WatchRecorder(place.create(), "users");
    await seen.untilIds("a:1", "b:1");
    place.lose("users", ["a:1"]);
    await seen.untilIds("b:1");
    place.lose("users");
    await seen.untilIds();
    expect(place.instances("users")).toHaveLength(2);
    place.recover();
    await seen.untilIds("a:1", "b:1");
  });
});

describe("servers and clients of a memory registry", () => {
  const open: { close(): Promise<void> }[] = [];

  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each.close();
  });

  async function scene() {
    const network = memoryNetwork();
    const registry = memoryRegistry();
    const start = async (address: string) => {
      const say = (): string => address;
      const pair = await inMemory(NoteService, { say }, { network, address, server: { name: "notes", registry } });
      open.push(pair);
      return pair;
    };
    const client = createClient(NoteService, "notes", { network, registry, balancer: "round_robin" });
    open.push(client);
    const seen = async (): Promise<string[]> => {
      const answers: string[] = [];
      for (let i = 0; i < 6; i++) answers.push(await client.say("who?"));
      return [...new Set(answers)].sort();
    };
    return { registry, start, client, seen };
  }

  it("find each other by the name of the service, and see who comes and goes", async () => {
    const { start, seen, registry } = await scene();
    const first = await start("notes:1");
    expect(await seen()).toEqual(["notes:1"]);
    await start("notes:2");
    await settle();
    expect(await seen()).toEqual(["notes:1", "notes:2"]);
    await first.close();
    await settle();
    expect(await seen()).toEqual(["notes:2"]);
    expect(registry.instances("notes")).toHaveLength(1);
  });

  it("go on while it is out of reach, with what they know", async () => {
    const { start, seen, registry } = await scene();
    await start("notes:1");
    expect(await seen()).toEqual(["notes:1"]);
    registry.fail();
    await settle();
    expect(await seen()).toEqual(["notes:1"]);
    const starting = start("notes:2");
    await settle();
    expect(await seen()).toEqual(["notes:1"]);
    registry.recover();
    await starting;
    await settle();
    expect(await seen()).toEqual(["notes:1", "notes:2"]);
  });

  it("say what is missing when nobody is registered", async () => {
    const { client } = await scene();
    const error = await failure(client.say("x"));
    expect(error).toMatchObject({ code: Code.UNAVAILABLE, reason: "no-endpoint" });
  });
});
