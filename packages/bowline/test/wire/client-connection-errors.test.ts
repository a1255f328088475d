import { describe, expect, it } from "vitest";
import { ErrorCode, MAX_INT31 } from "../../src/http2/frames.ts";
import { RawFlag, RawSetting, rawFrame, rawPing, rawSettings } from "../../src/testing/raw-frames.ts";
import { encodeLiterals, RawHpackDecoder } from "../../src/testing/raw-hpack.ts";
import type { RawPeer } from "../../src/testing/raw-peer.ts";
import { settle } from "../../src/testing/virtual-clock.ts";
import { Http2Scene, REQUEST } from "./http2-scene.ts";
import { sendFields } from "./recording-owner.ts";

const OK = [[":status", "200"]] as const;
const NOTHING = Buffer.alloc(0);

/** Stream 1 is open, 3 half closed by us, 5 closed by both, 7 idle. */
async function scene(): Promise<Http2Scene> {
  const made = await Http2Scene.ready({ role: "client" });
  made.request(false);
  made.request();
  made.request();
  made.peer.headers(5, OK, { end: true });
  await made.isAlive();
  expect(made.connection.streams.size).toBe(2);
  return made;
}

type Fault = readonly [what: string, commit: (peer: RawPeer) => unknown, code: number, says: RegExp];

const faults: readonly Fault[] = [
  [
    "PUSH_PROMISE",
    (peer) => peer.frame("PUSH_PROMISE", 4, 1, Buffer.of(0, 0, 0, 2, 0x82)),
    ErrorCode.PROTOCOL_ERROR,
    /PUSH_PROMISE/,
  ],
  ["HEADERS on a stream that was never opened", (peer) => peer.headers(7, OK), ErrorCode.PROTOCOL_ERROR, /idle/],
  ["HEADERS on a stream of its own", (peer) => peer.headers(2, OK), ErrorCode.PROTOCOL_ERROR, /idle/],
  ["DATA on a stream that was never opened", (peer) => peer.data(7, NOTHING), ErrorCode.PROTOCOL_ERROR, /idle/],
  ["RST_STREAM on a stream that was never opened", (peer) => peer.rst(7, 8), ErrorCode.PROTOCOL_ERROR, /idle/],
  [
    "WINDOW_UPDATE on a stream that was never opened",
    (peer) => peer.windowUpdate(7, 100),
    ErrorCode.PROTOCOL_ERROR,
    /idle/,
  ],
  [
    "HEADERS after END_STREAM",
    (peer) => peer.headers(1, OK, { end: true }).headers(1, OK),
    ErrorCode.STREAM_CLOSED,
    /END_STREAM/,
  ],
  [
    "a header block that can't be decoded",
    (peer) => peer.headers(1, Buffer.of(0xff, 0xff)),
    ErrorCode.COMPRESSION_ERROR,
    /decoded/,
  ],
  ["ENABLE_PUSH 1", (peer) => peer.settings([[RawSetting.ENABLE_PUSH, 1]]), ErrorCode.PROTOCOL_ERROR, /ENABLE_PUSH 1/],
  [
    "MAX_FRAME_SIZE 0 (CVE-2026-33814)",
    (peer) => peer.settings([[RawSetting.MAX_FRAME_SIZE, 0]]),
    ErrorCode.PROTOCOL_ERROR,
    /MAX_FRAME_SIZE 0/,
  ],
  [
    "INITIAL_WINDOW_SIZE 2^31",
    (peer) => peer.settings([[RawSetting.INITIAL_WINDOW_SIZE, 0x80000000]]),
    ErrorCode.FLOW_CONTROL_ERROR,
    /INITIAL_WINDOW/,
  ],
  [
    "WINDOW_UPDATE of 0 on the connection",
    (peer) => peer.windowUpdate(0, 0),
    ErrorCode.PROTOCOL_ERROR,
    /WINDOW_UPDATE of 0/,
  ],
  [
    "WINDOW_UPDATE past 2^31-1 (CVE-2026-21714)",
    (peer) => peer.windowUpdate(0, MAX_INT31),
    ErrorCode.FLOW_CONTROL_ERROR,
    /past 2\^31-1/,
  ],
  [
    "a frame that is too long",
    (peer) => peer.frame("HEADERS", 4, 1, NOTHING, 20_000),
    ErrorCode.FRAME_SIZE_ERROR,
    /20000 octets/,
  ],
  ["SETTINGS on a stream", (peer) => peer.frame("SETTINGS", 0, 1), ErrorCode.PROTOCOL_ERROR, /SETTINGS on a stream/],
  ["GOAWAY of 7 octets", (peer) => peer.frame("GOAWAY", 0, 0, Buffer.alloc(7)), ErrorCode.FRAME_SIZE_ERROR, /GOAWAY/],
];

describe("a server's fault that ends the connection:", () => {
  it.each(faults)("%s", async (_what, commit, code, says) => {
    const made = await scene();
    commit(made.peer);
    await made.endsWith(code, says);
    expect(made.stream(3).resets).toEqual(["0 by peer"]);
    expect(made.connection.canOpen).toBe(false);
  });

  it.each([
    ["WINDOW_UPDATE of 0", (peer: RawPeer) => peer.windowUpdate(1, 0), ErrorCode.PROTOCOL_ERROR],
    ["WINDOW_UPDATE past 2^31-1", (peer: RawPeer) => peer.windowUpdate(1, MAX_INT31), ErrorCode.FLOW_CONTROL_ERROR],
    [
      "DATA after END_STREAM",
      (peer: RawPeer) => peer.headers(1, OK, { end: true }).data(1, Buffer.from("x")),
      ErrorCode.STREAM_CLOSED,
    ],
  ])("or one stream only: %s", async (_what, commit, code) => {
    const made = await scene();
    commit(made.peer);
    await made.resets(1, code);
    expect(made.stream(1).resets).toEqual([`${code} by us`]);
    made.peer.headers(3, OK, { end: true });
    await made.isAlive();
    expect(made.stream(3)).toMatchObject({ hasEnded: true, resets: [] });
  });
});

describe("bounds of ours that a server breaks", () => {
  it("cost a stream: DATA beyond its window", async () => {
    const made = await Http2Scene.ready({ role: "client", limits: { streamWindowBytes: 65_535 } });
    made.owner.onData = (stream, bytes) => {
      stream.heldBytes += bytes;
    };
    const greedy = made.request();
    const modest = made.request();
    made.peer.headers(1, OK).headers(3, OK);
    for (let i = 0; i < 4; i++) made.peer.data(1, Buffer.alloc(16_384));
    await made.resets(1, ErrorCode.FLOW_CONTROL_ERROR);
    expect(greedy).toMatchObject({ dataBytes: 49_152, resets: [`${ErrorCode.FLOW_CONTROL_ERROR} by us`] });
    made.peer.data(1, Buffer.alloc(1000)).data(3, Buffer.from("well"), { end: true });
    await made.isAlive();
    expect(modest).toMatchObject({ text: "well", hasEnded: true });
  });

  it("cost the connection: a header table larger than ours", async () => {
    const made = await Http2Scene.ready({ role: "client", limits: { headerTableBytes: 100 } });
    made.request();
    made.peer.headers(1, Buffer.concat([Buffer.of(0x3f, 0xe1, 0x1f), encodeLiterals(OK)]));
    await made.endsWith(ErrorCode.COMPRESSION_ERROR, /can't be decoded/);
  });
});

describe("the beginning of a server's connection", () => {
  it.each([
    ["HTTP/1.1", "HTTP/1.1 400 Bad Request\r\n\r\n"],
    ["an SSH server", "SSH-2.0-OpenSSH_9.2p1\r\n"],
    ["a frame that is no SETTINGS", rawPing().toString("latin1")],
    ["an acknowledgement of SETTINGS", rawFrame("SETTINGS", RawFlag.ACK, 0).toString("latin1")],
  ])("may not be %s", async (_what, text) => {
    const made = new Http2Scene({ role: "client" });
    made.peer.send(Buffer.from(text, "latin1"));
    await made.endsWith(ErrorCode.PROTOCOL_ERROR, /does not speak HTTP\/2/);
  });

  it("is explained by the layer above, even when it is a TLS alert of seven octets and the end", async () => {
    for (const end of [
      (made: Http2Scene) => made.far.end(),
      (made: Http2Scene) => made.far.destroy(),
      (made: Http2Scene) => void settle().then(() => made.near.reset()),
    ]) {
      const made = new Http2Scene({ role: "client" });
      made.owner.explanation = "speaks TLS";
      made.peer.send(Buffer.of(0x15, 3, 1, 0, 2, 2, 70));
      await settle();
      end(made);
      await made.peer.closed;
      await settle();
      expect(made.owner.ends).toEqual([
        expect.objectContaining({ code: ErrorCode.PROTOCOL_ERROR, message: "speaks TLS (PROTOCOL_ERROR)" }),
      ]);
      made.leavesNothing();
    }
  });

  it("is not waited for longer than the time of the handshake", async () => {
    const made = new Http2Scene({ role: "client", acknowledges: false });
    await made.clock.advance(10_000);
    await made.endsWith(ErrorCode.SETTINGS_TIMEOUT, /has not sent its SETTINGS within 10000 ms/);
    const half = new Http2Scene({ role: "client", acknowledges: false });
    half.peer.settings();
    await half.clock.advance(10_000);
    await half.endsWith(ErrorCode.SETTINGS_TIMEOUT, /has not acknowledged our SETTINGS within 10000 ms/);
  });

  it("is the preface, SETTINGS without pushes, and a connection window, from our side", async () => {
    const made = new Http2Scene({ role: "client" });
    const settings = await made.peer.expect("SETTINGS");
    expect(settings.settings).toContainEqual([RawSetting.ENABLE_PUSH, 0]);
    const update = await made.peer.expect("WINDOW_UPDATE");
    expect(update).toMatchObject({ streamId: 0, increment: 1_048_576 - 65_535 });
  });
});

describe("a server's settings", () => {
  it("bound the streams that may be open: 1, then none, then many", async () => {
    const made = await Http2Scene.ready({ role: "client" }, [[RawSetting.MAX_CONCURRENT_STREAMS, 1]]);
    expect(made.connection.canOpen).toBe(true);
    made.request();
    expect(made.connection.canOpen).toBe(false);
    expect(made.connection.isUsable).toBe(true);
    made.peer.headers(1, OK, { end: true });
    await made.isAlive();
    expect(made.connection.canOpen).toBe(true);
    made.peer.settings([[RawSetting.MAX_CONCURRENT_STREAMS, 0]]);
    await made.isAlive();
    expect(made.connection.canOpen).toBe(false);
    made.peer.settings([[RawSetting.MAX_CONCURRENT_STREAMS, 100]]);
    await made.isAlive();
    expect(made.owner.settingsCount).toBe(3);
    for (let i = 0; i < 100; i++) made.request();
    expect(made.connection.canOpen).toBe(false);
  });

  it("bound our header table: what it held is gone at 0, and 4096 begins anew, told in the next block", async () => {
    const made = await Http2Scene.ready({ role: "client" });
    const insert = (): Buffer => {
      const block = Buffer.alloc(100);
      return block.subarray(0, made.connection.encoder.field(block, 0, "name", "value", 0));
    };
    const send = async (): Promise<Buffer> => {
      const stream = made.owner.createStream();
      made.connection.open(stream);
      made.connection.sendHeaders(stream, insert(), true);
      return (await made.peer.expect("HEADERS")).payload;
    };
    await send();
    expect(await send()).toEqual(Buffer.of(0xbe));
    for (const change of [
      [[1, 0]],
      [[1, 4096]],
      [
        [1, 0],
        [1, 4096],
      ],
      [
        [1, 50],
        [1, 0],
        [1, 100_000],
      ],
    ] as const) {
      made.peer.settings(change);
      await made.isAlive();
      const block = await send();
      // 0x20 empties the table; the raw peer's has followed, or it could not read what comes.
      expect(block[0], JSON.stringify(change)).toBe(0x20);
      expect(await send()).toEqual(change.at(-1)?.[1] === 0 ? encodeLiterals([["name", "value"]]) : Buffer.of(0xbe));
    }
  });

  it("bound our frames: a long header block and long data are cut", async () => {
    const made = await Http2Scene.ready({ role: "client" }, [[RawSetting.INITIAL_WINDOW_SIZE, 1_000_000]]);
    made.peer.windowUpdate(0, 1_000_000);
    await made.isAlive();
    const stream = made.owner.createStream();
    made.connection.open(stream);
    sendFields(made.connection, stream, [["large", "x".repeat(40_000)]], false);
    made.connection.sendData(stream, Buffer.alloc(40_000), true);
    await made.isAlive();
    const sizes = (type: string) =>
      made.peer.received.filter((frame) => frame.type === type).map((frame) => frame.payload.length);
    expect(sizes("HEADERS")).toEqual([16_384]);
    expect(sizes("CONTINUATION")).toEqual([16_384, 40_014 - 2 * 16_384].map((size) => expect.closeTo(size, -2)));
    expect(sizes("DATA")).toEqual([16_384, 16_384, 40_000 - 2 * 16_384]);
    made.peer.settings([[RawSetting.MAX_FRAME_SIZE, 30_000]]);
    await made.isAlive();
    const next = made.request(false);
    made.connection.sendData(next, Buffer.alloc(30_000), true);
    await made.isAlive();
    expect(sizes("DATA").at(-1)).toBe(30_000);
  });

  it("may come in any number and are all acknowledged, in order", async () => {
    const made = await Http2Scene.ready({ role: "client", acknowledges: false });
    const before = made.peer.received.length;
    for (let i = 0; i < 50; i++) made.peer.send(rawSettings([[RawSetting.MAX_CONCURRENT_STREAMS, i]]));
    await made.isAlive();
    expect(made.peer.received.slice(before).filter((frame) => frame.type === "SETTINGS" && frame.isAck)).toHaveLength(
      50,
    );
    expect(made.connection.peer.maxConcurrentStreams).toBe(49);
  });
});

describe("a server's GOAWAY", () => {
  it("ends what is above its last id as refused, and nothing else", async () => {
    const made = await Http2Scene.ready({ role: "client" });
    for (let i = 0; i < 10; i++) made.request();
    made.peer.goaway(9, ErrorCode.NO_ERROR, "moving");
    await made.isAlive();
    expect(made.owner.goaways).toEqual([{ lastStreamId: 9, code: 0, debug: "moving" }]);
    expect(made.owner.streams.map((stream) => stream.resets.join())).toEqual([
      ...Array(5).fill(""),
      ...Array(5).fill("7 by peer"),
    ]);
    expect(made.connection.canOpen).toBe(false);
    made.peer.headers(9, OK, { end: true });
    await made.isAlive();
    expect(made.stream(9).hasEnded).toBe(true);
  });

  it("in two steps refuses nothing at first, and may lower its bound but not raise it", async () => {
    const made = await Http2Scene.ready({ role: "client" });
    for (let i = 0; i < 5; i++) made.request();
    made.peer.goaway(MAX_INT31, ErrorCode.NO_ERROR);
    await made.isAlive();
    expect(made.connection.canOpen).toBe(false);
    expect(made.connection.streams.size).toBe(5);
    made.peer.goaway(5, ErrorCode.NO_ERROR);
    await made.isAlive();
    expect(made.connection.streams.size).toBe(3);
    made.peer.goaway(9, ErrorCode.NO_ERROR).goaway(1, ErrorCode.ENHANCE_YOUR_CALM);
    await made.isAlive();
    expect(made.connection.streams.size).toBe(1);
    expect(made.owner.streams.map((stream) => stream.resets.length)).toEqual([0, 1, 1, 1, 1]);
  });

  it("may have debug data of any octets and length; 256 of them are kept", async () => {
    const made = await Http2Scene.ready({ role: "client" });
    made.peer.frame("GOAWAY", 0, 0, Buffer.concat([Buffer.alloc(8), Buffer.alloc(16_000, 0xff)]));
    await made.isAlive();
    expect(made.owner.goaways[0].debug).toHaveLength(256);
  });
});

describe("ids of our own streams", () => {
  it("count up by two and stop at three quarters of them, while a new connection can take over", async () => {
    const made = await Http2Scene.ready({ role: "client" });
    made.connection.nextId = 1_610_612_733;
    expect([made.request().streamId, made.request().streamId]).toEqual([1_610_612_733, 1_610_612_735]);
    expect(made.connection.canOpen).toBe(false);
    expect(made.connection.isUsable).toBe(false);
    made.peer.headers(1_610_612_735, OK, { end: true });
    await made.isAlive();
    expect(made.stream(1_610_612_735).hasEnded).toBe(true);
  });
});

it("a request's header block is what another decoder reads", async () => {
  const made = await Http2Scene.ready({ role: "client" });
  made.request();
  const frame = await made.peer.expect("HEADERS");
  expect(new RawHpackDecoder().decode(frame.payload)).toEqual(REQUEST);
});
