// What the doc comments of ServerOptions and ServerKeepaliveOptions say happens, defaults first.
// name, advertise, instanceId, tls, maxReceiveBytes, maxConnections, clock: src/server/options.test.ts; registry: start.test.ts
// and local-registry.test.ts; handleSignals: signals.test.ts; interceptors: interceptors.test.ts; propagate: src/client/context.test.ts.
import { describe, expect, it, vi } from "vitest";
import { Code } from "../../src/rpc/code.ts";
import { createServer } from "../../src/server/create-server.ts";
import type { ServerOptions } from "../../src/server/server-options.ts";
import { grpcMessage, grpcRequestFields } from "../../src/testing/raw-frames.ts";
import type { RawPeer } from "../../src/testing/raw-peer.ts";
import { settle, VirtualClock } from "../../src/testing/virtual-clock.ts";
import { echoNotes, NoteService } from "../client/note-service.ts";
import { ScriptedRegistry } from "../server/scripted-registry.ts";
import { failure, gate, heldSay, type ServerScene, useScenes } from "../server/server-scene.ts";
import { collect, type TextHandlers } from "../server/text-service.ts";

const scenes = useScenes();
const MAX_ID = 0x7fffffff;
const ENHANCE_YOUR_CALM = 11;
const MONTH_MS = 30 * 86_400_000;

/** A value of which no JSON can be made. */
function circular(): object {
  const value: Record<string, unknown> = {};
  value.self = value;
  return value;
}

interface Timed {
  readonly scene: ServerScene;
  readonly clock: VirtualClock;
  readonly peer: RawPeer;
}

/** A server in virtual time, and a client that has shaken hands and answers PINGs. */
async function timed(options: ServerOptions = {}, handlers: Partial<TextHandlers> = {}): Promise<Timed> {
  const clock = new VirtualClock();
  const scene = await scenes.start(handlers, { clock, random: () => 0.5, ...options });
  const peer = await scene.rawPeer();
  await peer.handshake();
  return { scene, clock, peer };
}

function say(peer: RawPeer, id: number, text = "x", more: readonly (readonly [string, string])[] = []): void {
  peer.headers(id, grpcRequestFields("/text.v1.Text/Say", more));
  peer.data(id, grpcMessage(Buffer.from(text)), { end: true });
}

const count = (peer: RawPeer, type: string): number =>
  peer.received.filter((frame) => frame.type === type && !frame.isAck).length;

describe("listen", () => {
  it("is any free port of all interfaces by default", async () => {
    const server = createServer({ handleSignals: false, drainAcceptMs: 0 }).add(NoteService, echoNotes);
    expect([server.address, server.addresses, server.port]).toEqual(["", [], 0]);
    await server.start();
    expect(server.address).toBe(`0.0.0.0:${server.port}`);
    expect(server.port).toBeGreaterThan(0);
    await server.close();
  });
});

describe("compression", () => {
  async function flag(options: ServerOptions, text: string): Promise<number | undefined> {
    const { peer } = await timed(options);
    say(peer, 1, text, [["grpc-accept-encoding", "gzip"]]);
    return (await peer.expect("DATA")).data?.[0];
  }

  it("is not done by default", async () => {
    expect(await flag({}, "x".repeat(4096))).toBe(0);
  });

  it("leaves answers smaller than 1024 bytes by default", async () => {
    expect(await flag({ compression: "gzip" }, "x".repeat(1023))).toBe(0);
    expect(await flag({ compression: "gzip" }, "x".repeat(1024))).toBe(1);
  });
});

describe("drainAcceptMs", () => {
  it("is 2000 by default: so long calls are still taken after the announcement", async () => {
    const registry = new ScriptedRegistry();
    const options = { name: "text.rpc", registry, drainAcceptMs: undefined, drainTimeoutMs: undefined };
    const { scene, clock, peer } = await timed(options);
    const closed = scene.server.close();
    expect(await peer.expect("GOAWAY")).toMatchObject({ lastStreamId: MAX_ID });
    await clock.advance(1999);
    say(peer, 1);
    expect((await peer.expect("HEADERS", (frame) => frame.isEnd)).headers).toMatchObject({ "grpc-status": "0" });
    expect(count(peer, "GOAWAY")).toBe(1);
    await clock.advance(1);
    expect(await peer.expect("GOAWAY")).toMatchObject({ lastStreamId: 1 });
    await closed;
  });
});

describe("drainTimeoutMs", () => {
  it("is 30,000 by default: then calls that still run end with UNAVAILABLE and are told why", async () => {
    const running = gate();
    const options = { drainAcceptMs: undefined, drainTimeoutMs: undefined };
    const { scene, clock } = await timed(options, { say: heldSay(running) });
    const call = failure(scene.client({ timeoutMs: 0 }).say("x"));
    await running.opened;
    const closed = scene.server.close();
    await clock.advance(29_999);
    expect(scene.server.state).toBe("draining");
    await clock.advance(1);
    await closed;
    expect(await call).toMatchObject({
      code: Code.UNAVAILABLE,
      text: "the server has stopped; the call still ran after 30000 ms (drainTimeoutMs)",
    });
  });

  it("bounds the stop as a whole, drainAcceptMs included", async () => {
    const running = gate();
    const options = { name: "text.rpc", registry: new ScriptedRegistry(), drainAcceptMs: 60_000, drainTimeoutMs: 100 };
    const { scene, clock, peer } = await timed(options, { say: heldSay(running) });
    say(peer, 1);
    await running.opened;
    const closed = scene.server.close();
    await peer.expect("GOAWAY");
    await clock.advance(100);
    await closed;
    expect(scene.server.state).toBe("closed");
  });
});

describe("handleSignals, health, reflection", () => {
  const listeners = (): number => process.listenerCount("SIGTERM") + process.listenerCount("SIGINT");

  it("are on by default, and left out by false", async () => {
    const before = listeners();
    const { server } = await scenes.start({}, { handleSignals: undefined });
    expect(listeners()).toBe(before + 2);
    const paths = server.stats.map(({ method }) => method);
    expect(paths).toContain("/grpc.health.v1.Health/Check");
    expect(paths).toContain("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
    expect(paths).toContain("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo");
    await server.close();
    expect(listeners()).toBe(before);
    const bare = await scenes.start({}, { handleSignals: false, health: false, reflection: false });
    expect(listeners()).toBe(before);
    expect(bare.server.stats.map(({ method }) => method).every((path) => path.startsWith("/text.v1.Text/"))).toBe(true);
  });
});

describe("ready", () => {
  it("must be done before the server says SERVING and answers", async () => {
    const ready = gate();
    const scene = scenes.make({}, { ready: () => ready.opened });
    const started = scene.server.start();
    await scene.eventually(() => scene.server.port > 0);
    expect([scene.server.state, scene.server.health.get("")]).toEqual(["starting", "NOT_SERVING"]);
    ready.open();
    await started;
    expect([scene.server.state, scene.server.health.get("")]).toEqual(["serving", "SERVING"]);
  });
});

describe("logger", () => {
  it.each<[string, unknown, string]>([
    ["a bigint in it", { id: 5n }, '"error":{"id":"5"}'],
    ["what refers to itself", circular(), "no JSON can be made of them"],
    ["a text", "boom", '"error":"boom"'],
  ])(
    "has a line for whatever a handler throws, such as %s; the call ends, the process does not",
    async (_what, value, text) => {
      const write = vi.spyOn(process.stderr, "write").mockImplementation(() => true);
      try {
        const throws = (): never => {
          throw value;
        };
        const scene = await scenes.start({ say: throws }, { logger: undefined });
        expect(await failure(scene.client().say("x"))).toMatchObject({
          code: Code.UNKNOWN,
          text: "the handler failed",
        });
        expect(write.mock.calls[0]?.[0]).toContain(text);
        expect(JSON.parse(String(write.mock.calls[0]?.[0]))).toMatchObject({
          level: "error",
          message: "a handler failed",
        });
      } finally {
        write.mockRestore();
      }
    },
  );

  it("that throws costs the line, not the call and not the process", async () => {
    const throws = (): never => {
      throw new Error("disk full");
    };
    const boom = (): never => {
      throw new Error("boom");
    };
    const logger = { info: throws, warn: throws, error: throws };
    const scene = await scenes.start({ say: boom, repeat: async () => boom() }, { logger });
    const client = scene.client();
    expect(await failure(client.say("x"))).toMatchObject({ code: Code.UNKNOWN, text: "the handler failed" });
    expect(await failure(collect(client.repeat("x")))).toMatchObject({
      code: Code.UNKNOWN,
      text: "the handler failed",
    });
    expect(await client.join(["still", "here"])).toBe("still here");
  });

  it("writes lines of JSON on standard error by default", async () => {
    const write = vi.spyOn(process.stderr, "write").mockImplementation(() => true);
    try {
      const fails = (): never => {
        throw new Error("boom");
      };
      const scene = await scenes.start({ say: fails }, { logger: undefined });
      await failure(scene.client().say("x"));
      const line = JSON.parse(String(write.mock.calls[0]?.[0]));
      expect(line).toMatchObject({ level: "error", message: "a handler failed", method: "/text.v1.Text/Say" });
      expect(line.error).toContain("Error: boom");
      expect(Date.parse(line.time)).not.toBeNaN();
    } finally {
      write.mockRestore();
    }
  });
});

describe("keepalive", () => {
  it("gives a silent client 20,000 ms for its answer by default", async () => {
    const clock = new VirtualClock();
    const scene = await scenes.start({}, { clock, keepalive: { timeMs: 60_000 } });
    const peer = await scene.rawPeer(false);
    await peer.handshake();
    // Silence counts from the look that noticed the handshake: the first one, a twentieth of timeMs after the start.
    await clock.advance(60_000 + 60_000 / 20);
    await peer.expect("PING", (frame) => !frame.isAck);
    await clock.advance(19_999);
    expect(scene.server.connectionCount).toBe(1);
    await clock.advance(1);
    await peer.closed;
    expect(scene.server.misbehaved.get("keepalive")).toBe(1);
  });

  it("timeMs of Infinity never asks", async () => {
    const { clock, peer, scene } = await timed({ keepalive: { timeMs: Number.POSITIVE_INFINITY } });
    await clock.advance(MONTH_MS);
    expect([count(peer, "PING"), scene.server.connectionCount]).toEqual([0, 1]);
  });

  it.each([
    ["every 5 minutes are welcome by default, any number of them", 300_000, 0],
    ["three times as fast are too many with the fourth", 99_000, 1],
  ])("PINGs of a client with an open call %s", async (_what, everyMs, goaways) => {
    const running = gate();
    const { clock, peer } = await timed({}, { say: heldSay(running) });
    say(peer, 1);
    await running.opened;
    for (let i = 0; i < (goaways === 0 ? 12 : 4); i++) {
      if (i > 0) await clock.advance(everyMs);
      peer.ping();
      if (goaways === 0 || i < 3) await peer.expect("PING", (frame) => frame.isAck);
    }
    if (goaways > 0) {
      expect(await peer.expect("GOAWAY")).toMatchObject({ errorCode: ENHANCE_YOUR_CALM, debug: "too_many_pings" });
    }
    expect(count(peer, "GOAWAY")).toBe(goaways);
  });

  it("ends no connection for its age or idleness by default", async () => {
    const { clock, peer, scene } = await timed();
    for (let hours = 0; hours < 24 * 7; hours += 2) {
      await clock.advance(7_200_000);
      await peer.roundTrip();
    }
    await settle();
    expect([count(peer, "GOAWAY"), scene.server.connectionCount]).toEqual([0, 1]);
  });
});
