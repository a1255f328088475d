import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../src/http2/frames.ts";
import {
  grpcMessage,
  grpcRequestFields,
  RawSetting,
  rawData,
  rawHeaders,
  rawPing,
  rawSettings,
} from "../../src/testing/raw-frames.ts";
import { encodeLiterals } from "../../src/testing/raw-hpack.ts";
import { settle } from "../../src/testing/virtual-clock.ts";
import { Http2Scene, REQUEST } from "./http2-scene.ts";
import { sendFields } from "./recording-owner.ts";
import { dataOf, expectEcho, framesOf, trailersOf, WireServer } from "./wire-server.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

describe("a peer that does not read what it causes (row 10)", () => {
  it.each([
    ["many requests at a time", 65_536],
    ["few", 500],
  ])("gets no more answers than some hundred KiB: its requests are not read either, %s", async (_what, chunkBytes) => {
    const scene = await Http2Scene.ready({ role: "server", acknowledges: false, link: { chunkBytes } });
    const text = "x".repeat(200);
    scene.owner.onRequest = (stream) =>
      sendFields(
        scene.connection,
        stream,
        [
          [":status", "200"],
          ["grpc-message", text],
        ],
        true,
      );
    scene.far.pause();
    const block = encodeLiterals(REQUEST);
    let most = 0;
    for (let round = 0; round < 20; round++) {
      const first = 2000 * round + 1;
      scene.peer.send(...Array.from({ length: 1000 }, (_, i) => rawHeaders(first + 2 * i, block, { end: true })));
      await settle(50);
      most = Math.max(most, scene.near.undeliveredBytes);
    }
    expect(most).toBeGreaterThan(64 * KIB);
    expect(most).toBeLessThan(512 * KIB);
    expect(scene.far.undeliveredBytes).toBeGreaterThan(512 * KIB);
    // Once it reads it gets all of them.
    scene.far.resume();
    for (let i = 0; i < 200 && scene.far.undeliveredBytes > 0; i++) await settle(50);
    await scene.isAlive();
    expect(scene.peer.received.filter((frame) => frame.type === "HEADERS")).toHaveLength(20_000);
  });

  it.each([
    ["PING", () => rawPing()],
    ["SETTINGS", () => rawSettings()],
  ])("is cut off after maxPendingAcks of %s, whatever their pace", async (_what, frame) => {
    for (const role of ["server", "client"] as const) {
      const scene = await Http2Scene.ready({
        role,
        acknowledges: false,
        limits: { maxPendingAcks: 100 },
        link: { highWaterBytes: 0 },
      });
      scene.far.pause();
      let count = 0;
      for (; count < 300 && !scene.connection.isClosed; count++) {
        scene.peer.send(frame());
        await settle(2);
      }
      if (role === "client") {
        expect(scene.owner.ends).toEqual([
          expect.objectContaining({ limit: "maxPendingAcks", code: ErrorCode.ENHANCE_YOUR_CALM }),
        ]);
        expect(count).toBeLessThanOrEqual(102);
      } else {
        // A server stops reading before that.
        expect(scene.owner.ends).toEqual([]);
        expect(scene.near.undeliveredBytes).toBeLessThan(100);
        expect(scene.far.undeliveredBytes).toBeGreaterThan(200);
      }
    }
  });

  it("of resets that it makes us send costs itself the connection", async () => {
    const scene = await Http2Scene.ready({
      role: "server",
      acknowledges: false,
      limits: { maxConcurrentStreams: 1, resetBurst: 50 },
    });
    scene.far.pause();
    scene.peer.send(...Array.from({ length: 60 }, (_, i) => rawHeaders(2 * i + 1, REQUEST)));
    await settle();
    expect(scene.owner.ends).toEqual([expect.objectContaining({ limit: "resetBurst" })]);
  });
});

describe("messages that nobody reads (row 15)", () => {
  it("are held as octets, not as objects, and only up to the stream's window", async () => {
    let finish = (): void => {};
    await using wire = await WireServer.start(
      {
        clientStream: async (requests) => {
          await new Promise<void>((resolve) => (finish = resolve));
          let count = 0;
          for await (const _ of requests) count++;
          return Buffer.from(String(count));
        },
      },
      { limits: { streamWindowBytes: 256 * KIB } },
    );
    const client = await wire.connect();
    client.headers(1, grpcRequestFields("/wire.v1.Wire/ClientStream"));
    const frame = rawData(1, Buffer.concat(Array.from({ length: 1000 }, () => grpcMessage(Buffer.of(7)))));
    let sent = 0;
    for (; sent + 6000 <= 256 * KIB; sent += 6000) client.send(frame);
    await client.roundTrip();
    const given = framesOf(client, 1).filter((each) => each.type === "WINDOW_UPDATE");
    expect(given).toEqual([]);
    // One more octet than the window is a fault.
    finish();
    await client.expect("WINDOW_UPDATE", (each) => each.streamId === 1);
    client.data(1, Buffer.alloc(0), { end: true });
    expect(await trailersOf(client, 1)).toMatchObject({ "grpc-status": "0" });
    expect(dataOf(client, 1).subarray(5).toString()).toBe(String(sent / 6));
  });

  it("get new window for what was read of them and no more, compressed or not", async () => {
    for (const isCompressed of [false, true]) {
      let finish = (): void => {};
      let read = 0;
      await using wire = await WireServer.start(
        {
          clientStream: async (requests) => {
            for await (const _ of requests) {
              if (++read % 2000 === 0) await new Promise<void>((resolve) => (finish = resolve));
            }
            return Buffer.alloc(0);
          },
        },
        { limits: { streamWindowBytes: 256 * KIB } },
      );
      const client = await wire.connect();
      const fields = grpcRequestFields("/wire.v1.Wire/ClientStream", isCompressed ? [["grpc-encoding", "gzip"]] : []);
      client.headers(1, fields);
      const message = isCompressed ? grpcMessage(gzipSync("x"), true) : grpcMessage(Buffer.alloc(21));
      const frame = rawData(1, Buffer.concat(Array.from({ length: 500 }, () => message)));
      for (let sent = 0; sent + 500 * message.length <= 256 * KIB; sent += 500 * message.length) client.send(frame);
      for (let stops = 1; stops <= 3; stops++) {
        for (let i = 0; i < 1000 && read < 2000 * stops; i++) await settle(1);
        await client.roundTrip();
        expect(read).toBe(2000 * stops);
        const given = framesOf(client, 1).filter((each) => each.type === "WINDOW_UPDATE");
        const bytes = given.reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 0);
        expect(bytes, isCompressed ? "compressed" : "plain").toBeLessThanOrEqual(read * message.length);
        finish();
      }
    }
  });

  it("that announce 4 GiB are refused though their handler has not begun to read", async () => {
    await using wire = await WireServer.start({ clientStream: () => new Promise(() => {}) });
    const client = await wire.connect();
    client.headers(1, grpcRequestFields("/wire.v1.Wire/ClientStream"));
    client.data(1, Buffer.concat([grpcMessage(Buffer.from("read me")), Buffer.of(0, 0xff, 0xff, 0xff, 0xff)]));
    await client.roundTrip();
    // The first message is in front of it: nothing is wrong yet, and no window is given either.
    for (let i = 0; i < 15; i++) client.data(1, Buffer.alloc(16_000));
    await client.roundTrip();
    expect(framesOf(client, 1).filter((each) => each.type === "WINDOW_UPDATE")).toEqual([]);
    client.headers(3, grpcRequestFields("/wire.v1.Wire/ClientStream")).data(3, Buffer.of(0, 0xff, 0xff, 0xff, 0xff));
    expect(await trailersOf(client, 3)).toMatchObject({
      "grpc-status": "8",
      "grpc-message": expect.stringContaining("4294967295"),
    });
    await expectEcho(client, 5);
  });

  it("of a reader that has left its loop get no new window", async () => {
    await using wire = await WireServer.start({
      clientStream: async (requests) => {
        for await (const _ of requests) break;
        return new Promise(() => {});
      },
    });
    const client = await wire.connect();
    client.headers(1, grpcRequestFields("/wire.v1.Wire/ClientStream")).data(1, grpcMessage(Buffer.from("first")));
    await client.roundTrip();
    for (let i = 0; i < 15; i++) client.data(1, Buffer.alloc(16_000));
    await client.roundTrip();
    expect(framesOf(client, 1).filter((each) => each.type === "WINDOW_UPDATE")).toEqual([]);
  });
});

describe("what many streams hold together", () => {
  it("is at most 4 MiB of answers for which there is no window (row 29)", async () => {
    let produced = 0;
    await using wire = await WireServer.start({
      async *serverStream() {
        for (;;) {
          produced += 8005;
          yield Buffer.alloc(8000);
        }
      },
    });
    const client = await wire.connect([[RawSetting.INITIAL_WINDOW_SIZE, 0]]);
    for (let id = 1; id < 1000; id += 2) {
      client
        .headers(id, grpcRequestFields("/wire.v1.Wire/ServerStream"))
        .data(id, grpcMessage(Buffer.alloc(0)), { end: true });
    }
    await client.roundTrip();
    await wire.clock.advance(100);
    await client.roundTrip();
    // 4 MiB and a message each.
    expect(produced).toBeLessThan(4 * MIB + 500 * 2 * 8005);
    await expectEcho(await wire.connect(), 1);
  });

  it("is forgotten when the streams are reset", async () => {
    const scene = await Http2Scene.ready({ role: "server" }, [[RawSetting.INITIAL_WINDOW_SIZE, 0]]);
    for (let i = 0; i < 500; i++) scene.peer.headers(2 * i + 1, REQUEST, { end: true });
    await scene.isAlive();
    for (const stream of scene.owner.streams) scene.connection.sendData(stream, Buffer.alloc(1000), true);
    expect(scene.connection.streams.size).toBe(500);
    for (let i = 0; i < 500; i++) scene.peer.rst(2 * i + 1, ErrorCode.CANCEL);
    await scene.isAlive();
    expect(scene.connection.streams.size).toBe(0);
    for (const stream of scene.owner.streams) expect(stream).toMatchObject({ queue: null, queuedBytes: 0, id: 0 });
    // The watch over stalled streams ends with the last of them.
    await scene.clock.advance(60_000);
    expect(scene.clock.pending).toBe(0);
  });

  it("of header blocks is one, and of bounded size, for each connection (row 3)", async () => {
    const scene = await Http2Scene.ready({ role: "server" });
    scene.peer.headers(1, Buffer.alloc(16_000, 0x82), { endHeaders: false });
    for (let i = 0; i < 4; i++) scene.peer.continuation(1, Buffer.alloc(16_000, 0x82), false);
    await scene.endsWith(ErrorCode.ENHANCE_YOUR_CALM, /maxHeaderBlockBytes/);
  });
});

describe("resets that we have sent", () => {
  it("are remembered in a bounded number, and late frames are taken for what they are all the same", async () => {
    const scene = await Http2Scene.ready({ role: "server", limits: { resetBurst: 10_000 } });
    for (let i = 0; i < 3000; i++) {
      scene.peer.headers(2 * i + 1, REQUEST).windowUpdate(2 * i + 1, 0);
      if (i % 500 === 0) await scene.isAlive();
    }
    await scene.isAlive();
    for (let i = 0; i < 3000; i++) scene.peer.data(2 * i + 1, Buffer.from("late"), { end: true });
    await scene.isAlive();
    expect(scene.peer.received.filter((frame) => frame.type === "RST_STREAM")).toHaveLength(3000);
  });

  it("are remembered up to maxRememberedResets; what is below a forgotten one passes for reset", async () => {
    for (const [maxRememberedResets, isForgotten] of [
      [3, false],
      [2, true],
    ] as const) {
      const scene = await Http2Scene.ready({ role: "server", limits: { maxRememberedResets } });
      scene.peer.headers(1, REQUEST).rst(1, ErrorCode.CANCEL);
      for (const id of [3, 5, 7]) scene.peer.headers(id, REQUEST).windowUpdate(id, 0);
      await scene.isAlive();
      scene.peer.headers(1, REQUEST);
      if (isForgotten) await scene.isAlive();
      else await scene.endsWith(ErrorCode.STREAM_CLOSED, /closed stream/);
    }
  });
});
