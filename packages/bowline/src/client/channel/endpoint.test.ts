import { describe, expect, it } from "vitest";
import { answer, ChannelScene } from "../../../test/client/channel-scene.ts";
import { failure, outcomes } from "../../../test/client/outcomes.ts";
import { RawSetting } from "../../testing/raw-frames.ts";
import { settle } from "../../testing/virtual-clock.ts";
import type { Endpoint } from "./endpoint.ts";

const ADDRESS = "10.0.0.1:80";

/** A scene that has one endpoint, and is in use. */
async function scene(options?: ConstructorParameters<typeof ChannelScene>[0]) {
  const scene = new ChannelScene(options);
  void scene.channel.connect().catch(() => {});
  await scene.instances(ADDRESS);
  return { scene, endpoint: scene.channel.endpoints[0] as Endpoint };
}

describe("connecting", () => {
  it("ends with the server's SETTINGS, not with the connection", async () => {
    const { scene: s, endpoint } = await scene();
    expect(endpoint.connectionState).toBe("connecting");
    const peer = s.lastDial.accept();
    await settle();
    expect(endpoint.connectionState).toBe("connecting");
    expect(endpoint.isReady).toBe(false);
    await peer.handshake();
    await settle();
    expect(endpoint.connectionState).toBe("ready");
    expect(endpoint.isReady).toBe(true);
  });

  it("is given up when SETTINGS do not come in time", async () => {
    const { scene: s, endpoint } = await scene();
    s.lastDial.accept();
    await s.clock.advance(10_000);
    // The backoff counts from the attempt's start: it is over.
    expect(s.dials).toHaveLength(2);
    expect(endpoint.lastError?.message).toContain(`${ADDRESS}: the peer has not sent its SETTINGS within 10000 ms`);
  });

  it("says what the server speaks if it is no HTTP/2", async () => {
    const { scene: s, endpoint } = await scene();
    s.lastDial.accept().send(Buffer.from("SSH-2.0-OpenSSH_9.6\r\n"));
    await settle();
    expect(endpoint.lastError?.message).toContain("is an SSH server, not a gRPC server");
  });

  it("fails by what a network of the user's throws", async () => {
    const dial = (): never => {
      throw new Error("no such network");
    };
    const { scene: s, endpoint } = await scene({ dial });
    await settle();
    expect(endpoint.connectionState).toBe("backoff");
    expect((await failure(s.call("say", "x"))).text).toContain("no such network");
  });

  it("is stopped when the endpoint is closed", async () => {
    const { scene: s, endpoint } = await scene();
    const { lastDial } = s;
    endpoint.close(true);
    expect(lastDial.signal.aborted).toBe(true);
    const peer = lastDial.accept();
    await settle();
    expect(endpoint.connectionCount).toBe(0);
    expect(await peer.closed).toBeUndefined();
  });
});

describe("a suspect", () => {
  const OTHERS = ["10.0.0.2:80", "10.0.0.3:80"];

  /** The first of three instances is suspected; its server answers PINGs or does not. */
  async function suspect(answers: boolean) {
    const s = new ChannelScene();
    void s.channel.connect().catch(() => {});
    await s.instances(ADDRESS, ...OTHERS);
    const [first, ...rest] = s.dials;
    const peer = first.accept(answers);
    await peer.handshake();
    for (const dial of rest) await dial.serve();
    const pings = (): number => peer.received.filter(({ type }) => type === "PING").length;
    await s.instances(...OTHERS);
    return { s, endpoint: s.channel.endpoints[0], pings };
  }

  it("is asked for a sign of life, and leaves when it gives none and can't be reached", async () => {
    const { s, endpoint, pings } = await suspect(false);
    await s.clock.advance(9999);
    expect([pings(), endpoint.reach]).toEqual([1, "up"]);
    await s.clock.advance(1);
    expect(endpoint.lastError?.message).toBe(`${ADDRESS} gave no sign of life within 10000 ms after a PING`);
    s.lastDial.refuse();
    await settle();
    expect(s.channel.endpoints.map(({ address }) => address)).toEqual(OTHERS);
  });

  it("stays connected when it answers, and is not asked again for five minutes", async () => {
    const { s, endpoint, pings } = await suspect(true);
    await s.clock.advance(20_000);
    for (let i = 0; i < 3; i++) {
      await s.instances(ADDRESS, ...OTHERS);
      await s.instances(...OTHERS);
    }
    expect([pings(), endpoint.reach, endpoint.connectionCount]).toEqual([1, "up", 1]);
    await s.channel.close();
    expect(s.clock.pending).toBe(0);
  });
});

describe("backoff", () => {
  it("waits 1 s, 1.6 s, 2.56 s … 120 s ± 20 % between the starts of attempts", async () => {
    const { scene: s } = await scene();
    const gaps: number[] = [];
    for (let i = 0; i < 16; i++) {
      const { length } = s.dials;
      s.lastDial.refuse();
      while (s.dials.length === length) await s.clock.advance(50);
      gaps.push(s.dials[length].at - s.dials[length - 1].at);
    }
    gaps.forEach((gap, i) => {
      const base = Math.min(120_000, 1000 * 1.6 ** i);
      expect(gap).toBeGreaterThanOrEqual(base * 0.8);
      expect(gap).toBeLessThanOrEqual(base * 1.2 + 50);
    });
  });

  it("counts the time that the attempt itself took", async () => {
    const { scene: s } = await scene();
    await s.clock.advance(3000);
    s.lastDial.refuse();
    await s.clock.advance(1);
    expect(s.dials).toHaveLength(2);
  });

  it("begins anew after a success", async () => {
    const { scene: s, endpoint } = await scene();
    for (let i = 0; i < 5; i++) {
      s.lastDial.refuse();
      await s.clock.advance(20_000);
    }
    const peer = await s.lastDial.serve();
    expect(endpoint.lastError).toBeNull();
    peer.destroy();
    await settle();
    s.lastDial.refuse();
    await s.clock.advance(1201);
    expect(s.lastDial.at).toBeGreaterThan(s.clock.now() - 1201);
  });

  it("is cut short by connect() of the channel", async () => {
    const { scene: s, endpoint } = await scene();
    s.lastDial.refuse();
    await settle();
    expect(endpoint.connectionState).toBe("backoff");
    const connected = s.channel.connect();
    expect(s.dials).toHaveLength(2);
    await s.lastDial.serve();
    await connected;
  });

  it("makes the registry look anew, and so does the loss of a connection", async () => {
    const { scene: s } = await scene();
    s.lastDial.refuse();
    await settle();
    expect(s.refreshes).toBe(1);
    await s.clock.advance(1200);
    const peer = await s.lastDial.serve();
    peer.destroy();
    await settle();
    expect(s.refreshes).toBe(2);
  });
});

describe("a lost connection", () => {
  it("is made again at once", async () => {
    const { scene: s, endpoint } = await scene();
    const peer = await s.lastDial.serve();
    peer.destroy();
    await settle();
    expect(endpoint.connectionState).toBe("connecting");
    expect(s.dials).toHaveLength(2);
  });

  it("is not made again at once twice in a second: a server may take connections and drop them", async () => {
    const { scene: s, endpoint } = await scene();
    (await s.lastDial.serve()).destroy();
    await settle();
    (await s.lastDial.serve()).destroy();
    await settle();
    expect(endpoint.connectionState).toBe("backoff");
    expect(s.dials).toHaveLength(2);
    await s.clock.advance(1200);
    expect(s.dials).toHaveLength(3);
    (await s.lastDial.serve()).destroy();
    await settle();
    expect(s.dials).toHaveLength(4);
  });

  it("fails the calls on it, and no other", async () => {
    const { scene: s } = await scene();
    const peer = await s.lastDial.serve();
    const call = s.call("say", "x");
    await settle();
    peer.destroy();
    const error = await failure(call);
    expect(error).toMatchObject({ reason: "connection", origin: "local", sent: true, instance: ADDRESS, attempt: 1 });
    expect(error.message).toContain("[UNAVAILABLE] the connection was lost before the call ended");
    const next = s.call("say", "y");
    const second = await s.lastDial.serve();
    answer(second, (await second.expect("HEADERS")).streamId, "y");
    expect(await next).toBe("y");
  });
});

describe("GOAWAY", () => {
  it("leads to another connection while the calls on the first one end", async () => {
    const { scene: s, endpoint } = await scene();
    const first = await s.lastDial.serve();
    const old = s.call("say", "old");
    const { streamId } = await first.expect("HEADERS");
    first.goaway(streamId, 0, "bye");
    await settle();
    expect(endpoint.connectionState).toBe("connecting");
    const second = await s.lastDial.serve();
    const young = s.call("say", "young");
    answer(second, (await second.expect("HEADERS")).streamId, "young");
    expect(await young).toBe("young");
    expect(endpoint.connectionCount).toBe(2);
    answer(first, streamId, "old");
    expect(await old).toBe("old");
    await settle();
    expect(endpoint.connectionCount).toBe(1);
    expect(await first.closed).toBeUndefined();
  });

  it("closes a connection without calls", async () => {
    const { scene: s, endpoint } = await scene();
    const peer = await s.lastDial.serve();
    peer.goaway(0, 0);
    expect(await peer.closed).toBeUndefined();
    await settle();
    expect(endpoint.connectionCount).toBe(0);
    expect(endpoint.connectionState).toBe("connecting");
  });

  it("is the reason that calls hear when the server is not to be reached afterwards", async () => {
    const { scene: s } = await scene();
    const peer = await s.lastDial.serve();
    peer.goaway(0, 11, "too much");
    await settle();
    (await s.lastDial.serve()).goaway(0, 11, "too much");
    await settle();
    const error = await failure(s.call("say", "x"));
    expect(error.text).toBe(`no connection to notes: ${ADDRESS} takes no new calls on this connection: too much`);
  });
});

describe("a server with few streams", () => {
  const one = [[RawSetting.MAX_CONCURRENT_STREAMS, 1]] as const;

  it("gets more connections, up to the limit, and then a queue", async () => {
    const { scene: s, endpoint } = await scene({ maxConnections: 2 });
    const calls = ["a", "b", "c"].map((text) => s.call("say", text));
    const first = await s.lastDial.serve(one);
    expect(s.dials).toHaveLength(2);
    const second = await s.lastDial.serve(one);
    expect(endpoint.isFull).toBe(true);
    expect(s.channel.waitingCount).toBe(1);
    await settle();
    expect(s.dials).toHaveLength(2);
    answer(first, 1, "first");
    await settle();
    answer(first, 3, "third");
    answer(second, 1, "second");
    expect(await outcomes(calls)).toEqual(["first", "second", "third"]);
  });

  it("does not get another one at once when that failed", async () => {
    const { scene: s, endpoint } = await scene();
    const calls = ["a", "b"].map((text) => s.call("say", text));
    const first = await s.lastDial.serve(one);
    s.lastDial.refuse();
    await settle();
    expect(endpoint.connectionState).toBe("ready");
    calls.push(s.call("say", "c"));
    await settle();
    expect(s.dials).toHaveLength(2);
    await s.clock.advance(1201);
    calls.push(s.call("say", "d"));
    expect(s.dials).toHaveLength(3);
    for (const streamId of [1, 3, 5, 7]) {
      answer(first, streamId, `${streamId}`);
      await settle();
    }
    expect(await outcomes(calls)).toEqual(["1", "3", "5", "7"]);
  });

  it("is asked for another one later, by the calls that wait alone", async () => {
    const { scene: s } = await scene();
    const calls = ["a", "b"].map((text) => s.call("say", text, { timeoutMs: 60_000 }));
    const first = await s.lastDial.serve(one);
    s.lastDial.refuse();
    await s.clock.advance(1201);
    expect(s.dials).toHaveLength(3);
    answer(await s.lastDial.serve(one), 1, "b");
    answer(first, 1, "a");
    expect(await outcomes(calls)).toEqual(["a", "b"]);
  });

  it("that loses its connection while another one is being made waits for that one", async () => {
    const { scene: s, endpoint } = await scene();
    const calls = ["a", "b"].map((text) => s.call("say", text));
    const first = await s.lastDial.serve(one);
    expect(s.dials).toHaveLength(2);
    first.destroy();
    await settle();
    expect([endpoint.connectionState, s.dials.length]).toEqual(["connecting", 2]);
    answer(await s.lastDial.serve(one), 1, "b");
    const [lost, served] = await outcomes(calls);
    expect(lost).toContain("[UNAVAILABLE]");
    expect(served).toBe("b");
  });

  it("takes calls that wait as soon as it allows more", async () => {
    const { scene: s } = await scene({ maxConnections: 1 });
    const call = s.call("say", "a");
    const peer = await s.lastDial.serve([[RawSetting.MAX_CONCURRENT_STREAMS, 0]]);
    expect(s.channel.waitingCount).toBe(1);
    peer.settings([[RawSetting.MAX_CONCURRENT_STREAMS, 10]]);
    await peer.expect("HEADERS");
    answer(peer, 1, "a");
    expect(await call).toBe("a");
  });
});

describe("closing", () => {
  it("lets calls end when it is graceful", async () => {
    const { scene: s, endpoint } = await scene();
    const peer = await s.lastDial.serve();
    const call = s.call("say", "a");
    await peer.expect("HEADERS");
    endpoint.close(true);
    expect(endpoint.isReady).toBe(false);
    answer(peer, 1, "a");
    expect(await call).toBe("a");
    expect(await peer.closed).toBeUndefined();
    expect(endpoint.connectionCount).toBe(0);
  });

  it("ends calls when it is not", async () => {
    const { scene: s, endpoint } = await scene();
    const peer = await s.lastDial.serve();
    const call = s.call("say", "a");
    await peer.expect("HEADERS");
    endpoint.close(true);
    endpoint.close(false);
    expect((await failure(call)).reason).toBe("connection");
    expect(await peer.closed).toBeUndefined();
  });
});

describe("keepalive", () => {
  const keepalive = { timeMs: 10_000, timeoutMs: 5000, permitWithoutStream: false };

  it("finds a server that has frozen, and connects anew", async () => {
    const { scene: s } = await scene({ keepalive, timeoutMs: 60_000 });
    const peer = s.lastDial.accept();
    peer.settings().settingsAck();
    await settle();
    const error = failure(s.call("say", "a"));
    // The peer reads, but answers nothing: no PING either.
    await s.clock.advance(16_000);
    expect((await error).reason).toBe("connection");
    expect(s.dials).toHaveLength(2);
  });

  it("asks half as often when the server says too_many_pings", async () => {
    const { scene: s } = await scene({ keepalive: { ...keepalive, permitWithoutStream: true } });
    (await s.lastDial.serve()).goaway(0, 11, "too_many_pings");
    await settle();
    const second = await s.lastDial.serve();
    await s.clock.advance(19_000);
    expect(second.received.filter(({ type }) => type === "PING")).toHaveLength(0);
    await s.clock.advance(2500);
    expect(second.received.filter(({ type }) => type === "PING")).toHaveLength(1);
  });
});
