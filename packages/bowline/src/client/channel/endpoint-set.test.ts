import { describe, expect, it } from "vitest";
import { answer, ChannelScene, instanceWith } from "../../../test/client/channel-scene.ts";
import { collect } from "../../../test/client/note-service.ts";
import { failure, outcomes } from "../../../test/client/outcomes.ts";
import type { Balancer } from "../../balancer/balancer.ts";
import { p2c } from "../../balancer/p2c.ts";
import { instanceAt } from "../../registry/instance/instance.ts";
import type { Instance } from "../../registry/registry.ts";
import { grpcResponseFields } from "../../testing/raw-frames.ts";
import type { RawPeer } from "../../testing/raw-peer.ts";
import { settle } from "../../testing/virtual-clock.ts";
import type { Endpoint } from "./endpoint.ts";

const A = "10.0.0.1:80";
const B = "10.0.0.2:80";
const C = "10.0.0.3:80";
const D = "10.0.0.4:80";
const E = "10.0.0.5:80";

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

  it("that removes one of five lets its calls end and gives it no more", async () => {
    const { scene, peers } = await connected(A, B, C, D, E);
    await targets(scene, peers, 5);
    await scene.instances(B, C, D, E);
    expect(await targets(scene, peers, 4)).toEqual([B, C, D, E]);
    expect(scene.channel.endpoints.map(({ address }) => address)).toEqual([B, C, D, E]);
    answer(peers[0], 1, "done");
    expect(await peers[0].closed).toBeUndefined();
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

  it("has them replaced when as many others are connected, after a minute", async () => {
    const { scene, peers } = await connected(A, B);
    await scene.instances();
    expect(scene.channel.discovery).toMatchObject({ frozen: true, suspects: 2 });
    expect(scene.refreshes).toBe(1);
    await scene.instances(C, D);
    const others = [await scene.dials[2].serve(), await scene.dials[3].serve()];
    expect(await targets(scene, [...peers, ...others], 4)).toEqual([A, B, C, D]);
    await scene.clock.advance(70_000);
    expect(scene.channel.endpoints.map(({ id }) => id)).toEqual([C, D]);
    expect(scene.channel.discovery).toMatchObject({ frozen: false, suspects: 0 });
  });

  it("is believed when those that are missing are down, once it was confirmed", async () => {
    const { scene, peers } = await connected(A, B);
    await scene.instances();
    for (const peer of peers) peer.destroy();
    await settle();
    for (const dial of scene.dials.slice(2)) dial.refuse();
    await settle();
    expect(scene.channel.endpoints).toHaveLength(2);
    await scene.clock.advance(5000);
    expect(scene.channel.endpoints).toHaveLength(0);
    expect((await failure(scene.call("say", "x"))).text).toBe("notes has no instances");
  });
});

it("tells which calls of an endpoint are streams whose answers have begun", async () => {
  const { scene, peers } = await connected(A);
  const [peer] = peers;
  const words = (): string => scene.channel.describe().split("\n")[1];
  void scene.call("say", "x").catch(() => {});
  for (let i = 0; i < 2; i++) void collect(scene.stream("follow", "x")).catch(() => {});
  await settle();
  expect(words()).toBe(`  ${A}  ready, 3 calls`);
  peer.headers(3, grpcResponseFields());
  await settle();
  expect(words()).toBe(`  ${A}  ready, 3 calls, 1 of them a stream`);
  peer.headers(5, grpcResponseFields());
  await settle();
  expect(words()).toBe(`  ${A}  ready, 3 calls, 2 of them streams`);
});

describe("instances that vanish without a word", () => {
  it("are used for a minute, and say why they are suspected", async () => {
    const { scene, peers } = await connected(A, B);
    await scene.instances(A);
    expect(await targets(scene, peers, 2)).toEqual([A, B]);
    const [a, b] = scene.channel.endpoints;
    expect(a.suspicion).toBeNull();
    expect(b.suspicion).toEqual({ sinceMs: 1000, why: "one of 1 missing of 2" });
    expect(scene.channel.describe().split("\n")).toEqual([
      "notes  ready, live at revision 1; 2 endpoints, 1 suspect",
      `  ${B}  ready, 1 calls, suspect for 0 s: one of 1 missing of 2`,
      `  ${A}  ready, 1 calls`,
    ]);
    await scene.clock.advance(59_999);
    expect(scene.channel.endpoints).toEqual([a, b]);
    await scene.clock.advance(1);
    expect(scene.channel.endpoints).toEqual([a]);
    expect(await targets(scene, peers, 1)).toEqual([A]);
  });

  it("are members as before when they come back", async () => {
    const { scene } = await connected(A, B);
    const [, b] = scene.channel.endpoints;
    await scene.instances(A);
    await scene.instances(A, B);
    expect(scene.channel.endpoints[1]).toBe(b);
    expect(b.suspicion).toBeNull();
    await scene.clock.advance(120_000);
    expect(scene.channel.endpoints).toHaveLength(2);
    expect(scene.dials).toHaveLength(2);
  });

  it("leave as soon as they can't be connected to", async () => {
    const { scene, peers } = await connected(A, B);
    await scene.instances(A);
    peers[1].destroy();
    await settle();
    scene.lastDial.refuse();
    await settle();
    expect(scene.channel.endpoints.map(({ id }) => id)).toEqual([A]);
    await scene.clock.advance(200_000);
    expect(scene.dials).toHaveLength(3);
  });

  it("leave at once when they were down already, or have announced it", async () => {
    const { scene, peers } = await connected(A, B, C);
    peers[1].destroy();
    await settle();
    scene.lastDial.refuse();
    await scene.instances(A, B, { ...instanceAt(C), state: "draining" });
    await scene.instances(A);
    expect(scene.channel.endpoints.map(({ id }) => id)).toEqual([A]);
  });

  it("leave at once when another instance is at their address, or they are at another", async () => {
    const { scene } = await connected({ ...instanceAt(A), id: "one" }, { ...instanceAt(B), id: "two" });
    await scene.instances({ ...instanceAt(A), id: "one again" }, { ...instanceAt(C), id: "two" });
    expect(scene.channel.endpoints.map(({ id }) => id)).toEqual([`one again@${A}`, `two@${C}`]);
    await scene.instances({ ...instanceAt(A), id: "one again" });
    expect(scene.channel.discovery.suspects).toBe(1);
    await scene.instances({ ...instanceAt(A), id: "one again" }, { ...instanceAt(C), id: "two again" });
    expect(scene.channel.endpoints.map(({ id }) => id)).toEqual([`one again@${A}`, `two again@${C}`]);
  });
});

describe("two entries for one endpoint", () => {
  it("are one, and the last of them to go takes it along", async () => {
    const { scene } = await connected(A, B, C, D, E);
    const twin = instanceWith({ weight: 2 });
    const list = [A, B, C, D, E].map((address) => instanceAt(address));
    await scene.list(list);
    await scene.list([...list, twin]);
    expect(scene.channel.endpoints.map(({ weight }) => weight)).toEqual([2, 1, 1, 1, 1]);
    await scene.list(list);
    expect(scene.channel.endpoints.map(({ weight }) => weight)).toEqual([1, 1, 1, 1, 1]);
    await scene.list(list.slice(1));
    expect(scene.channel.endpoints).toHaveLength(4);
  });
});

describe("instances that can't be reached from here", () => {
  it("are left out, counted, and told of once", async () => {
    const scene = new ChannelScene({ choose: ({ id }) => (id === B ? null : id) });
    void scene.channel.connect();
    await scene.instances(A, B);
    expect(scene.channel.endpoints.map(({ id }) => id)).toEqual([A]);
    expect(scene.channel.discovery.skipped).toBe(1);
    await scene.instances(B);
    expect(scene.warnings).toEqual([`notes: no way to ${B}`]);
    await scene.instances(A);
    expect(scene.channel.discovery.skipped).toBe(0);
  });

  it("are what a call that finds nobody else is told of", async () => {
    const scene = new ChannelScene({ choose: () => null });
    const call = scene.call("say", "x");
    await scene.instances(A, B);
    expect((await failure(call)).text).toBe(`none of the 2 instances of notes can be reached: no way to ${A}`);
  });
});

describe("a set of thousands", () => {
  const SIZE = 5000;

  function many(): Instance[] {
    return Array.from({ length: SIZE }, (_, i) => instanceAt(`10.1.${i >> 8}.${i & 255}:80`));
  }

  it("does the work for what has changed only", async () => {
    let visited = 0;
    const choose = ({ id }: Instance): string => {
      visited++;
      return id;
    };
    const scene = new ChannelScene({ choose });
    void scene.channel.connect();
    const list = many();
    await scene.list(list);
    expect(visited).toBe(SIZE);
    const visits: Record<string, number> = {};
    const apply = async (what: string, next: Instance[]): Promise<void> => {
      visited = 0;
      await scene.list(next);
      visits[what] = visited;
    };
    await apply("nothing", [...list]);
    await apply("one weight", list.with(2500, { ...list[2500], weight: 3 }));
    await apply("one less", list.toSpliced(2500, 1));
    await apply("one more", [...list.toSpliced(2500, 1), instanceAt(A)]);
    process.stdout.write(`instances visited of ${SIZE}: ${JSON.stringify(visits)}\n`);
    expect(visits).toEqual({ nothing: 0, "one weight": 2, "one less": 1, "one more": 1 });
    expect(scene.channel.endpoints).toHaveLength(SIZE);
  });

  it("is connected in portions, in an order of its own", async () => {
    const scene = new ChannelScene();
    void scene.channel.connect();
    await scene.list(many());
    expect(scene.dials).toHaveLength(64);
    const inOrder = scene.channel.endpoints.slice(0, 64).map(({ address }) => address);
    expect(scene.dials.map(({ address }) => address)).not.toEqual(inOrder);
    for (const dial of scene.dials.slice(0, 10)) dial.refuse();
    await settle();
    expect(scene.dials).toHaveLength(74);
    await scene.dials[11].serve();
    expect(scene.dials).toHaveLength(75);
    expect(scene.channel.state).toBe("ready");
    await scene.channel.close();
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
