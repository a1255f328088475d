import { describe, expect, it } from "vitest";
import { answer, ChannelScene } from "../../../test/client/channel-scene.ts";
import { failure } from "../../../test/client/outcomes.ts";
import { instanceAt } from "../../registry/instance/instance.ts";
import type { Clock } from "../../rpc/clock.ts";
import { Code } from "../../rpc/code.ts";
import { settle } from "../../testing/virtual-clock.ts";

const A = "10.0.0.1:80";

describe("idleness", () => {
  it("does not come while connect() waits", async () => {
    const scene = new ChannelScene({ idleTimeoutMs: 10_000 });
    let isConnected = false;
    void scene.channel.connect().then(() => {
      isConnected = true;
    });
    await scene.instances(A);
    for (let i = 0; i < 5; i++) {
      scene.lastDial.refuse();
      await scene.clock.advance(15_000);
    }
    await scene.lastDial.serve();
    expect(isConnected).toBe(true);
    await scene.clock.advance(15_000);
    expect(scene.channel.state).toBe("idle");
  });

  it("is over when a listener connects again as soon as it hears of it", async () => {
    const scene = new ChannelScene({ idleTimeoutMs: 10_000 });
    await scene.connected();
    const stop = scene.channel.onState((state) => {
      if (state === "idle") void scene.channel.connect();
    });
    await scene.clock.advance(15_000);
    stop();
    expect([scene.channel.state, scene.watches]).toEqual(["connecting", 1]);
    const call = scene.call("say", "x");
    answer(await scene.lastDial.serve(), 1, "x");
    expect(await call).toBe("x");
    await scene.clock.advance(15_000);
    expect([scene.channel.state, scene.watches, scene.clock.pending]).toEqual(["idle", 0, 0]);
  });

  it("does not end in a channel that a listener closes when it wakes", async () => {
    const scene = new ChannelScene({ idleTimeoutMs: 10_000 });
    scene.channel.onState((state) => {
      if (state === "connecting") void scene.channel.close();
    });
    expect((await failure(scene.call("say", "x"))).code).toBe(Code.CANCELLED);
    await scene.clock.advance(15_000);
    expect([scene.channel.state, scene.watches, scene.dials.length, scene.clock.pending]).toEqual(["closed", 0, 0, 0]);
  });
});

describe("the process", () => {
  /** A scene whose clock counts what keeps the process alive. */
  function held(options?: ConstructorParameters<typeof ChannelScene>[0]) {
    const scene = new ChannelScene(options);
    let count = 0;
    (scene.clock as Clock).hold = () => {
      count++;
      return { cancel: () => count-- };
    };
    return { scene, holds: () => count };
  }

  it("is kept alive while somebody waits for what only timers bring on, and no longer", async () => {
    const { scene, holds } = held({ retry: { maxAttempts: 2, baseMs: 1000, maxMs: 1000 } });
    const call = scene.call("read", "x");
    expect(holds()).toBe(1);
    await scene.instances(A);
    const peer = await scene.lastDial.serve();
    await settle();
    expect(holds()).toBe(0);
    peer.headers(
      1,
      [
        [":status", "200"],
        ["content-type", "application/grpc"],
        ["grpc-status", "14"],
      ],
      { end: true },
    );
    await settle();
    expect([scene.channel.sleepingCount, holds()]).toEqual([1, 1]);
    await scene.clock.advance(1000);
    answer(peer, 3, "y");
    expect([await call, holds()]).toEqual(["y", 0]);
    await scene.channel.close();
    expect(holds()).toBe(0);
  });

  it("is kept alive by who waits for a connection, until that is given up", async () => {
    const { scene, holds } = held();
    const controller = new AbortController();
    const connected = scene.channel.connect(controller.signal);
    expect(holds()).toBe(1);
    controller.abort();
    await failure(connected);
    expect(holds()).toBe(0);
  });
});

describe("GOAWAY", () => {
  it("that leaves all calls unseen is an orderly end: they go to the next connection at once, twice in a second, too", async () => {
    const scene = new ChannelScene();
    void scene.channel.connect();
    await scene.instances(A);
    const [endpoint] = scene.channel.endpoints;
    const call = scene.call("say", "x");
    for (let i = 0; i < 2; i++) {
      const peer = await scene.lastDial.serve();
      await peer.expect("HEADERS");
      peer.goaway(0, 0);
      await settle();
      expect([endpoint.connectionState, scene.dials.length]).toEqual(["connecting", i + 2]);
      expect(await peer.closed).toBeUndefined();
    }
    answer(await scene.lastDial.serve(), 1, "y");
    expect(await call).toBe("y");
  });
});

describe("a registry of the user's own", () => {
  it("may throw when it is asked for a fresh look: what was known stays, and is connected again", async () => {
    const scene = new ChannelScene({
      watch: (handler) => {
        handler.snapshot({ instances: [instanceAt(A)], revision: 1, freshness: "live" });
        return {
          refresh: () => {
            throw new Error("no look today");
          },
          close: () => {},
        };
      },
    });
    void scene.channel.connect();
    scene.lastDial.refuse();
    await scene.clock.advance(1201);
    const call = scene.call("say", "x", { waitForReady: true });
    answer(await scene.lastDial.serve(), 1, "y");
    expect(await call).toBe("y");
    expect(scene.channel.discovery.error?.message).toBe("no look today");
  });
});
