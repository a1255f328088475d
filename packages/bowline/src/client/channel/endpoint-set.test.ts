import { describe, expect, it } from "vitest";
import { answer, ChannelScene, instanceWith } from "../../../test/client/channel-scene.ts";
import { failure, outcomes } from "../../../test/client/outcomes.ts";
import type { Balancer } from "../../balancer/balancer.ts";
import { p2c } from "../../balancer/p2c.ts";
import { instanceAt } from "../../registry/instance/instance.ts";
import type { Instance } from "../../registry/registry.ts";
import type { RawPeer } from "../../testing/raw-peer.ts";
import { settle } from "../../testing/virtual-clock.ts";
import type { Endpoint } from "./endpoint.ts";

const A = "10.0.0.1:80";
const B = "10.0.0.2:80";
const C = "10.0.0.3:80";

/** A scene whose instances are connected, with their servers in order. */
async function connected(...instances: (string | Partial<Instance>)[]) {
  const scene = new ChannelScene();
  void scene.channel.connect().catch(() => {});
  await scene.instances(...instances);
  const peers: RawPeer[] = [];
  for (const dial of scene.dials) peers.push(await dial.serve());
  return { scene, peers };
}

/** Addresses of the endpoints that `count` calls go to. */
async function targets(scene: ChannelScene, peers: readonly RawPeer[], count: number): Promise<string[]> {
  const before = peers.map((peer) => peer.received.length);
  for (let i = 0; i < count; i++) scene.call("say", "x").catch(() => {});
  await settle();
  return peers.flatMap((peer, i) =>
    peer.received
      .slice(before[i])
      .filter(({ type }) => type === "HEADERS")
      .map(() => scene.dials[i].address),
  );
}

describe("a snapshot", () => {
  it("that says the same again changes nothing", async () => {
    const updates: number[] = [];
    const inner = p2c<Endpoint>({ clock: { now: () => 0 } as never });
    const balancer: Balancer<Endpoint> = {
      name: "counting",
      update: (all) => {
        updates.push(all.length);
        inner.update(all);
      },
      pick: (avoid) => inner.pick(avoid),
      done: (...outcome) => inner.done(...outcome),
    };
    const scene = new ChannelScene({ balancer });
    void scene.channel.connect();
    await scene.instances(A, B);
    const [a, b] = scene.channel.endpoints;
    const { state } = a;
    await scene.instances(A, B);
    await scene.instances(B, A);
    expect(scene.channel.endpoints).toEqual([a, b]);
    expect(a.state).toBe(state);
    expect(scene.dials).toHaveLength(2);
    expect(updates).toEqual([2]);
  });

  it("that adds one connects it and keeps the others", async () => {
    const { scene, peers } = await connected(A);
    const [a] = scene.channel.endpoints;
    await scene.instances(A, B);
    expect(scene.channel.endpoints[0]).toBe(a);
    peers.push(await scene.lastDial.serve());
    expect(await targets(scene, peers, 2)).toEqual([A, B]);
  });

  it("that removes one lets its calls end and gives it no more", async () => {
    const { scene, peers } = await connected(A, B);
    expect(await targets(scene, peers, 2)).toEqual([A, B]);
    const call = scene.call("say", "last");
    await settle();
    const stays = peers[0].received.filter(({ type }) => type === "HEADERS").length === 2 ? 1 : 0;
    await scene.instances(scene.dials[stays].address);
    expect(await targets(scene, peers, 3)).toEqual(Array(3).fill(scene.dials[stays].address));
    answer(peers[1 - stays], 3, "done");
    expect(await call).toBe("done");
    answer(peers[1 - stays], 1, "done too");
    expect(await peers[1 - stays].closed).toBeUndefined();
  });

  it("changes weights in place", async () => {
    const { scene, peers } = await connected(A, B);
    const [a] = scene.channel.endpoints;
    await scene.instances(instanceWith({ id: A, weight: 0 }), B);
    expect(scene.channel.endpoints[0]).toBe(a);
    expect(a.weight).toBe(0);
    expect(await targets(scene, peers, 3)).toEqual([B, B, B]);
    await scene.instances(A, B);
    expect(await targets(scene, peers, 2)).toEqual([A, B]);
  });

  it("tells two instances at one address apart", async () => {
    const { scene } = await connected({ id: "one" }, { id: "two" });
    expect(scene.channel.endpoints.map(({ id }) => id)).toEqual([`one@${A}`, `two@${A}`]);
  });

  it("takes one of several addresses, and none is no endpoint", async () => {
    const { scene } = await connected(
      { id: "one", addresses: [...instanceAt(B).addresses, ...instanceAt(A).addresses] },
      { id: "none", addresses: [] },
    );
    expect(scene.dials.map(({ address }) => address)).toEqual([B]);
  });
});

describe("draining instances", () => {
  it("get no calls while another one is connected", async () => {
    const { scene, peers } = await connected(A, B);
    await scene.instances(instanceWith({ id: A, state: "draining" }), B);
    expect(await targets(scene, peers, 3)).toEqual([B, B, B]);
  });

  it("get them while the others are not to be reached", async () => {
    const { scene, peers } = await connected(A, B);
    await scene.instances(instanceWith({ id: A, state: "draining" }), B);
    peers[1].destroy();
    await settle();
    expect(await targets(scene, peers, 2)).toEqual([A, A]);
    await scene.lastDial.serve();
    expect(await targets(scene, peers, 2)).toEqual([]);
  });

  it("get them when all are draining", async () => {
    const { scene, peers } = await connected(A, B);
    await scene.instances(
      instanceWith({ id: A, state: "draining" }),
      instanceWith({ ...instanceAt(B), state: "draining" }),
    );
    expect(await targets(scene, peers, 2)).toEqual([A, B]);
  });
});

describe("a registry that suddenly knows nobody", () => {
  it("is not believed: the last known instances stay", async () => {
    const { scene, peers } = await connected(A, B);
    await scene.instances();
    expect(scene.channel.state).toBe("ready");
    expect(await targets(scene, peers, 2)).toEqual([A, B]);
  });

  it("is believed about those that have announced their end", async () => {
    const { scene } = await connected(A);
    await scene.instances(instanceWith({ id: A, state: "draining" }));
    await scene.instances();
    expect(scene.channel.state).toBe("transient-failure");
    const error = await failure(scene.call("say", "x"));
    expect(error).toMatchObject({ reason: "no-endpoint", sent: false, attempt: 0 });
    expect(error.message).toBe("[UNAVAILABLE] notes has no instances");
  });

  it("has them replaced as soon as it knows somebody", async () => {
    const { scene, peers } = await connected(A, B);
    await scene.instances();
    await scene.instances(C);
    expect(scene.channel.endpoints.map(({ id }) => id)).toEqual([C]);
    await Promise.all(peers.map((peer) => peer.closed));
  });
});

describe("a set without anybody to call", () => {
  it("makes calls fail, and wait again when instances appear", async () => {
    const scene = new ChannelScene();
    void scene.channel.connect();
    await scene.instances();
    expect((await failure(scene.call("say", "x"))).reason).toBe("no-endpoint");
    await scene.instances(A);
    expect(scene.channel.state).toBe("connecting");
    const call = scene.call("say", "x");
    const peer = await scene.lastDial.serve();
    answer(peer, 1, "x");
    expect(await call).toBe("x");
  });

  it("says so when all weights are 0, and connects to nobody", async () => {
    const scene = new ChannelScene();
    void scene.channel.connect();
    await scene.instances(instanceWith({ weight: 0 }));
    expect(scene.dials).toHaveLength(0);
    expect((await failure(scene.call("say", "x"))).text).toBe("all instances of notes have the weight 0");
    await scene.instances(instanceWith({ weight: 1 }));
    expect(scene.dials).toHaveLength(1);
  });
});

describe("three endpoints by turns", () => {
  it("get the same number of calls", async () => {
    const { scene, peers } = await connected(A, B, C);
    const all = await targets(scene, peers, 30);
    expect([A, B, C].map((address) => all.filter((each) => each === address).length)).toEqual([10, 10, 10]);
  });

  it("leave one out that is gone, without a failed call", async () => {
    const { scene, peers } = await connected(A, B, C);
    peers[1].goaway(0, 0);
    await settle();
    const calls = Array.from({ length: 4 }, (_, i) => scene.call("say", `${i}`));
    await settle();
    for (const peer of [peers[0], peers[2]]) for (const id of [1, 3]) answer(peer, id, "ok");
    expect(await outcomes(calls)).toEqual(Array(4).fill("ok"));
  });
});
