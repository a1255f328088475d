import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../src/http2/frames.ts";
import { grpcMessage, grpcRequestFields, RawSetting } from "../../src/testing/raw-frames.ts";
import { settle } from "../../src/testing/virtual-clock.ts";
import { Http2Scene, REQUEST } from "./http2-scene.ts";
import { callUnary, dataOf, expectEcho, framesOf, trailersOf, WireServer } from "./wire-server.ts";

const KIB = 1024;

describe("handshakeTimeoutMs", () => {
  it.each(["server", "client"] as const)(
    "bounds the time that a header block may take to come, at a %s (row 4)",
    async (role) => {
      const scene = await Http2Scene.ready({ role, limits: { handshakeTimeoutMs: 5000 } });
      if (role === "client") scene.request(false);
      scene.peer.headers(1, REQUEST, { endHeaders: false });
      await scene.clock.advance(4999);
      scene.peer.continuation(1, [["a", "b"]], false);
      await settle();
      expect(scene.owner.ends).toEqual([]);
      await scene.clock.advance(1);
      await scene.endsWith(ErrorCode.ENHANCE_YOUR_CALM, /handshakeTimeoutMs/);
      expect(scene.owner.ends[0]).toMatchObject({ limit: "handshakeTimeoutMs" });
    },
  );

  it("leaves nothing behind when the block comes in time", async () => {
    const scene = await Http2Scene.ready({ role: "server", limits: { handshakeTimeoutMs: 5000 } });
    scene.peer.headers(1, REQUEST, { endHeaders: false });
    await scene.clock.advance(4999);
    scene.peer.continuation(1, [["a", "b"]]);
    await scene.isAlive();
    expect(scene.clock.pending).toBe(0);
    await scene.clock.advance(20_000);
    await scene.isAlive();
  });
});

describe("stallTimeoutMs", () => {
  it("ends an answer that its client does not take, drips of window or not (rows 6, 29)", async () => {
    await using wire = await WireServer.start({ unary: () => Buffer.alloc(100_000) });
    const client = await wire.connect([[RawSetting.INITIAL_WINDOW_SIZE, 0]]);
    const honest = await wire.connect([[RawSetting.INITIAL_WINDOW_SIZE, 1_000_000]]);
    honest.windowUpdate(0, 1_000_000);
    callUnary(client, 1);
    await client.expect("HEADERS");
    for (let second = 0; second < 40; second++) {
      await wire.clock.advance(1000);
      client.windowUpdate(1, 10);
      await client.roundTrip();
    }
    const reset = framesOf(client, 1).at(-1);
    expect(reset).toMatchObject({ type: "RST_STREAM", errorCode: ErrorCode.ENHANCE_YOUR_CALM });
    expect(dataOf(client, 1).length).toBeLessThan(400);
    callUnary(honest, 1);
    expect(await trailersOf(honest, 1)).toMatchObject({ "grpc-status": "0" });
  });

  it("does not end an answer that goes on for minutes at a modest pace", async () => {
    await using wire = await WireServer.start({ unary: () => Buffer.alloc(200_000) });
    const client = await wire.connect([[RawSetting.INITIAL_WINDOW_SIZE, 0]]);
    client.windowUpdate(0, 1_000_000);
    callUnary(client, 1);
    await client.expect("HEADERS");
    for (let step = 0; step < 51; step++) {
      await wire.clock.advance(5000);
      client.windowUpdate(1, 4000);
      await client.roundTrip();
    }
    expect(await trailersOf(client, 1)).toMatchObject({ "grpc-status": "0" });
    expect(dataOf(client, 1)).toHaveLength(200_005);
  });

  it("does not end a stream whose reader takes its time, while its handler is still at it", async () => {
    let sent = 0;
    await using wire = await WireServer.start({
      async *serverStream() {
        for (; sent < 10; sent++) yield Buffer.alloc(20_000);
      },
    });
    const client = await wire.connect([[RawSetting.INITIAL_WINDOW_SIZE, 0]]);
    client.windowUpdate(0, 1_000_000);
    client
      .headers(1, grpcRequestFields("/wire.v1.Wire/ServerStream"))
      .data(1, grpcMessage(Buffer.alloc(0)), { end: true });
    await client.expect("HEADERS");
    await wire.clock.advance(120_000);
    expect(framesOf(client, 1).map((frame) => frame.type)).toEqual(["HEADERS"]);
    client.windowUpdate(1, 1_000_000);
    expect(await trailersOf(client, 1)).toMatchObject({ "grpc-status": "0" });
    expect(dataOf(client, 1)).toHaveLength(200_050);
  });

  it("ends the answer to what is no gRPC, too", async () => {
    await using wire = await WireServer.start();
    const client = await wire.connect([[RawSetting.INITIAL_WINDOW_SIZE, 0]]);
    client.headers(1, [...REQUEST, ["content-type", "text/plain"]]).data(1, Buffer.from("hello"), { end: true });
    expect((await client.expect("HEADERS")).headers).toMatchObject({ ":status": "415" });
    await wire.clock.advance(40_000);
    await client.roundTrip();
    expect(framesOf(client, 1).at(-1)).toMatchObject({ type: "RST_STREAM", errorCode: ErrorCode.ENHANCE_YOUR_CALM });
  });

  it("ends the answers of all calls that a client may have at once, and not their connection", async () => {
    await using wire = await WireServer.start();
    const client = await wire.connect([[RawSetting.INITIAL_WINDOW_SIZE, 0]]);
    for (let i = 0; i < 1024; i++) callUnary(client, 2 * i + 1);
    await client.roundTrip();
    await wire.clock.advance(40_000);
    // Whoever waited as long may reset them by then.
    for (let i = 0; i < 1024; i++) client.rst(2 * i + 1, ErrorCode.CANCEL);
    await client.roundTrip();
    const resets = client.received.filter(({ type }) => type === "RST_STREAM");
    expect(new Set(resets.map(({ streamId }) => streamId)).size).toBe(1024);
    expect(resets).toHaveLength(1024);
    expect(new Set(resets.map(({ errorCode }) => errorCode))).toEqual(new Set([ErrorCode.ENHANCE_YOUR_CALM]));
    expect([...wire.server.misbehaved]).toEqual([["stallTimeoutMs", 1024]]);
    client.settings([[RawSetting.INITIAL_WINDOW_SIZE, 1000]]);
    await expectEcho(client, 2049);
  });

  it("ends a finished request that its server does not take, and says so", async () => {
    const scene = await Http2Scene.ready({ role: "client" }, [[RawSetting.INITIAL_WINDOW_SIZE, 0]]);
    const stream = scene.request(false);
    scene.connection.sendData(stream, Buffer.alloc(100), true);
    await scene.clock.advance(40_000);
    expect(stream.resets).toEqual([`${ErrorCode.ENHANCE_YOUR_CALM} by us`]);
    await scene.resets(1, ErrorCode.ENHANCE_YOUR_CALM);
    await scene.clock.advance(10_000);
    expect(scene.clock.pending).toBe(0);
  });
});

describe("PINGs that measure the bandwidth", () => {
  it("are forgiven while an answer leaves bit by bit, as windows allow", async () => {
    await using wire = await WireServer.start({ unary: () => Buffer.alloc(100_000) }, { keepalive: {} });
    const client = await wire.connect([[RawSetting.INITIAL_WINDOW_SIZE, 0]]);
    client.windowUpdate(0, 1_000_000);
    callUnary(client, 1);
    await client.expect("HEADERS");
    for (let i = 0; i < 20; i++) {
      client.windowUpdate(1, 5001);
      await client.roundTrip();
    }
    expect(await trailersOf(client, 1)).toMatchObject({ "grpc-status": "0" });
    // Without any data between them they are not.
    for (let i = 0; i < 4; i++) client.ping();
    const goaway = await client.expect("GOAWAY");
    expect(goaway).toMatchObject({ errorCode: ErrorCode.ENHANCE_YOUR_CALM, debug: "too_many_pings" });
    expect([...wire.server.misbehaved]).toEqual([["too_many_pings", 1]]);
  });
});

describe("maxSendBufferBytes", () => {
  it.each([1, 100, 30_000])(
    "holds up a handler whose client does not read, with messages of %i bytes (row 12)",
    async (bytes) => {
      let produced = 0;
      await using wire = await WireServer.start(
        {
          async *serverStream() {
            for (;;) {
              produced += bytes + 5;
              yield Buffer.alloc(bytes);
            }
          },
        },
        { limits: { maxSendBufferBytes: 64 * KIB } },
      );
      const client = await wire.connect([[RawSetting.INITIAL_WINDOW_SIZE, 0]]);
      client.windowUpdate(0, 10_000_000);
      client
        .headers(1, grpcRequestFields("/wire.v1.Wire/ServerStream"))
        .data(1, grpcMessage(Buffer.alloc(0)), { end: true });
      await client.expect("HEADERS");
      const untilStill = async (): Promise<number> => {
        for (let before = -1; before !== produced; ) {
          before = produced;
          await settle(20);
        }
        return produced;
      };
      const held = await untilStill();
      expect(held).toBeGreaterThan(64 * KIB - bytes - 5);
      expect(held).toBeLessThanOrEqual(64 * KIB + 2 * (bytes + 5));
      // And lets it go on when all of that has left.
      client.windowUpdate(1, held - 1);
      await client.roundTrip();
      expect(await untilStill()).toBe(held);
      client.windowUpdate(1, 1);
      await client.roundTrip();
      const more = await untilStill();
      expect(more).toBeGreaterThan(held);
      expect(more - held).toBeLessThanOrEqual(64 * KIB + 2 * (bytes + 5));
      await expectEcho(await wire.connect(), 1);
    },
  );
});
