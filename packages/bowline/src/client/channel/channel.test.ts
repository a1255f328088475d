import { describe, expect, it } from "vitest";
import { answer, ChannelScene, endWith } from "../../../test/client/channel-scene.ts";
import { failure, outcomes } from "../../../test/client/outcomes.ts";
import type { Balancer } from "../../balancer/balancer.ts";
import { Code } from "../../rpc/code.ts";
import { RpcError } from "../../rpc/rpc-error.ts";
import { RawSetting } from "../../testing/raw-frames.ts";
import { settle } from "../../testing/virtual-clock.ts";
import type { Endpoint } from "./endpoint.ts";
import { guardBalancer } from "./own-balancer.ts";

const A = "10.0.0.1:80";
const B = "10.0.0.2:80";

describe("a channel", () => {
  it("connects with the first call, not before", async () => {
    const scene = new ChannelScene();
    await settle();
    expect([scene.watches, scene.dials.length, scene.channel.state]).toEqual([0, 0, "idle"]);
    const call = scene.call("say", "x");
    expect(scene.watches).toBe(1);
    await scene.instances(A);
    answer(await scene.lastDial.serve(), 1, "x");
    expect(await call).toBe("x");
    expect(scene.states).toEqual(["connecting", "ready"]);
  });

  it("connects when told to, and says when it is done", async () => {
    const scene = new ChannelScene();
    const connected = scene.channel.connect();
    await scene.instances(A);
    scene.lastDial.refuse();
    await settle();
    expect(scene.channel.state).toBe("transient-failure");
    await scene.clock.advance(1200);
    await scene.lastDial.serve();
    await connected;
    expect(scene.states).toEqual(["connecting", "transient-failure", "ready"]);
  });

  it("stops waiting for a connection when the signal says so, and goes on connecting", async () => {
    const scene = new ChannelScene();
    const controller = new AbortController();
    const connected = scene.channel.connect(controller.signal);
    await scene.instances(A);
    controller.abort();
    expect((await failure(connected)).code).toBe(Code.CANCELLED);
    await scene.lastDial.serve();
    expect(scene.channel.state).toBe("ready");
  });

  it("takes calls that came while it connected in their order", async () => {
    const scene = new ChannelScene();
    const calls = ["a", "b", "c"].map((text) => scene.call("say", text));
    await scene.instances(A);
    const peer = await scene.lastDial.serve();
    for (const id of [1, 3, 5]) answer(peer, id, `${id}`);
    expect(await outcomes(calls)).toEqual(["1", "3", "5"]);
  });

  it("is not stopped by what a listener throws", async () => {
    const scene = new ChannelScene();
    const thrown = new Promise((resolve) => process.setUncaughtExceptionCaptureCallback(resolve));
    const stop = scene.channel.onState(() => {
      stop();
      throw new Error("a listener's");
    });
    const connected = scene.connected();
    expect(await thrown).toMatchObject({ message: "a listener's" });
    process.setUncaughtExceptionCaptureCallback(null);
    await connected;
    expect(scene.channel.state).toBe("ready");
  });
});

describe("a target that can't be reached", () => {
  it("fails calls at once, with what went wrong", async () => {
    const scene = new ChannelScene();
    const waiting = scene.call("say", "x");
    await scene.instances(A);
    scene.lastDial.refuse();
    const error = await failure(waiting);
    expect(error).toMatchObject({ code: Code.UNAVAILABLE, reason: "connection", sent: false, attempt: 0 });
    expect(error).toMatchObject({ method: "/note.v1.Notes/Say", instance: undefined, origin: "local" });
    expect(error.text).toBe(`no connection to notes: cannot connect to ${A}: refused`);
    expect(error.cause).toMatchObject({ message: `cannot connect to ${A}: refused` });
    expect((await failure(scene.call("say", "y"))).text).toBe(error.text);
  });

  it("keeps failing them while it is tried again, until that succeeds", async () => {
    const scene = new ChannelScene();
    void scene.channel.connect();
    await scene.instances(A);
    scene.lastDial.refuse();
    await scene.clock.advance(1200);
    expect(scene.dials).toHaveLength(2);
    expect((await failure(scene.call("say", "x"))).code).toBe(Code.UNAVAILABLE);
  });

  it("lets calls wait that want to, until their deadline", async () => {
    const scene = new ChannelScene();
    const served = scene.call("say", "x", { waitForReady: true, timeoutMs: 10_000 });
    const late = failure(scene.call("say", "x", { waitForReady: true, timeoutMs: 500 }));
    await scene.instances(A);
    scene.lastDial.refuse();
    await scene.clock.advance(1200);
    const error = await late;
    expect(error).toMatchObject({ code: Code.DEADLINE_EXCEEDED, reason: "deadline", sent: false });
    expect(error.text).toBe(`deadline of 500 ms exceeded: no connection to notes: cannot connect to ${A}: refused`);
    answer(await scene.lastDial.serve(), 1, "x");
    expect(await served).toBe("x");
  });

  it("says that it is not resolved while the registry fails", async () => {
    const scene = new ChannelScene();
    const call = scene.call("say", "x");
    await scene.registryFails("etcd is down");
    const error = await failure(call);
    expect(error).toMatchObject({ code: Code.UNAVAILABLE, reason: "no-endpoint" });
    expect(error.text).toBe("notes is not resolved yet: etcd is down");
    expect(error.cause).toMatchObject({ message: "etcd is down" });
  });

  it("is reached all the same when the registry fails later", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    await scene.registryFails("etcd is down");
    const call = scene.call("say", "x");
    await settle();
    answer(peer, 1, "x");
    expect(await call).toBe("x");
  });

  it("fails calls when the registry can't be watched at all", async () => {
    const scene = new ChannelScene({
      watch: () => {
        throw new Error("registry: closed");
      },
    });
    expect((await failure(scene.call("say", "x"))).text).toBe("notes can't be looked up: registry: closed");
  });
});

describe("the queue", () => {
  it("has a bound, and forgets calls that end", async () => {
    const scene = new ChannelScene({ maxWaitingCalls: 2 });
    const controller = new AbortController();
    const first = failure(scene.call("say", "1", { signal: controller.signal }));
    const second = scene.call("say", "2");
    const third = await failure(scene.call("say", "3"));
    expect(third).toMatchObject({ code: Code.RESOURCE_EXHAUSTED, reason: "limit", sent: false });
    expect(third.text).toBe("2 calls wait for notes already (maxWaitingCalls)");
    controller.abort();
    expect((await first).code).toBe(Code.CANCELLED);
    const fourth = scene.call("say", "4");
    await scene.instances(A);
    const peer = await scene.lastDial.serve();
    answer(peer, 1, "second");
    answer(peer, 3, "fourth");
    expect(await outcomes([second, fourth])).toEqual(["second", "fourth"]);
  });

  it("of 100,000 calls is served and refused in linear time", async () => {
    const scene = new ChannelScene({ maxWaitingCalls: 100_000 });
    const calls = Array.from({ length: 120_000 }, (_, i) => scene.call("say", `${i}`).catch((error) => error.code));
    expect(scene.channel.waitingCount).toBe(100_000);
    void scene.channel.close();
    const codes = await Promise.all(calls);
    expect(codes.filter((code) => code === Code.RESOURCE_EXHAUSTED)).toHaveLength(20_000);
    expect(codes.filter((code) => code === Code.CANCELLED)).toHaveLength(100_000);
    // Were each call sought in the queue to leave it, this would take many minutes and not end in time.
  }, 60_000);

  it("does not send a call whose time is over", async () => {
    const scene = new ChannelScene();
    const call = failure(scene.call("say", "x", { timeoutMs: 7 }));
    await scene.instances(A);
    const peer = scene.lastDial.accept();
    // The wheel looks every 5 ms: the 8th millisecond is after the deadline and before the look.
    await scene.clock.advance(8);
    peer.settings();
    await settle();
    expect((await call).code).toBe(Code.DEADLINE_EXCEEDED);
    expect(peer.received.some(({ type }) => type === "HEADERS")).toBe(false);
  });
});

describe("closing", () => {
  it("ends calls that run, wait and sleep, each once", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected([[RawSetting.MAX_CONCURRENT_STREAMS, 1]]);
    const sleeping = scene.call("read", "sleeps");
    await settle();
    endWith(peer, 1, Code.UNAVAILABLE, [["grpc-retry-pushback-ms", "1500"]]);
    await settle();
    const running = scene.call("read", "runs");
    const waiting = scene.call("say", "waits");
    await settle();
    expect([scene.channel.sleepingCount, scene.channel.waitingCount]).toEqual([1, 1]);
    void scene.channel.close();
    const text = "[CANCELLED] the channel to notes is closed";
    expect(await outcomes([sleeping, running, waiting])).toEqual([text, text, text]);
    expect(await failure(running)).toMatchObject({ reason: "closed", sent: true });
    expect(await failure(waiting)).toMatchObject({ reason: "closed", sent: false });
    expect(await failure(scene.call("say", "late"))).toMatchObject({ reason: "closed", sent: false });
    expect(await peer.closed).toBeUndefined();
    expect(scene.channel.stats.map(({ inFlight }) => inFlight)).toEqual([0, 0]);
  });

  it("lets go of registry and timers, and may be repeated", async () => {
    const scene = new ChannelScene({ idleTimeoutMs: 60_000 });
    void scene.channel.connect().catch(() => {});
    await scene.instances(A, B);
    scene.dials[0].refuse();
    await settle();
    void scene.channel.close();
    void scene.channel.close();
    expect([scene.watches, scene.releases]).toEqual([0, 1]);
    await scene.clock.advance(100);
    expect(scene.clock.pending).toBe(0);
    await scene.instances(A);
    expect(scene.channel.endpoints).toEqual([]);
  });

  it("ends the calls of endpoints that were removed before", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const call = failure(scene.call("say", "x"));
    await settle();
    await scene.instances(B);
    void scene.channel.close();
    expect((await call).reason).toBe("closed");
    expect(await peer.closed).toBeUndefined();
  });
});

describe("idleness", () => {
  it("closes connections and stops watching; the next call wakes it", async () => {
    const scene = new ChannelScene({ idleTimeoutMs: 10_000 });
    const peer = await scene.connected();
    await scene.clock.advance(15_000);
    expect(scene.channel.state).toBe("idle");
    expect(await peer.closed).toBeUndefined();
    expect([scene.watches, scene.clock.pending]).toEqual([0, 0]);
    const call = scene.call("say", "x");
    await scene.instances(A);
    answer(await scene.lastDial.serve(), 1, "x");
    expect(await call).toBe("x");
  });

  it("does not come while a call runs", async () => {
    const scene = new ChannelScene({ idleTimeoutMs: 10_000 });
    const peer = await scene.connected();
    const call = scene.call("say", "x", { timeoutMs: 100_000 });
    await scene.clock.advance(30_000);
    expect(scene.channel.state).toBe("ready");
    answer(peer, 1, "x");
    expect(await call).toBe("x");
  });

  it("counts from the last call", async () => {
    const scene = new ChannelScene({ idleTimeoutMs: 10_000 });
    const peer = await scene.connected();
    for (let i = 0; i < 4; i++) {
      const call = scene.call("say", "x");
      await settle();
      answer(peer, 2 * i + 1, "x");
      await call;
      await scene.clock.advance(8000);
    }
    expect(scene.channel.state).toBe("ready");
  });

  it("ends attempts to connect that nobody needs", async () => {
    const scene = new ChannelScene({ idleTimeoutMs: 10_000 });
    const controller = new AbortController();
    void scene.channel.connect(controller.signal).catch(() => {});
    await scene.instances(A);
    scene.lastDial.refuse();
    controller.abort();
    await scene.clock.advance(15_000);
    expect([scene.channel.state, scene.clock.pending]).toEqual(["idle", 0]);
  });

  it("does not make a call fail because instances of a time before are gone", async () => {
    const scene = new ChannelScene({ idleTimeoutMs: 10_000 });
    await scene.connected();
    await scene.clock.advance(15_000);
    const call = scene.call("say", "x");
    expect(scene.lastDial.address).toBe(A);
    scene.lastDial.refuse();
    await settle();
    expect(scene.channel.state).toBe("connecting");
    await scene.instances(B);
    answer(await scene.lastDial.serve(), 1, "x");
    expect(await call).toBe("x");
  });
});

describe("a balancer of one's own", () => {
  const first = (own: Partial<Balancer<Endpoint>>): Balancer<Endpoint> => {
    let all: readonly Endpoint[] = [];
    return guardBalancer({
      name: "first",
      update: (candidates) => {
        all = candidates;
      },
      pick: () => all.find((each) => each.isReady) ?? null,
      done: () => {},
      ...own,
    });
  };

  it("chooses, and hears of each outcome", async () => {
    const heard: unknown[] = [];
    const done = (endpoint: Endpoint, result: string): void => void heard.push([endpoint.id, result]);
    const scene = new ChannelScene({ balancer: first({ done }) });
    const peer = await scene.connected();
    const calls = ["a", "b"].map((text) => scene.call("say", text));
    await settle();
    answer(peer, 1, "a");
    endWith(peer, 3, Code.UNAVAILABLE);
    expect(await outcomes(calls)).toEqual(["a", "[UNAVAILABLE] "]);
    expect(heard).toEqual([
      [A, "ok"],
      [A, "failed"],
    ]);
  });

  it("that throws ends a call and nothing else", async () => {
    let isBad = true;
    const done = (): void => {
      if (isBad) throw new Error("not done");
    };
    const scene = new ChannelScene({ balancer: first({ done }) });
    const peer = await scene.connected();
    const call = scene.call("say", "a");
    await settle();
    answer(peer, 1, "a");
    expect(await call).toBe("a");
    const error = await failure(scene.call("say", "b"));
    expect(error.message).toBe("[INTERNAL] the balancer first threw in done: not done");
    expect(error.sent).toBe(false);
    isBad = false;
    const next = scene.call("say", "c");
    await settle();
    answer(peer, 3, "c");
    expect(await next).toBe("c");
  });

  it("that throws while calls wait ends those", async () => {
    const pick = (): never => {
      throw new RpcError(Code.PERMISSION_DENIED, "not for you");
    };
    const scene = new ChannelScene({ balancer: first({ pick }) });
    const error = await failure(scene.call("say", "a"));
    expect(error.message).toBe("[INTERNAL] the balancer first threw in pick: [PERMISSION_DENIED] not for you");
  });

  it("may not pick what is not ready", async () => {
    const scene = new ChannelScene({ balancer: first({ pick: () => ({ isReady: false }) as Endpoint }) });
    expect((await failure(scene.call("say", "a"))).text).toContain("it must look at isReady");
  });

  it("must be one", () => {
    expect(() => guardBalancer({ name: "half", pick: () => null } as never)).toThrow(
      new TypeError("createClient options.balancer: the function must return an object with update, pick and done"),
    );
  });
});
