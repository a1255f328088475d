import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../src/http2/frames.ts";
import {
  RawSetting,
  rawData,
  rawFrame,
  rawHeaders,
  rawReset,
  rawSettings,
  rawWindowUpdate,
} from "../../src/testing/raw-frames.ts";
import { encodeLiterals } from "../../src/testing/raw-hpack.ts";
import type { RawPeer } from "../../src/testing/raw-peer.ts";
import { settle } from "../../src/testing/virtual-clock.ts";
import { Http2Scene, REQUEST, type SceneOptions } from "./http2-scene.ts";
import { sendFields } from "./recording-owner.ts";

const NOTHING = Buffer.alloc(0);

/** A fault on stream 3 while 1 is open too: 3 is reset with the code, 1 goes on. */
type Fault = readonly [what: string, commit: (peer: RawPeer) => unknown, code: number];

const faults: readonly Fault[] = [
  ["WINDOW_UPDATE of 0", (peer) => peer.windowUpdate(3, 0), ErrorCode.PROTOCOL_ERROR],
  ["WINDOW_UPDATE past 2^31-1", (peer) => peer.windowUpdate(3, 0x7fffffff), ErrorCode.FLOW_CONTROL_ERROR],
  ["PRIORITY of the wrong length", (peer) => peer.frame("PRIORITY", 0, 3, Buffer.alloc(6)), ErrorCode.FRAME_SIZE_ERROR],
  [
    "PRIORITY that depends on itself",
    (peer) => peer.frame("PRIORITY", 0, 3, Buffer.of(0x80, 0, 0, 3, 0)),
    ErrorCode.PROTOCOL_ERROR,
  ],
  [
    "DATA after END_STREAM",
    (peer) => peer.data(3, NOTHING, { end: true }).data(3, Buffer.from("late")),
    ErrorCode.STREAM_CLOSED,
  ],
  [
    "trailers that depend on their own stream",
    (peer) => peer.headers(3, [["a", "b"]], { end: true, priority: { dependsOn: 3 } }),
    ErrorCode.PROTOCOL_ERROR,
  ],
];

async function twoOpen(options: Partial<SceneOptions> = {}): Promise<Http2Scene> {
  const scene = await Http2Scene.ready({ role: "server", ...options });
  scene.peer.headers(1, REQUEST).headers(3, REQUEST);
  await scene.isAlive();
  return scene;
}

describe("a client's fault that costs one stream:", () => {
  it.each(faults)("%s", async (_what, commit, code) => {
    const scene = await twoOpen();
    commit(scene.peer);
    await scene.resets(3, code);
    expect(scene.stream(3).resets).toEqual([`${code} by us`]);
    expect(scene.connection.streams.size).toBe(1);
    // Late frames for the stream are no new fault, and its neighbour has noticed nothing.
    scene.peer
      .data(3, Buffer.from("late"))
      .headers(3, [["x", "y"]], { end: true })
      .windowUpdate(3, 5)
      .rst(3, 8);
    scene.peer.data(1, Buffer.from("well"), { end: true });
    await scene.isAlive();
    expect(scene.stream(1)).toMatchObject({ text: "well", hasEnded: true, resets: [] });
    expect(scene.peer.received.filter((frame) => frame.type === "RST_STREAM")).toHaveLength(1);
    expect(scene.peer.received.some((frame) => frame.type === "GOAWAY")).toBe(false);
  });

  it("a request that depends on itself", async () => {
    const scene = await twoOpen();
    scene.peer.headers(5, REQUEST, { priority: { dependsOn: 5 } });
    await scene.resets(5, ErrorCode.PROTOCOL_ERROR);
    expect(scene.connection.streams.size).toBe(2);
  });

  it("DATA beyond the stream's window", async () => {
    const scene = await twoOpen({ limits: { streamWindowBytes: 65_535 } });
    scene.owner.onData = (stream, bytes) => {
      if (stream.streamId === 3) stream.heldBytes += bytes;
    };
    for (let i = 0; i < 3; i++) scene.peer.data(3, Buffer.alloc(16_384));
    scene.peer.data(3, Buffer.alloc(16_383));
    await scene.isAlive();
    expect(scene.stream(3)).toMatchObject({ dataBytes: 65_535, receiveWindow: 0, resets: [] });
    expect(scene.peer.received.some((frame) => frame.type === "WINDOW_UPDATE" && frame.streamId === 3)).toBe(false);
    scene.peer.data(3, Buffer.of(1));
    await scene.resets(3, ErrorCode.FLOW_CONTROL_ERROR);
    expect(scene.stream(3).dataBytes).toBe(65_535);
  });

  it("an empty frame with END_STREAM does not need a window", async () => {
    const scene = await twoOpen({ limits: { streamWindowBytes: 65_535 } });
    scene.owner.onData = (stream, bytes) => {
      stream.heldBytes += bytes;
    };
    for (let i = 0; i < 3; i++) scene.peer.data(3, Buffer.alloc(16_384));
    scene.peer.data(3, Buffer.alloc(16_383)).data(3, NOTHING, { end: true });
    await scene.isAlive();
    expect(scene.stream(3)).toMatchObject({ hasEnded: true, resets: [] });
  });
});

describe("what a client may do", () => {
  it("is to open streams with any gaps between their ids", async () => {
    const scene = await Http2Scene.ready({ role: "server" });
    for (const id of [3, 5, 1001, 0x7ffffffd, 0x7fffffff]) scene.peer.headers(id, REQUEST, { end: true });
    await scene.isAlive();
    expect(scene.owner.streams.map((stream) => stream.streamId)).toEqual([3, 5, 1001, 0x7ffffffd, 0x7fffffff]);
  });

  it("is to send trailers", async () => {
    const scene = await twoOpen();
    scene.peer.data(3, Buffer.from("body")).headers(3, [["checksum", "1"]], { end: true });
    await scene.isAlive();
    expect(scene.stream(3)).toMatchObject({ text: "body", hasEnded: true, blocks: [REQUEST, [["checksum", "1"]]] });
  });

  it("is to pad its frames, at the cost of its windows", async () => {
    const scene = await twoOpen({ limits: { streamWindowBytes: 65_535 } });
    scene.owner.onData = (stream, bytes) => {
      stream.heldBytes += bytes;
    };
    for (let i = 0; i < 200; i++) scene.peer.data(3, Buffer.from("x"), { padding: 255 });
    await scene.isAlive();
    expect(scene.stream(3)).toMatchObject({ dataBytes: 200, heldBytes: 200 });
    // Padding is nobody's to read: its window comes back at once.
    const given = scene.peer.received.filter((frame) => frame.type === "WINDOW_UPDATE" && frame.streamId === 3);
    expect(given.length).toBeGreaterThan(0);
    expect(scene.stream(3).receiveWindow).toBeGreaterThan(65_535 / 2);
  });

  it("is to give a stream up: no word goes back, the layer above hears of it once", async () => {
    const scene = await twoOpen();
    scene.peer.rst(3, ErrorCode.CANCEL).rst(3, ErrorCode.CANCEL);
    await scene.isAlive();
    expect(scene.stream(3).resets).toEqual(["8 by peer"]);
    expect(scene.peer.received.some((frame) => frame.type === "RST_STREAM")).toBe(false);
    expect(scene.owner.releasedCount).toBe(1);
  });

  it("is to end its side first and take the answer later, with trailers", async () => {
    const scene = await twoOpen();
    scene.peer.data(3, Buffer.from("?"), { end: true });
    await scene.isAlive();
    const stream = scene.stream(3);
    sendFields(scene.connection, stream, [[":status", "200"]], false);
    scene.connection.sendData(stream, Buffer.from("!"), false);
    sendFields(scene.connection, stream, [["grpc-status", "0"]], true);
    const trailers = await scene.peer.expect("HEADERS", (frame) => frame.isEnd);
    expect(trailers.headers).toEqual({ "grpc-status": "0" });
    expect(scene.connection.streams.size).toBe(1);
  });

  it("is to close the connection while requests run: they are told, and our side closes too", async () => {
    const scene = await twoOpen();
    scene.peer.end();
    await scene.peer.closed;
    await settle();
    expect(scene.owner.ends).toEqual([expect.objectContaining({ byPeer: true })]);
    expect(scene.stream(1).resets).toEqual(["0 by peer"]);
    scene.leavesNothing();
  });

  it("is to vanish", async () => {
    const scene = await twoOpen();
    scene.near.reset();
    await settle();
    expect(scene.owner.ends).toEqual([expect.objectContaining({ code: "ECONNRESET" })]);
    expect(scene.stream(3).resets).toEqual(["0 by peer"]);
    scene.leavesNothing();
  });

  it("is to say GOAWAY and go on with the streams it has", async () => {
    const scene = await twoOpen();
    scene.peer.goaway(0, ErrorCode.NO_ERROR, "bye").data(1, Buffer.from("still"), { end: true });
    await scene.isAlive();
    expect(scene.owner.goaways).toEqual([{ lastStreamId: 0, code: 0, debug: "bye" }]);
    expect(scene.stream(1)).toMatchObject({ text: "still", resets: [] });
  });
});

describe("the windows of a client", () => {
  it("are obeyed: an answer waits for its stream's, another passes it", async () => {
    const scene = await Http2Scene.ready({ role: "server" }, [[RawSetting.INITIAL_WINDOW_SIZE, 10]]);
    scene.peer.headers(1, REQUEST, { end: true }).headers(3, REQUEST, { end: true });
    await scene.isAlive();
    expect(scene.connection.sendData(scene.stream(1), Buffer.alloc(30, "a"), true)).toBe(false);
    expect(scene.connection.sendData(scene.stream(3), Buffer.alloc(10, "b"), true)).toBe(true);
    await scene.isAlive();
    expect(bytesOf(scene.peer, 1)).toBe(10);
    expect(bytesOf(scene.peer, 3)).toBe(10);
    scene.peer.windowUpdate(1, 1).windowUpdate(1, 1);
    await scene.isAlive();
    expect(bytesOf(scene.peer, 1)).toBe(12);
    scene.peer.windowUpdate(1, 18);
    expect(await scene.peer.expect("DATA", (frame) => frame.streamId === 1 && frame.isEnd)).toBeDefined();
    expect(scene.stream(1).isOpen).toBe(false);
  });

  it("of all streams grow and shrink with its setting, below zero if need be", async () => {
    const scene = await Http2Scene.ready({ role: "server" }, [[RawSetting.INITIAL_WINDOW_SIZE, 100]]);
    scene.peer.headers(1, REQUEST, { end: true });
    await scene.isAlive();
    scene.connection.sendData(scene.stream(1), Buffer.alloc(300), true);
    await scene.isAlive();
    expect(scene.stream(1).sendWindow).toBe(0);
    scene.peer.settings([[RawSetting.INITIAL_WINDOW_SIZE, 20]]);
    await scene.isAlive();
    expect(scene.stream(1).sendWindow).toBe(-80);
    scene.peer.windowUpdate(1, 80);
    await scene.isAlive();
    expect(bytesOf(scene.peer, 1)).toBe(100);
    scene.peer.settings([[RawSetting.INITIAL_WINDOW_SIZE, 120]]);
    await scene.isAlive();
    expect(bytesOf(scene.peer, 1)).toBe(200);
  });

  it("that open by SETTINGS are used after the acknowledgement", async () => {
    const scene = await Http2Scene.ready({ role: "server" }, [[RawSetting.INITIAL_WINDOW_SIZE, 0]]);
    scene.peer.headers(1, REQUEST, { end: true });
    await scene.isAlive();
    scene.connection.sendData(scene.stream(1), Buffer.from("body"), true);
    const before = scene.peer.received.length;
    scene.peer.settings([[RawSetting.INITIAL_WINDOW_SIZE, 1]]).settings([[RawSetting.INITIAL_WINDOW_SIZE, 100]]);
    await scene.isAlive();
    expect(scene.peer.received.slice(before).map((frame) => `${frame.type} ${frame.payload.length}`)).toEqual([
      "SETTINGS 0",
      "DATA 1",
      "SETTINGS 0",
      "DATA 3",
      "PING 8",
    ]);
  });

  it("of the connection are shared by its streams", async () => {
    const scene = await Http2Scene.ready({ role: "server" }, [[RawSetting.INITIAL_WINDOW_SIZE, 1_000_000]]);
    scene.peer.headers(1, REQUEST, { end: true }).headers(3, REQUEST, { end: true });
    await scene.isAlive();
    scene.connection.sendData(scene.stream(1), Buffer.alloc(60_000), true);
    scene.connection.sendData(scene.stream(3), Buffer.alloc(60_000), true);
    await scene.isAlive();
    expect(bytesOf(scene.peer, 1) + bytesOf(scene.peer, 3)).toBe(65_535);
    scene.peer.windowUpdate(0, 200_000);
    await scene.isAlive();
    expect([bytesOf(scene.peer, 1), bytesOf(scene.peer, 3)]).toEqual([60_000, 60_000]);
  });

  it("are not waited for by a stream that was reset meanwhile", async () => {
    const scene = await Http2Scene.ready({ role: "server" }, [[RawSetting.INITIAL_WINDOW_SIZE, 0]]);
    scene.peer.headers(1, REQUEST, { end: true });
    await scene.isAlive();
    scene.connection.sendData(scene.stream(1), Buffer.from("body"), true);
    scene.peer.rst(1, ErrorCode.CANCEL).settings([[RawSetting.INITIAL_WINDOW_SIZE, 100]]);
    await scene.isAlive();
    expect(bytesOf(scene.peer, 1)).toBe(0);
    expect(scene.stream(1)).toMatchObject({ queue: null, queuedBytes: 0 });
  });
});

describe("header tables stay in step", () => {
  /** Inserts `name: value` and then refers to it. */
  const insert = (name: string, value: string): Buffer =>
    Buffer.concat([Buffer.of(0x40), encodeLiterals([[name, value]]).subarray(1)]);
  const NEWEST = Buffer.of(0xbe);

  it("after a block that was too large", async () => {
    const scene = await Http2Scene.ready({ role: "server", limits: { maxHeaderListBytes: 1024 } });
    const large = encodeLiterals([["filler", "x".repeat(1000)]]);
    scene.peer.headers(1, Buffer.concat([insert("kept", "value"), large]), { end: true });
    await scene.resets(1, ErrorCode.ENHANCE_YOUR_CALM);
    scene.peer.headers(3, NEWEST, { end: true });
    await scene.isAlive();
    expect(scene.stream(3).blocks).toEqual([[["kept", "value"]]]);
  });

  it("after blocks of streams that were refused, reset, or depend on themselves", async () => {
    const scene = await Http2Scene.ready({ role: "server", limits: { maxConcurrentStreams: 1 } });
    scene.peer.headers(1, insert("a", "1"));
    scene.peer.headers(3, insert("b", "2"));
    await scene.resets(3, ErrorCode.REFUSED_STREAM);
    scene.peer.headers(3, insert("c", "3"), { end: true });
    scene.peer.rst(1, 8).headers(5, insert("d", "4"), { priority: { dependsOn: 5 } });
    await scene.resets(5, ErrorCode.PROTOCOL_ERROR);
    scene.peer.headers(7, Buffer.of(0xbe, 0xbf, 0xc0, 0xc1), { end: true });
    await scene.isAlive();
    expect(scene.stream(7).blocks).toEqual([
      [
        ["d", "4"],
        ["c", "3"],
        ["b", "2"],
        ["a", "1"],
      ],
    ]);
  });

  it("after blocks that our GOAWAY has refused", async () => {
    const scene = await Http2Scene.ready({ role: "server" });
    scene.peer.headers(1, REQUEST);
    await scene.isAlive();
    scene.connection.refuseNewStreams(ErrorCode.NO_ERROR, "done");
    scene.peer
      .headers(3, insert("a", "1"))
      .data(3, Buffer.from("ignored"), { end: true })
      .headers(1, NEWEST, { end: true });
    await scene.isAlive();
    expect(scene.stream(1).blocks[1]).toEqual([["a", "1"]]);
    expect(scene.owner.streams).toHaveLength(1);
    expect(scene.peer.received.some((frame) => frame.type === "RST_STREAM")).toBe(false);
  });

  it("and a smaller table than the usual one binds from the acknowledgement on", async () => {
    const scene = await Http2Scene.ready({ role: "server", limits: { headerTableBytes: 0 }, acknowledges: false });
    scene.peer.headers(1, Buffer.concat([Buffer.of(0x20), encodeLiterals(REQUEST)]), { end: true });
    await scene.isAlive();
    expect(scene.stream(1).blocks).toEqual([REQUEST]);
    scene.peer.headers(3, Buffer.of(0x3f, 0xe1, 0x1f), { end: true });
    await scene.endsWith(ErrorCode.COMPRESSION_ERROR, /can't be decoded/);
  });

  it("and a peer that ignores our bound is found out", async () => {
    const scene = await Http2Scene.ready({ role: "server", limits: { headerTableBytes: 100 } });
    scene.peer.headers(1, encodeLiterals(REQUEST), { end: true });
    await scene.endsWith(ErrorCode.COMPRESSION_ERROR, /can't be decoded/);
  });
});

describe("frames in one chunk", () => {
  it("are all read, though streams end between them and the layer above answers at once", async () => {
    const scene = await Http2Scene.ready({ role: "server" });
    scene.owner.onRequest = (stream) => sendFields(scene.connection, stream, [[":status", "204"]], true);
    const calls = Array.from({ length: 20 }, (_, i) => [
      rawHeaders(2 * i + 1, REQUEST),
      rawData(2 * i + 1, Buffer.from("x"), { end: true }),
    ]);
    scene.peer.send(
      ...calls.flat(),
      rawReset(1, 8),
      rawWindowUpdate(3, 5),
      rawSettings(),
      rawFrame("PRIORITY", 0, 5, Buffer.alloc(5)),
    );
    await scene.isAlive();
    expect(scene.peer.received.filter((frame) => frame.type === "HEADERS")).toHaveLength(20);
    expect(scene.connection.streams.size).toBe(0);
    expect(scene.owner.releasedCount).toBe(20);
  });
});

function bytesOf(peer: RawPeer, streamId: number): number {
  const frames = peer.received.filter((frame) => frame.type === "DATA" && frame.streamId === streamId);
  return frames.reduce((sum, frame) => sum + frame.payload.length, 0);
}
