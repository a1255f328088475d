// Rows 24 to 28 of the attack matrix, as far as they are the server's; the others are tests of http2/ and net/.
import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, it } from "vitest";
import { failure, gate, type ServerScene, useScenes } from "../../test/server/server-scene.ts";
import { Code } from "../rpc/code.ts";
import { grpcMessage, grpcRequestFields } from "../testing/raw-frames.ts";
import type { RawPeer } from "../testing/raw-peer.ts";

const scenes = useScenes();
const SAY = "/text.v1.Text/Say";
const NO_ERROR = 0;
const STREAM_CLOSED = 5;
const ENHANCE_YOUR_CALM = 11;
const MAX_ID = 0x7fffffff;

function say(peer: RawPeer, id: number, more: readonly (readonly [string, string])[] = []): void {
  peer.headers(id, grpcRequestFields(SAY, more)).data(id, grpcMessage(Buffer.from("x")), { end: true });
}

async function statusOf(peer: RawPeer, id: number): Promise<string | undefined> {
  const { headers } = await peer.expect("HEADERS", (frame) => frame.streamId === id && frame.isEnd);
  return headers?.["grpc-status"];
}

/** The honest client on another connection notices nothing. */
async function othersAreServed(scene: ServerScene): Promise<void> {
  expect(await scene.client().say("honest")).toBe("honest");
}

describe("metadata (row 24)", () => {
  it.each([
    // One frame can hold them, the limit counts 32 bytes more for each.
    ["too large", Array.from({ length: 90 }, (_, i) => [`k${i}`, "v".repeat(150)])],
    ["too many", Array.from({ length: 200 }, (_, i) => [`k${i}`, "v"])],
  ] as [string, [string, string][]][])("%s costs the stream, not the connection", async (_name, more) => {
    const scene = await scenes.start();
    const peer = await scene.rawPeer();
    await peer.handshake();
    peer.headers(1, grpcRequestFields(SAY, more));
    expect(await peer.expect("RST_STREAM")).toMatchObject({ streamId: 1, errorCode: ENHANCE_YOUR_CALM });
    say(peer, 3);
    expect(await statusOf(peer, 3)).toBe("0");
    expect(scene.server.stats[0].started).toBe(1);
    await othersAreServed(scene);
  });

  it("too large for the server are not even sent by our client", async () => {
    const client = (await scenes.start()).client();
    await client.say("x");
    const error = await failure(client.say("x", { metadata: { a: "x".repeat(20_000) } }));
    expect(error).toMatchObject({ code: Code.RESOURCE_EXHAUSTED, reason: "limit", sent: false });
    expect(await client.say("x")).toBe("x");
  });
});

describe("grpc-timeout (row 24)", () => {
  it.each([
    ["of 11,000 years", "99999999H", "0"],
    ["of eight nines in nanoseconds", "99999999n", "0"],
    ["that has passed", "0m", String(Code.DEADLINE_EXCEEDED)],
    ["with nine digits", "123456789m", String(Code.INTERNAL)],
    ["without a unit", "100", String(Code.INTERNAL)],
    ["that is negative", "-1S", String(Code.INTERNAL)],
    ["that is no number", "xS", String(Code.INTERNAL)],
  ])("%s ends with a status", async (_name, timeout, status) => {
    const scene = await scenes.start();
    const peer = await scene.rawPeer();
    await peer.handshake();
    say(peer, 1, [["grpc-timeout", timeout]]);
    expect(await statusOf(peer, 1)).toBe(status);
    // The same again, from the connection's cache of header blocks.
    say(peer, 3, [["grpc-timeout", timeout]]);
    expect(await statusOf(peer, 3)).toBe(status);
    await peer.roundTrip();
  });
});

describe("stream ids (row 25)", () => {
  it("may jump to the last one, but not back", async () => {
    const scene = await scenes.start();
    const peer = await scene.rawPeer();
    await peer.handshake();
    say(peer, 1);
    expect(await statusOf(peer, 1)).toBe("0");
    say(peer, MAX_ID);
    expect(await statusOf(peer, MAX_ID)).toBe("0");
    say(peer, 3);
    // Beyond maxStreamId it has asked for a new connection before.
    const fatal = await peer.expect("GOAWAY", ({ errorCode }) => errorCode !== NO_ERROR);
    expect(fatal).toMatchObject({ errorCode: STREAM_CLOSED, lastStreamId: MAX_ID });
    await peer.closed;
    await scene.eventually(() => scene.server.misbehaved.size === 1);
    expect([...scene.server.misbehaved.keys()]).toEqual(["STREAM_CLOSED"]);
    await othersAreServed(scene);
  });
});

describe("many connections (row 26)", () => {
  it("that say nothing are bounded, and those within the bound are served", async () => {
    const scene = await scenes.start({}, { maxConnections: 20 });
    const client = scene.client();
    await client.say("x");
    const sockets = Array.from({ length: 40 }, () =>
      connect(scene.server.port, "127.0.0.1")
        .on("error", () => {})
        .resume(),
    );
    const closed = sockets.map((socket) => once(socket, "close"));
    await Promise.race(closed);
    await scene.eventually(() => scene.server.misbehaved.get("too-many-connections") === 21);
    expect(await client.say("y")).toBe("y");
    for (const socket of sockets) socket.destroy();
    await Promise.all(closed);
    await scene.eventually(() => scene.server.connectionCount === 1);
  });
});

describe("a body that nobody wants any more (row 28)", () => {
  const chunk = Buffer.alloc(16_384);

  it.each([
    ["after a call to an unknown method", { ":path": "/text.v1.Text/Nothing" }, String(Code.UNIMPLEMENTED)],
    ["after a deadline that had passed", { "grpc-timeout": "0m" }, String(Code.DEADLINE_EXCEEDED)],
  ] as const)("%s is refused by RST_STREAM NO_ERROR, and dropped", async (_name, fields, status) => {
    const scene = await scenes.start();
    const peer = await scene.rawPeer();
    await peer.handshake();
    const { ":path": path = SAY, ...more } = { ":path": undefined, ...fields } as Record<string, string | undefined>;
    peer.headers(1, grpcRequestFields(path, Object.entries(more) as [string, string][]));
    expect(await statusOf(peer, 1)).toBe(status);
    expect(await peer.expect("RST_STREAM")).toMatchObject({ streamId: 1, errorCode: NO_ERROR });
    // What is on its way already, up to the stream's window, harms nobody.
    for (let i = 0; i < 16; i++) peer.data(1, chunk);
    say(peer, 3);
    expect(await statusOf(peer, 3)).toBe("0");
    await peer.roundTrip();
  });

  it("after a message that is too large is refused before it is there", async () => {
    const scene = await scenes.start({}, { maxReceiveBytes: 1000 });
    const peer = await scene.rawPeer();
    await peer.handshake();
    peer.headers(1, grpcRequestFields(SAY));
    peer.data(1, Buffer.concat([Buffer.of(0, 0x7f, 0xff, 0xff, 0xff), Buffer.alloc(100)]));
    expect(await statusOf(peer, 1)).toBe(String(Code.RESOURCE_EXHAUSTED));
    expect(await peer.expect("RST_STREAM")).toMatchObject({ streamId: 1, errorCode: NO_ERROR });
    await peer.roundTrip();
  });

  it("of an HTTP request that is no gRPC is refused after 64 KiB", async () => {
    const scene = await scenes.start();
    const peer = await scene.rawPeer();
    await peer.handshake();
    peer.headers(1, [
      [":method", "PUT"],
      [":scheme", "http"],
      [":path", "/upload"],
      [":authority", "x"],
    ]);
    expect((await peer.expect("HEADERS")).headers).toMatchObject({ ":status": "405" });
    await peer.expect("DATA", (frame) => frame.isEnd);
    for (let i = 0; i < 4; i++) peer.data(1, chunk);
    await peer.roundTrip();
    expect(peer.received.some((frame) => frame.type === "RST_STREAM")).toBe(false);
    for (let i = 0; i < 8; i++) peer.data(1, chunk);
    expect(await peer.expect("RST_STREAM")).toMatchObject({ streamId: 1, errorCode: NO_ERROR });
    await peer.roundTrip();
  });

  it("of a stream whose handler does not read is held back by the window", async () => {
    const running = gate();
    const finish = gate();
    const scene = await scenes.start({
      join: async () => {
        running.open();
        await finish.opened;
        return "enough";
      },
    });
    let taken = 0;
    const flood = async function* (): AsyncGenerator<string> {
      for (;;) {
        taken++;
        yield "x".repeat(10_000);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const call = scene.client().join(flood());
    await running.opened;
    let before = -1;
    // Until nothing moves any more for a few turns.
    for (let still = 0; still < 50; still = taken === before ? still + 1 : 0) {
      before = taken;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(taken * 10_000).toBeLessThan(2_000_000);
    finish.open();
    expect(await call).toBe("enough");
  });
});
