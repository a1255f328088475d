import { describe, expect, it } from "vitest";
import { Load } from "../../test/server/load.ts";
import { failure, gate, type ServerScene, useScenes } from "../../test/server/server-scene.ts";
import type { Http2Limits } from "../http2/limits.ts";
import { Code } from "../rpc/code.ts";
import { grpcMessage, grpcRequestFields } from "../testing/raw-frames.ts";
import type { RawPeer } from "../testing/raw-peer.ts";
import { VirtualClock } from "../testing/virtual-clock.ts";
import type { ServerContext } from "./server-context.ts";
import type { ServerKeepaliveOptions } from "./server-options.ts";

const scenes = useScenes();
const ENHANCE_YOUR_CALM = 11;
const MAX_ID = 0x7fffffff;

interface Kept {
  readonly scene: ServerScene;
  readonly clock: VirtualClock;
  readonly peer: RawPeer;
}

/** A server with these options and a raw client that has shaken hands; `say` answers when `finish` is called. */
async function keep(
  keepalive: ServerKeepaliveOptions,
  acknowledges = false,
  limits: Partial<Http2Limits> = {},
): Promise<Kept & { finish: () => void }> {
  const clock = new VirtualClock();
  const finish = gate();
  const scene = await scenes.start(
    { say: (text) => finish.opened.then(() => text) },
    { clock, keepalive, limits, random: () => 0.5 },
  );
  const peer = await scene.rawPeer(acknowledges);
  await peer.handshake();
  return { scene, clock, peer, finish: finish.open };
}

function say(peer: RawPeer, id: number): void {
  peer.headers(id, grpcRequestFields("/text.v1.Text/Say")).data(id, grpcMessage(Buffer.from("x")), { end: true });
}

describe("a silent client", () => {
  it("is asked after timeMs, and given up after timeoutMs: its calls are cancelled, the reason is logged", async () => {
    const { scene, clock, peer } = await keep({ timeMs: 60_000, timeoutMs: 5000 });
    say(peer, 1);
    await peer.roundTrip();
    await clock.advance(60_000 * 1.05);
    expect(await peer.expect("PING", (frame) => !frame.isAck)).toBeDefined();
    await clock.advance(5000);
    await peer.closed;
    await scene.eventually(() => scene.server.connectionCount === 0);
    expect(scene.server.misbehaved).toEqual(new Map([["keepalive", 1]]));
    expect(scene.log.lines[0].text).toMatch(
      /gave no sign of life within 5000 ms after a PING \(keepalive\.timeoutMs\)/,
    );
    expect([...scene.server.stats[0].byCode.keys()].filter((code) => scene.server.stats[0].byCode[code] > 0)).toEqual([
      Code.CANCELLED,
    ]);
  });

  it("is not asked within the 2 hours of the default, and lives when it answers", async () => {
    const { scene, clock, peer } = await keep({}, true);
    await clock.advance(7_100_000);
    expect(peer.received.some((frame) => frame.type === "PING")).toBe(false);
    await clock.advance(600_000);
    await peer.expect("PING", (frame) => !frame.isAck);
    await peer.roundTrip();
    await clock.advance(60_000);
    await peer.roundTrip();
    expect(scene.server.connectionCount).toBe(1);
  });
});

describe("a client that pings", () => {
  async function isRefused({ scene, peer }: Kept): Promise<void> {
    expect(await peer.expect("GOAWAY")).toMatchObject({ errorCode: ENHANCE_YOUR_CALM, debug: "too_many_pings" });
    await peer.closed;
    await scene.eventually(() => scene.server.misbehaved.get("too_many_pings") === 1);
    expect(scene.log.lines[0].text).toMatch(/too_many_pings/);
  }

  it("too often gets GOAWAY too_many_pings with the fourth", async () => {
    const kept = await keep({ minPingMs: 10_000, pingWithoutCalls: true });
    for (let i = 0; i < 3; i++) await kept.peer.roundTrip();
    kept.peer.ping();
    await isRefused(kept);
  });

  it("too often is told so after as many as maxPingStrikes says", async () => {
    const kept = await keep({ minPingMs: 10_000, pingWithoutCalls: true }, false, { maxPingStrikes: 7 });
    for (let i = 0; i < 8; i++) await kept.peer.roundTrip();
    kept.peer.ping();
    await isRefused(kept);
  });

  it("as often as minPingMs allows is welcome, with a call or where pingWithoutCalls allows it", async () => {
    const { scene, clock, peer } = await keep({ minPingMs: 10_000, pingWithoutCalls: true });
    for (let i = 0; i < 10; i++) {
      await peer.roundTrip();
      await clock.advance(10_000);
    }
    expect(scene.server.connectionCount).toBe(1);
  });

  it("without a call may do so every two hours only", async () => {
    const kept = await keep({ minPingMs: 10_000 });
    for (let i = 0; i < 3; i++) {
      await kept.peer.roundTrip();
      await kept.clock.advance(10_000);
    }
    kept.peer.ping();
    await isRefused(kept);
  });

  it("with each answer is measuring the line, which is welcome", async () => {
    const { scene, peer, finish } = await keep({});
    finish();
    for (let i = 0; i < 20; i++) {
      say(peer, 1 + 2 * i);
      await peer.expect("HEADERS", (frame) => frame.isEnd);
      await peer.roundTrip();
    }
    expect(scene.server.connectionCount).toBe(1);
    expect(scene.server.misbehaved.size).toBe(0);
  });

  it("being our own client that is set too keenly is cut off, and asks half as often from then on", async () => {
    const { scene, clock } = await keep({ minPingMs: 300_000 });
    const client = scene.client({ clock, timeoutMs: 0, keepalive: { timeMs: 10_000, timeoutMs: 5000 } });
    /** Virtual ms until the server cuts a call off. */
    const cutOff = async (): Promise<number> => {
      let isOver = false;
      const before = clock.now();
      const started = scene.server.stats[0].started;
      const call = failure(client.say("x")).finally(() => {
        isOver = true;
      });
      await scene.eventually(() => scene.server.stats[0].started > started);
      while (!isOver && clock.now() < before + 200_000) {
        await clock.advance(500);
        // PINGs and their answers cross a real socket.
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(await call).toMatchObject({ code: Code.UNAVAILABLE });
      return clock.now() - before;
    };
    // The first PING is in order, the fourth one too many.
    expect(Math.round((await cutOff()) / 10_000)).toBe(4);
    expect(scene.server.misbehaved.get("too_many_pings")).toBe(1);
    expect(Math.round((await cutOff()) / 10_000)).toBe(8);
  });
});

describe("a connection", () => {
  it("of maxAgeMs ± 10 % is asked to leave in two steps, and its calls finish", async () => {
    const { scene, clock, peer, finish } = await keep({ maxAgeMs: 60_000 }, true);
    say(peer, 1);
    await clock.advance(59_000);
    await peer.roundTrip();
    expect(peer.received.some((frame) => frame.type === "GOAWAY")).toBe(false);
    await clock.advance(1500);
    expect(await peer.expect("GOAWAY")).toMatchObject({ lastStreamId: MAX_ID, errorCode: 0, debug: "max_age" });
    // The answer to the PING behind it brings the second.
    expect(await peer.expect("GOAWAY")).toMatchObject({ lastStreamId: 1, errorCode: 0, debug: "max_age" });
    finish();
    expect((await peer.expect("HEADERS", (frame) => frame.isEnd)).headers).toMatchObject({ "grpc-status": "0" });
    expect(await peer.closed).toBeUndefined();
    expect(scene.server.misbehaved.size).toBe(0);
  });

  it("whose client does not answer is refused 5 s later", async () => {
    const { clock, peer } = await keep({ maxAgeMs: 60_000 });
    await clock.advance(60_000);
    await peer.expect("GOAWAY", (frame) => frame.lastStreamId === MAX_ID);
    await clock.advance(5000);
    await peer.expect("GOAWAY", (frame) => frame.lastStreamId === 0);
    await peer.closed;
  });

  it("is ended after maxAgeGraceMs, its calls with UNAVAILABLE", async () => {
    const { clock, peer } = await keep({ maxAgeMs: 60_000, maxAgeGraceMs: 2000 }, true);
    say(peer, 1);
    await peer.roundTrip();
    await clock.advance(60_000);
    await peer.expect("GOAWAY");
    await clock.advance(2000);
    const status = await peer.expect("HEADERS");
    expect(status.headers).toMatchObject({
      "grpc-status": "14",
      "grpc-message": expect.stringContaining("maxAgeGraceMs"),
    });
    await peer.closed;
  });

  it("without calls for maxIdleMs is asked to leave", async () => {
    const { clock, peer, finish } = await keep({ maxIdleMs: 10_000 }, true);
    say(peer, 1);
    await clock.advance(30_000);
    finish();
    await peer.expect("HEADERS", (frame) => frame.isEnd);
    await clock.advance(9000);
    expect(peer.received.some((frame) => frame.type === "GOAWAY")).toBe(false);
    await clock.advance(2000);
    expect(await peer.expect("GOAWAY")).toMatchObject({ debug: "max_idle" });
    await peer.closed;
  });

  it("survives a handler that blocks the event loop for longer than the PING's timeout", async () => {
    const scene = await scenes.start(
      {
        say(text) {
          const until = performance.now() + 300;
          while (performance.now() < until);
          return text;
        },
      },
      { keepalive: { timeMs: 20, timeoutMs: 100 } },
    );
    const client = scene.client();
    const answers = [client.say("a"), client.say("b")];
    expect(await Promise.all(answers)).toEqual(["a", "b"]);
    expect(await client.say("c")).toBe("c");
    expect(scene.server.misbehaved.size).toBe(0);
    expect(client.channel.endpoints[0].connectionCount).toBe(1);
  });

  it("is renewed without a failed call", async () => {
    const clock = new VirtualClock();
    const peers = new Set<string>();
    const say = (text: string, { peer }: ServerContext): Promise<string> => {
      peers.add(peer.remoteAddress);
      return new Promise((resolve) => setImmediate(() => resolve(text)));
    };
    const scene = await scenes.start({ say }, { clock, keepalive: { maxAgeMs: 60_000 } });
    const client = scene.client({ clock, timeoutMs: 0 });
    const load = new Load(client, 10);
    for (let i = 0; i < 5; i++) {
      await load.more(100);
      await clock.advance(66_100);
    }
    expect(await load.stop()).toMatchObject({ failures: [] });
    expect(peers.size).toBeGreaterThanOrEqual(5);
    expect(scene.server.misbehaved.size).toBe(0);
  });
});
