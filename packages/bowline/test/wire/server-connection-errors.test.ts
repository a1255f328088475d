import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../src/http2/frames.ts";
import {
  PREFACE,
  RawFlag,
  RawSetting,
  rawContinuation,
  rawData,
  rawFrame,
  rawHeaders,
  rawPing,
  rawReset,
  rawSettings,
  rawWindowUpdate,
} from "../../src/testing/raw-frames.ts";
import { encodeLiterals } from "../../src/testing/raw-hpack.ts";
import type { RawPeer } from "../../src/testing/raw-peer.ts";
import { settle } from "../../src/testing/virtual-clock.ts";
import { Http2Scene, REQUEST } from "./http2-scene.ts";

/** A fault, what it costs and what our side says of it. Stream 1 is open, 3 half closed by the peer, 5 closed by both, 7 idle. */
type Fault = readonly [what: string, commit: (peer: RawPeer) => unknown, code: number, says: RegExp];

const BAD_BLOCK = Buffer.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f);

const faults: readonly Fault[] = [
  // Section 5.1: states
  [
    "DATA on an idle stream",
    (peer) => peer.data(7, Buffer.from("x")),
    ErrorCode.PROTOCOL_ERROR,
    /DATA on an idle stream/,
  ],
  ["RST_STREAM on an idle stream", (peer) => peer.rst(7, 8), ErrorCode.PROTOCOL_ERROR, /RST_STREAM on an idle stream/],
  [
    "WINDOW_UPDATE on an idle stream",
    (peer) => peer.windowUpdate(7, 100),
    ErrorCode.PROTOCOL_ERROR,
    /WINDOW_UPDATE on an idle/,
  ],
  ["RST_STREAM on a stream of ours that we never opened", (peer) => peer.rst(2, 8), ErrorCode.PROTOCOL_ERROR, /idle/],
  [
    "HEADERS on a stream that has ended",
    (peer) => peer.headers(5, REQUEST, { end: true }),
    ErrorCode.STREAM_CLOSED,
    /closed stream/,
  ],
  [
    "HEADERS after END_STREAM",
    (peer) => peer.headers(3, REQUEST, { end: true }),
    ErrorCode.STREAM_CLOSED,
    /after END_STREAM/,
  ],
  ["an even stream id", (peer) => peer.headers(8, REQUEST), ErrorCode.PROTOCOL_ERROR, /even stream id/],
  [
    "a stream id that goes back",
    (peer) => peer.headers(11, REQUEST).headers(9, REQUEST),
    ErrorCode.STREAM_CLOSED,
    /closed stream/,
  ],
  // Section 4.3: header blocks
  [
    "a header block that can't be decoded",
    (peer) => peer.headers(7, BAD_BLOCK),
    ErrorCode.COMPRESSION_ERROR,
    /can't be decoded/,
  ],
  [
    "an index beyond the tables",
    (peer) => peer.headers(7, Buffer.of(0xbf)),
    ErrorCode.COMPRESSION_ERROR,
    /can't be decoded/,
  ],
  [
    "a table size update above our setting",
    (peer) => peer.headers(7, Buffer.of(0x3f, 0xe2, 0x1f)),
    ErrorCode.COMPRESSION_ERROR,
    /decoded/,
  ],
  [
    "a broken block behind CONTINUATION",
    (peer) => peer.headers(7, Buffer.alloc(0), { endHeaders: false }).continuation(7, BAD_BLOCK),
    ErrorCode.COMPRESSION_ERROR,
    /decoded/,
  ],
  [
    "a broken block of trailers",
    (peer) => peer.headers(1, BAD_BLOCK, { end: true }),
    ErrorCode.COMPRESSION_ERROR,
    /decoded/,
  ],
  [
    "another frame inside a header block",
    (peer) => peer.headers(7, REQUEST, { endHeaders: false }).ping(),
    ErrorCode.PROTOCOL_ERROR,
    /interrupted/,
  ],
  ["CONTINUATION on its own", (peer) => peer.continuation(1, REQUEST), ErrorCode.PROTOCOL_ERROR, /without HEADERS/],
  // Section 4.2 and 6: frames
  [
    "a frame that is too long",
    (peer) => peer.frame("DATA", 0, 1, Buffer.alloc(0), 16_385),
    ErrorCode.FRAME_SIZE_ERROR,
    /16385 octets, 16384 are allowed/,
  ],
  [
    "padding of the whole frame",
    (peer) => peer.frame("DATA", RawFlag.PADDED, 1, Buffer.of(3, 0, 0)),
    ErrorCode.PROTOCOL_ERROR,
    /padding/,
  ],
  [
    "a PING of the wrong length",
    (peer) => peer.frame("PING", 0, 0, Buffer.alloc(6)),
    ErrorCode.FRAME_SIZE_ERROR,
    /PING of 6 octets/,
  ],
  [
    "PUSH_PROMISE of a client",
    (peer) => peer.frame("PUSH_PROMISE", 4, 1, Buffer.of(0, 0, 0, 2)),
    ErrorCode.PROTOCOL_ERROR,
    /PUSH_PROMISE/,
  ],
  [
    "malformed PRIORITY on an idle stream",
    (peer) => peer.frame("PRIORITY", 0, 7, Buffer.alloc(4)),
    ErrorCode.FRAME_SIZE_ERROR,
    /PRIORITY/,
  ],
  [
    "PRIORITY of an idle stream on itself",
    (peer) => peer.frame("PRIORITY", 0, 7, Buffer.of(0, 0, 0, 7, 1)),
    ErrorCode.PROTOCOL_ERROR,
    /PRIORITY/,
  ],
  // Section 6.5: settings
  [
    "SETTINGS with INITIAL_WINDOW_SIZE above 2^31-1",
    (peer) => peer.settings([[RawSetting.INITIAL_WINDOW_SIZE, 0x80000000]]),
    ErrorCode.FLOW_CONTROL_ERROR,
    /INITIAL_WINDOW_SIZE/,
  ],
  [
    "SETTINGS with MAX_FRAME_SIZE 0",
    (peer) => peer.settings([[RawSetting.MAX_FRAME_SIZE, 0]]),
    ErrorCode.PROTOCOL_ERROR,
    /MAX_FRAME_SIZE 0/,
  ],
  [
    "SETTINGS with ENABLE_PUSH 2",
    (peer) => peer.settings([[RawSetting.ENABLE_PUSH, 2]]),
    ErrorCode.PROTOCOL_ERROR,
    /ENABLE_PUSH 2/,
  ],
  [
    "an acknowledgement with content",
    (peer) => peer.frame("SETTINGS", RawFlag.ACK, 0, Buffer.alloc(6)),
    ErrorCode.FRAME_SIZE_ERROR,
    /SETTINGS/,
  ],
  [
    "settings that take a window past 2^31-1",
    (peer) => peer.windowUpdate(1, 0x7fff0000 - 65_535).settings([[RawSetting.INITIAL_WINDOW_SIZE, 0x7fffffff]]),
    ErrorCode.FLOW_CONTROL_ERROR,
    /past 2\^31-1/,
  ],
  // Section 6.9: windows
  [
    "WINDOW_UPDATE of 0 on the connection",
    (peer) => peer.windowUpdate(0, 0),
    ErrorCode.PROTOCOL_ERROR,
    /WINDOW_UPDATE of 0/,
  ],
  [
    "WINDOW_UPDATE past 2^31-1 on the connection",
    (peer) => peer.windowUpdate(0, 0x7fffffff),
    ErrorCode.FLOW_CONTROL_ERROR,
    /past 2\^31-1/,
  ],
];

async function scene(): Promise<Http2Scene> {
  const made = await Http2Scene.ready({ role: "server" });
  made.owner.onRequest = (stream) => {
    if (stream.streamId === 5) made.connection.sendData(stream, Buffer.alloc(0), true);
  };
  made.peer.headers(1, REQUEST).headers(3, REQUEST, { end: true }).headers(5, REQUEST, { end: true });
  await made.isAlive();
  expect(made.connection.streams.size).toBe(2);
  return made;
}

describe("a client's fault that ends the connection:", () => {
  it.each(faults)("%s", async (_what, commit, code, says) => {
    const made = await scene();
    commit(made.peer);
    const goaway = await made.endsWith(code, says);
    // The client can tell what was seen of its streams, and each was told of its end.
    expect(goaway.lastStreamId).toBeGreaterThanOrEqual(5);
    expect(made.stream(1).resets).toEqual(["0 by peer"]);
    expect(made.stream(3).resets).toEqual(["0 by peer"]);
    expect(made.stream(5).resets).toEqual([]);
  });

  it("does not take the process along when the layer above throws", async () => {
    const made = await scene();
    made.owner.onData = () => {
      throw new Error("a fault of ours");
    };
    made.peer.data(1, Buffer.from("x"));
    await made.peer.closed;
    await settle();
    expect(made.owner.ends).toEqual([new Error("a fault of ours")]);
    made.leavesNothing();
  });

  it("is reported once, and what follows in the same chunk is not looked at", async () => {
    const made = await scene();
    made.peer.send(
      rawPing(),
      rawFrame("PING", 0, 0, Buffer.alloc(6)),
      rawHeaders(7, REQUEST),
      rawData(1, Buffer.from("x")),
      rawReset(9, 8),
    );
    await made.endsWith(ErrorCode.FRAME_SIZE_ERROR, /PING of 6 octets/);
    expect(made.owner.streams).toHaveLength(3);
    expect(made.peer.received.filter((frame) => frame.type === "GOAWAY")).toHaveLength(1);
  });
});

describe("the beginning of a client's connection", () => {
  it.each([
    ["HTTP/1.1", Buffer.from("GET / HTTP/1.1\r\n\r\n")],
    ["a TLS handshake", Buffer.of(0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3)],
    ["half a preface and something else", Buffer.from("PRI * HTTP/2.0\r\n\r\nXX")],
    ["a preface without SETTINGS", Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), rawPing()])],
    [
      "a preface with an acknowledgement",
      Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), rawFrame("SETTINGS", RawFlag.ACK, 0)]),
    ],
  ])("may not be %s", async (_what, bytes) => {
    const made = new Http2Scene({ role: "server" });
    made.peer.send(bytes);
    await made.endsWith(ErrorCode.PROTOCOL_ERROR, /does not speak HTTP\/2/);
  });

  it("may come in pieces of an octet, with the first request in the same breath", async () => {
    const made = new Http2Scene({ role: "server", link: { chunkBytes: 1 } });
    made.peer.preface().settings().settingsAck().headers(1, REQUEST, { end: true }).windowUpdate(0, 100);
    await made.isAlive();
    expect(made.stream(1)).toMatchObject({ hasEnded: true });
    expect(made.clock.pending).toBe(0);
  });

  it("may be left before anything was said", async () => {
    const made = new Http2Scene({ role: "server" });
    made.peer.end();
    await made.peer.closed;
    await settle();
    expect(made.owner.ends).toEqual([undefined]);
    made.leavesNothing();
  });

  it("may be broken off in the middle, which is no fault", async () => {
    for (const bytes of [Buffer.from("PRI * HT"), Buffer.concat([PREFACE, rawSettings().subarray(0, 5)])]) {
      const made = new Http2Scene({ role: "server", acknowledges: false });
      made.peer.send(bytes);
      await settle();
      made.near.reset();
      await settle();
      expect(made.owner.ends).toEqual([expect.objectContaining({ code: "ECONNRESET" })]);
      made.leavesNothing();
    }
  });

  it("is not waited for longer than the time of the handshake", async () => {
    for (const say of [
      () => {},
      (peer: RawPeer) => peer.send(Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n")),
      (peer: RawPeer) => peer.preface().send(rawSettings([[3, 1]]).subarray(0, 12)),
      (peer: RawPeer) => peer.preface().settings(),
    ]) {
      const made = new Http2Scene({ role: "server", acknowledges: false });
      say(made.peer);
      await made.clock.advance(9999);
      expect(made.owner.ends).toEqual([]);
      await made.clock.advance(1);
      await made.endsWith(
        ErrorCode.SETTINGS_TIMEOUT,
        /the peer has not (sent its|acknowledged our) SETTINGS within 10000 ms/,
      );
    }
  });
});

describe("frames that mean nothing", () => {
  it("are ignored: unknown types and flags, reserved bits, PRIORITY, settings of unknown kinds", async () => {
    const made = await scene();
    made.peer
      .send(...Array.from({ length: 246 }, (_, i) => rawFrame(i + 10, 0xff, i, Buffer.alloc(i))))
      .frame("PING", 0xfe, 0, Buffer.alloc(8))
      .frame("PRIORITY", 0, 7, Buffer.of(0x80, 0, 0, 1, 9))
      .frame("SETTINGS", 0xf0, 0, Buffer.of(0xff, 0xff, 1, 2, 3, 4))
      .frame("DATA", 0xf6, 0x80000001, Buffer.from("x"))
      .windowUpdate(3, 0x80000064);
    await made.isAlive();
    expect(made.stream(1).text).toBe("x");
    expect(made.owner.streams).toHaveLength(3);
  });

  it("are ignored on streams that have ended: WINDOW_UPDATE, RST_STREAM, PRIORITY", async () => {
    const made = await scene();
    made.peer
      .windowUpdate(5, 100)
      .rst(5, 8)
      .windowUpdate(5, 0x7fffffff)
      .frame("PRIORITY", 0, 5, Buffer.of(0, 0, 0, 3, 1));
    await made.isAlive();
    expect(made.peer.received.some((frame) => frame.type === "RST_STREAM" || frame.type === "GOAWAY")).toBe(false);
  });

  it("include a header block split by CONTINUATION into pieces of any size", async () => {
    const made = await scene();
    const block = rawHeaders(7, REQUEST).subarray(9);
    made.peer.send(
      rawHeaders(7, block.subarray(0, 0), { endHeaders: false, end: true }),
      rawContinuation(7, block.subarray(0, 1), false),
      rawContinuation(7, block.subarray(1, 1), false),
      rawContinuation(7, block.subarray(1, 30), false),
      rawContinuation(7, block.subarray(30)),
      rawWindowUpdate(7, 5),
    );
    await made.isAlive();
    expect(made.stream(7)).toMatchObject({ hasEnded: true, blocks: [REQUEST] });
  });
});

describe("a connection that ends while others have their turn", () => {
  it("opens no stream of what was read by then, be a DATA frame cut where it ends", async () => {
    const made = await Http2Scene.ready({ role: "server", limits: { maxNewStreamsPerTurn: 2 } });
    const block = encodeLiterals(REQUEST);
    const data = rawData(99, Buffer.alloc(16_384));
    made.connection.linkData(
      Buffer.concat([rawHeaders(1, block), rawHeaders(3, block), rawPing(), data.subarray(0, 500)]),
    );
    made.connection.linkData(Buffer.concat([data.subarray(500), rawHeaders(5, block)]));
    await made.endsWith(ErrorCode.PROTOCOL_ERROR, /DATA on an idle stream/);
    expect(made.owner.streams.map(({ streamId }) => streamId)).toEqual([1, 3]);
  });
});

describe("PING", () => {
  it("is answered with the same octets", async () => {
    const made = await scene();
    made.peer.ping(Buffer.from("\x00\xff234567", "latin1"));
    const pong = await made.peer.expect("PING", (frame) => frame.isAck);
    expect(pong.payload).toEqual(Buffer.from("\x00\xff234567", "latin1"));
    expect(made.owner.pingCount).toBeGreaterThan(0);
  });

  it("of ours takes only its own answer, once", async () => {
    const made = await Http2Scene.ready({ role: "server", acknowledges: false });
    let answers = 0;
    made.connection.ping(() => answers++);
    const ping = await made.peer.expect("PING");
    made.peer.ping(Buffer.alloc(8, 7), true).ping(Buffer.alloc(8), true);
    await made.isAlive();
    expect(answers).toBe(0);
    made.peer.ping(ping.payload, true).ping(ping.payload, true);
    await made.isAlive();
    expect(answers).toBe(1);
  });
});
