// What the doc comments of ClientOptions, KeepaliveOptions and RetryPolicy say happens, defaults first.
// maxReceiveBytes: src/client/messages.test.ts; interceptors: interceptors.test.ts; tls: tls-settings.test.ts.
import { describe, expect, it } from "vitest";
import type { ClientOptions } from "../../src/client/client-options.ts";
import { Code } from "../../src/rpc/code.ts";
import { grpcMessage, grpcResponseFields, RawSetting } from "../../src/testing/raw-frames.ts";
import type { RawPeer } from "../../src/testing/raw-peer.ts";
import { settle, VirtualClock } from "../../src/testing/virtual-clock.ts";
import { type RawServer, useScene } from "../client/client-scene.ts";
import type { NoteClient } from "../client/note-service.ts";
import { eventually, failure } from "../client/outcomes.ts";

const scene = useScene();
const HALF_HOUR_MS = 1_800_000;

/** A client in virtual time of a server that a test plays, with the first connection's peer once it has come. */
async function played(
  options: ClientOptions,
  settings: readonly (readonly [number, number])[] = [],
): Promise<{
  client: NoteClient & ReturnType<typeof scene.client>;
  clock: VirtualClock;
  raw: RawServer;
  peers: RawPeer[];
}> {
  const clock = new VirtualClock(1000);
  const peers: RawPeer[] = [];
  const raw = await scene.rawServer((peer) => {
    peers.push(peer);
    return peer.handshake(settings);
  });
  const client = scene.client(raw.address, { clock, timeoutMs: undefined, retry: undefined, ...options });
  return { client, clock, raw, peers };
}

async function connected(options: ClientOptions, settings?: readonly (readonly [number, number])[]) {
  const all = await played(options, settings);
  await all.client.channel.connect();
  return { ...all, peer: all.peers[0] };
}

/** Moves the time on in steps, so that a peer may answer on its socket in between. */
async function pass(clock: VirtualClock, ms: number): Promise<void> {
  await clock.advance(ms);
  await settle();
}

const failsWith = (peer: RawPeer, id: number, code: Code): unknown =>
  peer.headers(id, grpcResponseFields([["grpc-status", String(code)]]), { end: true });

describe("timeoutMs", () => {
  it("is 2000 by default: the server is told, and the call ends with DEADLINE_EXCEEDED", async () => {
    const { client, clock, peer } = await connected({});
    const call = failure(client.say("x"));
    expect((await peer.expect("HEADERS")).headers?.["grpc-timeout"]).toBe("2000m");
    await clock.advance(1980);
    expect(client.channel.stats[0].inFlight).toBe(1);
    await clock.advance(40);
    expect(await call).toMatchObject({ code: Code.DEADLINE_EXCEEDED, reason: "deadline", origin: "local", sent: true });
    await peer.expect("RST_STREAM");
  });

  it("is none by default for a call that streams", async () => {
    const { client, clock, peer } = await connected({});
    const answers = client.follow("x")[Symbol.asyncIterator]();
    const first = answers.next();
    expect((await peer.expect("HEADERS")).headers).not.toHaveProperty("grpc-timeout");
    await clock.advance(86_400_000);
    peer.headers(1, grpcResponseFields()).data(1, grpcMessage(Buffer.from("late")));
    expect(await first).toEqual({ value: "late", done: false });
    peer.headers(1, [["grpc-status", "0"]], { end: true });
    expect(await answers.next()).toMatchObject({ done: true });
  });

  it("set by the user holds for streams, too", async () => {
    const { client, peer } = await connected({ timeoutMs: 7000 });
    void client
      .follow("x")
      [Symbol.asyncIterator]()
      .next()
      .catch(() => {});
    expect((await peer.expect("HEADERS")).headers?.["grpc-timeout"]).toBe("7000m");
  });

  it("0 is no deadline", async () => {
    const { client, clock, peer } = await connected({ timeoutMs: 0 });
    const call = client.say("x");
    expect((await peer.expect("HEADERS")).headers).not.toHaveProperty("grpc-timeout");
    await clock.advance(86_400_000);
    peer.headers(1, grpcResponseFields()).data(1, grpcMessage(Buffer.from("late")));
    peer.headers(1, [["grpc-status", "0"]], { end: true });
    expect(await call).toBe("late");
  });
});

describe("balancer", () => {
  it("is p2c by default", () => {
    expect(scene.client("127.0.0.1:1").channel.balancer.name).toBe("p2c");
  });

  it("as a function is asked once for each channel", () => {
    let made = 0;
    const balancer = () => {
      made++;
      return { name: "own", update() {}, pick: () => null, done() {} };
    };
    scene.client("127.0.0.1:1", { balancer });
    scene.client("127.0.0.1:1", { balancer });
    expect(made).toBe(1);
    expect(scene.client("127.0.0.1:2", { balancer }).channel.balancer.name).toBe("own");
    expect(made).toBe(2);
  });
});

describe("authority", () => {
  const authorityAt = async (
    target: (raw: RawServer) => string,
    options: ClientOptions,
  ): Promise<string | undefined> => {
    let authority: string | undefined;
    const raw = await scene.rawServer(async (peer) => {
      await peer.handshake();
      authority = (await peer.expect("HEADERS")).headers?.[":authority"];
      failsWith(peer, 1, Code.NOT_FOUND);
    });
    const text = target(raw).replace("PORT", String(raw.port));
    await failure(scene.client(text, options).say("x"));
    return authority?.replace(String(raw.port), "PORT");
  };

  it.each([
    ["dns:///localhost:PORT", "localhost:PORT"],
    ["127.0.0.1:PORT", "127.0.0.1:PORT"],
    ["static:///127.0.0.1:PORT", "127.0.0.1:PORT"],
  ])("is the host of the target by default: %s", async (target, authority) => {
    expect(await authorityAt(() => target, {})).toBe(authority);
  });

  it("is what is given", async () => {
    expect(await authorityAt(({ address }) => address, { authority: "user.internal:1" })).toBe("user.internal:1");
  });
});

describe("retry", () => {
  /** The pauses before each further attempt when all fail, by the client's clock. */
  async function pauses(options: ClientOptions): Promise<number[]> {
    const { client, clock, peer } = await connected({ timeoutMs: 0, random: () => 1 - 2 ** -30, ...options });
    const call = failure(client.read("x"));
    let isOver = false;
    void call.then(() => (isOver = true));
    const waited: number[] = [];
    let at = clock.now();
    for (let id = 1; ; id += 2) {
      const sent = peer.expect("HEADERS");
      while (!isOver && !peer.received.some(({ type, streamId }) => type === "HEADERS" && streamId === id)) {
        await settle(2);
        if (client.channel.sleepingCount > 0) await clock.advance(1);
      }
      if (isOver) return waited;
      await sent;
      if (id > 1) waited.push(clock.now() - at);
      failsWith(peer, id, Code.UNAVAILABLE);
      at = clock.now();
      await peer.roundTrip();
    }
  }

  it("makes 2 attempts by default, 25 ms apart at most", async () => {
    expect(await pauses({})).toEqual([25]);
  });

  it("never repeats for false and for maxAttempts 1", async () => {
    expect(await pauses({ retry: false })).toEqual([]);
    expect(await pauses({ retry: { maxAttempts: 1 } })).toEqual([]);
  });

  it("doubles the upper end of the pause with each attempt, the first included in maxAttempts", async () => {
    expect(await pauses({ retry: { maxAttempts: 5 } })).toEqual([25, 50, 100, 200]);
  });

  it("pauses for 1000 ms at most by default, or for maxMs", async () => {
    expect(await pauses({ retry: { maxAttempts: 4, baseMs: 600 } })).toEqual([600, 1000, 1000]);
    expect(await pauses({ retry: { maxAttempts: 4, baseMs: 20, maxMs: 30 } })).toEqual([20, 30, 30]);
  });
});

describe("compression", () => {
  async function sent(options: ClientOptions, text: string): Promise<[string | undefined, number | undefined]> {
    const { client, peer } = await connected(options);
    void failure(client.say(text));
    const { headers } = await peer.expect("HEADERS");
    const { data } = await peer.expect("DATA");
    failsWith(peer, 1, Code.NOT_FOUND);
    return [headers?.["grpc-encoding"], data?.[0]];
  }

  it("is none by default", async () => {
    expect(await sent({}, "x".repeat(4096))).toEqual([undefined, 0]);
  });

  it("leaves what is smaller than 1024 bytes by default", async () => {
    expect(await sent({ compression: "gzip" }, "x".repeat(1023))).toEqual(["gzip", 0]);
    expect(await sent({ compression: "gzip" }, "x".repeat(1024))).toEqual(["gzip", 1]);
  });

  it("identity is none", async () => {
    expect(await sent({ compression: "identity" }, "x".repeat(4096))).toEqual([undefined, 0]);
  });
});

describe("maxConnectionsPerEndpoint", () => {
  it.each([
    [undefined, 4],
    [2, 2],
  ])(
    "of %s makes %d connections when the server takes one stream on each",
    async (maxConnectionsPerEndpoint, count) => {
      const settings = [[RawSetting.MAX_CONCURRENT_STREAMS, 1]] as const;
      const { client, raw, peers } = await played({ maxConnectionsPerEndpoint }, settings);
      const calls = Array.from({ length: 8 }, () => failure(client.say("x")));
      const requests = (): number =>
        peers.flatMap((peer) => peer.received).filter(({ type }) => type === "HEADERS").length;
      await eventually(() => requests() === count);
      // One more would be made as soon as the last one is full.
      for (let i = 0; i < 20; i++) await peers[count - 1].roundTrip();
      expect(raw.sockets.length).toBe(count);
      expect(client.channel.waitingCount).toBe(8 - count);
      await client.close();
      for (const error of await Promise.all(calls)) expect(error.reason).toBe("closed");
    },
  );
});

describe("maxWaitingCalls", () => {
  it("is 10,000 by default: the next call fails with RESOURCE_EXHAUSTED, and none that waits", async () => {
    const raw = await scene.tcpServer(() => {});
    const client = scene.client(raw.address, { clock: new VirtualClock() });
    const waiting = Array.from({ length: 10_000 }, () => failure(client.say("x")));
    expect(await failure(client.say("x"))).toMatchObject({
      code: Code.RESOURCE_EXHAUSTED,
      reason: "limit",
      sent: false,
      text: `10000 calls wait for static:///${raw.address} already (maxWaitingCalls)`,
    });
    expect(client.channel.waitingCount).toBe(10_000);
    await client.close();
    expect(new Set((await Promise.all(waiting)).map(({ reason }) => reason))).toEqual(new Set(["closed"]));
  });

  it("0 lets no call wait", async () => {
    const client = scene.client((await scene.server()).address, { maxWaitingCalls: 0 });
    expect(await failure(client.say("x"))).toMatchObject({ code: Code.RESOURCE_EXHAUSTED, reason: "limit" });
    await client.channel.connect();
    expect(await client.say("x")).toBe("x");
  });
});

describe("connectTimeoutMs", () => {
  it.each([
    [undefined, 5000],
    [70, 70],
  ])("of %s gives a TLS handshake %d ms", async (connectTimeoutMs, ms) => {
    let hasHello = false;
    const raw = await scene.tcpServer((socket) => socket.once("data", () => (hasHello = true)));
    const clock = new VirtualClock();
    const client = scene.client(raw.address, { clock, tls: true, timeoutMs: 0, connectTimeoutMs });
    const call = failure(client.say("x"));
    await eventually(() => hasHello);
    await pass(clock, ms - 1);
    expect(client.channel.state).toBe("connecting");
    await pass(clock, 1);
    const error = await call;
    expect(error).toMatchObject({ code: Code.UNAVAILABLE, sent: false });
    expect(error.text).toContain(`${ms} ms`);
  });
});

describe("idleTimeoutMs", () => {
  async function idled(idleTimeoutMs: number | undefined) {
    const all = await connected({ idleTimeoutMs });
    return { ...all, isIdle: () => all.client.channel.state === "idle" };
  }

  it("is 30 minutes by default: then the connection is closed", async () => {
    const { clock, peer, isIdle } = await idled(undefined);
    await clock.advance(HALF_HOUR_MS - 1000);
    expect(isIdle()).toBe(false);
    await clock.advance(HALF_HOUR_MS / 4 + 1000);
    expect(isIdle()).toBe(true);
    await peer.closed;
  });

  it("0 is never", async () => {
    const { clock, isIdle } = await idled(0);
    await clock.advance(100 * HALF_HOUR_MS);
    expect(isIdle()).toBe(false);
  });
});

describe("keepalive", () => {
  const pings = (peer: RawPeer): number => peer.received.filter(({ type, isAck }) => type === "PING" && !isAck).length;

  it("sends no PING by default, however long a call is silent", async () => {
    const { client, clock, peer } = await connected({ timeoutMs: 0 });
    const call = failure(client.say("x"));
    await peer.expect("HEADERS");
    await clock.advance(86_400_000);
    await peer.roundTrip();
    expect(pings(peer)).toBe(0);
    await client.close();
    await call;
  });

  it("sends one after timeMs, and takes a server for dead that does not answer for 20 s", async () => {
    const clock = new VirtualClock(1000);
    const silent = await scene.tcpServer((socket) => {
      socket.write(Buffer.from("000000040000000000", "hex"));
      socket.resume();
    });
    const client = scene.client(silent.address, {
      clock,
      timeoutMs: 0,
      keepalive: { timeMs: 10_000 },
      limits: { handshakeTimeoutMs: 600_000 },
    });
    await client.channel.connect();
    const call = failure(client.say("x"));
    await eventually(() => client.channel.stats[0].inFlight === 1 && client.channel.waitingCount === 0);
    await pass(clock, 10_000 + 19_000);
    expect(client.channel.stats[0].inFlight).toBe(1);
    await pass(clock, 2000);
    expect(await call).toMatchObject({ code: Code.UNAVAILABLE, reason: "connection" });
    expect((await call).text).toContain("20000 ms");
  });

  it("asks while no call is open only withoutCalls", async () => {
    for (const withoutCalls of [undefined, true]) {
      const { clock, peer } = await connected({ keepalive: { timeMs: 10_000, withoutCalls } });
      await clock.advance(15_000);
      await peer.roundTrip();
      expect(pings(peer)).toBe(withoutCalls === true ? 1 : 0);
    }
  });
});

describe("limits, without", () => {
  it("limits: are announced to the server", async () => {
    const { peer } = await connected({ limits: { maxHeaderListBytes: 5000 } });
    await peer.roundTrip();
    const settings = peer.received.find(({ type, isAck }) => type === "SETTINGS" && !isAck);
    expect(settings?.settings).toContainEqual([RawSetting.MAX_HEADER_LIST_SIZE, 5000]);
  });

  it("without: the layers are not there, and calls still go", async () => {
    const without = ["trace", "metrics", "deadline", "retry"];
    const client = scene.client((await scene.server()).address, { without });
    expect(await client.say("x")).toBe("x");
    expect(client.describe()).not.toMatch(/trace|metrics|deadline|retry {2}/);
    expect(client.channel.stats[0].started).toBe(0);
  });
});
