import { describe, expect, it } from "vitest";
import { DEFAULT_WINDOW_BYTES, ErrorCode, Http2Error } from "../../src/http2/frames.ts";
import { grpcRequestFields, RawSetting, rawHeaders, rawPing } from "../../src/testing/raw-frames.ts";
import { encodeLiterals } from "../../src/testing/raw-hpack.ts";
import { settle } from "../../src/testing/virtual-clock.ts";
import { type Attack, attacks } from "./attacks.ts";
import { Http2Scene, REQUEST } from "./http2-scene.ts";
import { expectEcho, WireServer } from "./wire-server.ts";

const ANSWER = [[":status", "200"]] as const;

/** The end of a connection that passed a bound: by GOAWAY, or, when it does not read, without a word. */
async function expectEnd(scene: Http2Scene, attack: Attack): Promise<void> {
  await scene.peer.closed;
  await settle();
  expect(scene.owner.ends).toHaveLength(1);
  const [error] = scene.owner.ends as [Http2Error];
  expect(error).toBeInstanceOf(Http2Error);
  expect(error).toMatchObject({ code: ErrorCode.ENHANCE_YOUR_CALM, limit: attack.limit, byPeer: false });
  const goaway = scene.peer.received.find((frame) => frame.type === "GOAWAY");
  if (attack.limit === "maxPendingAcks") expect(goaway).toBeUndefined();
  else
    expect(goaway).toMatchObject({
      errorCode: ErrorCode.ENHANCE_YOUR_CALM,
      debug: expect.stringContaining(attack.limit),
    });
  scene.leavesNothing();
}

describe.each(["server", "client"] as const)("a %s ends the connection at a bound, and not before:", (role) => {
  it.each(attacks.filter((attack) => (attack.role ?? role) === role))("$what: $limit", async (attack) => {
    const scene = await Http2Scene.ready({ role, limits: attack.limits, acknowledges: false });
    if (role === "client") for (let i = 0; i < 50; i++) scene.request(false);
    const first = role === "server" ? REQUEST : ANSWER;
    await scene.isAlive();
    const allowed = attack.allowed(first);
    if (allowed.length > 0) scene.peer.send(...allowed);
    await settle();
    expect(scene.owner.ends).toEqual([]);
    expect(scene.connection.isClosed).toBe(false);
    scene.peer.send(...attack.excess(first));
    await expectEnd(scene, attack);
  });
});

describe("a server under attack", () => {
  // PINGs run into the policy for them first, see keepalive.
  it.each(attacks.filter((attack) => attack.role !== "client" && !attack.what.startsWith("PING")))(
    "counts and logs $what, and serves others as before",
    async (attack) => {
      await using wire = await WireServer.start({}, { limits: attack.limits });
      const honest = await wire.connect();
      await expectEcho(honest, 1);
      const request = grpcRequestFields("/wire.v1.Wire/BidiStream");
      const attacker = await wire.open({ acknowledges: false });
      attacker.preface().settings().settingsAck();
      attacker.send(...attack.allowed(request), ...attack.excess(request));
      await attacker.closed;
      await expectEcho(honest, 3);
      // Streams that were reset on the way there are counted by their own kind.
      const { misbehaved } = wire.server;
      expect(misbehaved.get(attack.limit)).toBe(1);
      const warnings = wire.lines.filter((line) => line.level === "warn").map((line) => JSON.stringify(line));
      expect(warnings.filter((line) => line.includes(attack.limit))).toHaveLength(1);
      expect(warnings.length).toBeLessThanOrEqual(10 + misbehaved.size);
      expect(wire.server.connectionCount).toBe(1);
      expect(wire.lines.filter((line) => line.level === "error")).toEqual([]);
    },
  );

  it("allows as much again when time has passed", async () => {
    const scene = await Http2Scene.ready({ role: "server", limits: { resetBurst: 5, resetRate: 10 } });
    for (let i = 0; i < 40; i++) {
      scene.peer.headers(2 * i + 1, REQUEST).rst(2 * i + 1, ErrorCode.CANCEL);
      await scene.clock.advance(100);
    }
    await scene.isAlive();
  });

  it("with the defaults takes 1000 resets at once and no more", async () => {
    const scene = await Http2Scene.ready({ role: "server" });
    for (let i = 0; i < 1000; i++) scene.peer.headers(2 * i + 1, REQUEST).rst(2 * i + 1, ErrorCode.CANCEL);
    await scene.isAlive();
    scene.peer.headers(2001, REQUEST).rst(2001, ErrorCode.CANCEL);
    await scene.endsWith(ErrorCode.ENHANCE_YOUR_CALM, /resetBurst/);
  });
});

describe("maxConcurrentStreams", () => {
  it("refuses what is above it, which may be sent again, and takes new streams as others end", async () => {
    const scene = await Http2Scene.ready({ role: "server", limits: { maxConcurrentStreams: 3 } });
    const settings = scene.peer.received.find((frame) => frame.type === "SETTINGS");
    expect(settings?.settings).toContainEqual([RawSetting.MAX_CONCURRENT_STREAMS, 3]);
    for (const id of [1, 3, 5, 7]) scene.peer.headers(id, REQUEST);
    await scene.resets(7, ErrorCode.REFUSED_STREAM);
    expect(scene.owner.streams).toHaveLength(3);
    scene.peer.rst(3, ErrorCode.CANCEL).headers(9, REQUEST, { end: true });
    await scene.isAlive();
    expect(scene.stream(9).hasEnded).toBe(true);
  });
});

describe.each(["server", "client"] as const)(
  "header bounds of a %s cost the stream only, and its tables stay in step:",
  (role) => {
    const large = [["x", "y".repeat(2000)]] as const;
    const many = Array.from({ length: 9 }, () => ["cookie", "a=b"] as const);

    it.each([
      ["maxHeaderListBytes", { maxHeaderListBytes: 2000 }, encodeLiterals(large)],
      [
        "maxHeaderListBytes by 32 octets a field (row 13)",
        { maxHeaderListBytes: 1024 },
        encodeLiterals(Array.from({ length: 33 }, () => ["", ""] as const)),
      ],
      [
        "maxHeaderListBytes by references of an octet each (row 6)",
        { maxHeaderListBytes: 5000 },
        Buffer.concat([
          Buffer.of(0x40),
          encodeLiterals([["bomb", "b".repeat(1000)]]).subarray(1),
          Buffer.alloc(5, 0xbe),
        ]),
      ],
      ["maxHeaderFields", { maxHeaderFields: 8 }, encodeLiterals(many)],
      ["maxHeaderFields by references of an octet each (row 6)", { maxHeaderFields: 8 }, Buffer.alloc(9, 0x82)],
      ["maxHeaderBlockBytes, in one frame (row 3)", { maxHeaderBlockBytes: 1024 }, encodeLiterals(large)],
    ])("%s", async (_what, limits, block) => {
      const scene = await Http2Scene.ready({ role, limits });
      if (role === "client") for (let i = 0; i < 2; i++) scene.request(false);
      const insert = Buffer.concat([Buffer.of(0x40), encodeLiterals([["kept", "value"]]).subarray(1)]);
      scene.peer.headers(1, Buffer.concat([insert, block]));
      await scene.resets(1, ErrorCode.ENHANCE_YOUR_CALM);
      // The newest entry, or the one before it when the block has inserted another.
      scene.peer.headers(3, Buffer.of(block[0] === 0x40 ? 0xbf : 0xbe));
      await scene.isAlive();
      expect(scene.stream(3).blocks).toEqual([[["kept", "value"]]]);
      expect(scene.stream(3).resets).toEqual([]);
    });

    it("maxHeaderBlockBytes, in frames of which the last one is one too many (row 3)", async () => {
      const scene = await Http2Scene.ready({ role, limits: { maxHeaderBlockBytes: 1024 } });
      if (role === "client") for (let i = 0; i < 2; i++) scene.request(false);
      const insert = Buffer.concat([Buffer.of(0x40), encodeLiterals([["kept", "value"]]).subarray(1)]);
      const open = role === "server" ? 1024 : 4 * 1024;
      const block = encodeLiterals([["x", "y".repeat(9000)]]);
      scene.peer.headers(1, block.subarray(0, open), { endHeaders: false });
      scene.peer.continuation(1, Buffer.concat([block.subarray(open), insert]), true);
      await scene.resets(1, ErrorCode.ENHANCE_YOUR_CALM);
      scene.peer.headers(3, Buffer.of(0xbe));
      await scene.isAlive();
      expect(scene.stream(3).blocks).toEqual([[["kept", "value"]]]);
    });
  },
);

describe.each(["server", "client"] as const)("a %s that is told to take larger header lists", (role) => {
  it("takes them in as many frames as they need", async () => {
    const scene = await Http2Scene.ready({ role, limits: { maxHeaderListBytes: 524_288 } });
    if (role === "client") scene.request(false);
    const value = "y".repeat(500_000);
    const block = encodeLiterals([["x", value]]);
    scene.peer.headers(1, block.subarray(0, 16_384), { endHeaders: false });
    for (let at = 16_384; at < block.length; at += 16_384) {
      scene.peer.continuation(1, block.subarray(at, at + 16_384), at + 16_384 >= block.length);
    }
    await scene.isAlive();
    expect(scene.stream(1).blocks).toEqual([[["x", value]]]);
  });
});

describe("windows of ours", () => {
  it("start as the limits say", async () => {
    const scene = await Http2Scene.ready({
      role: "server",
      limits: { streamWindowBytes: 100_000, connectionWindowBytes: 300_000 },
    });
    const settings = scene.peer.received.find((frame) => frame.type === "SETTINGS");
    expect(settings?.settings).toContainEqual([RawSetting.INITIAL_WINDOW_SIZE, 100_000]);
    const update = scene.peer.received.find((frame) => frame.type === "WINDOW_UPDATE");
    expect(update).toMatchObject({ streamId: 0, increment: 300_000 - DEFAULT_WINDOW_BYTES });
  });

  it.each(["server", "client"] as const)(
    "of a %s grow with what comes in a round trip, up to maxWindowBytes",
    async (role) => {
      const limits = { streamWindowBytes: 65_535, connectionWindowBytes: 65_535, maxWindowBytes: 500_000 };
      const scene = await Http2Scene.ready({ role, limits });
      if (role === "client") scene.request(false);
      scene.peer.headers(1, role === "server" ? REQUEST : ANSWER);
      for (let round = 0; round < 12; round++) {
        for (let i = 0; i < 30; i++) scene.peer.data(1, Buffer.alloc(16_384));
        await scene.isAlive();
      }
      const announced = scene.peer.received
        .flatMap((frame) => frame.settings ?? [])
        .filter(([key]) => key === RawSetting.INITIAL_WINDOW_SIZE);
      expect(announced.length).toBeGreaterThan(2);
      expect(Math.max(...announced.map(([, value]) => value))).toBe(500_000);
      expect(scene.stream(1).receiveWindow).toBeLessThanOrEqual(500_000);
      expect(scene.stream(1).resets).toEqual([]);
    },
  );

  it.each([
    { what: "grow for a stream that is read as it comes, though the connection's is far from full", isRead: true },
    { what: "don't grow for a stream that is not read", isRead: false },
  ])("$what", async ({ isRead }) => {
    const scene = await Http2Scene.ready({
      role: "server",
      limits: { streamWindowBytes: 65_535, connectionWindowBytes: 1_048_576 },
    });
    scene.owner.onData = (stream, bytes) => {
      if (!isRead) stream.heldBytes += bytes;
    };
    scene.peer.headers(1, REQUEST).headers(3, REQUEST);
    for (let i = 0; i < (isRead ? 24 : 3); i++) scene.peer.data(1, Buffer.alloc(16_384));
    await scene.isAlive();
    const announced = scene.peer.received
      .flatMap((frame) => frame.settings ?? [])
      .filter(([key]) => key === RawSetting.INITIAL_WINDOW_SIZE)
      .map(([, value]) => value);
    expect(announced).toEqual(isRead ? [65_535, 131_070] : [65_535]);
    expect(scene.stream(1).resets).toEqual([]);
  });

  it("that have grown are those of open streams too, once the peer has acknowledged them", async () => {
    const limits = { streamWindowBytes: 65_535, connectionWindowBytes: 65_535 };
    const scene = await Http2Scene.ready({ role: "server", limits });
    scene.owner.onData = (stream, bytes) => {
      if (stream.streamId === 1) stream.heldBytes += bytes;
    };
    scene.peer.headers(1, REQUEST).headers(3, REQUEST);
    for (let i = 0; i < 12; i++) scene.peer.data(3, Buffer.alloc(16_384));
    await scene.isAlive();
    await scene.isAlive();
    const grown = scene.stream(1).receiveWindow;
    expect(grown).toBeGreaterThanOrEqual(131_070);
    for (let left = grown; left > 0; left -= 16_384) scene.peer.data(1, Buffer.alloc(Math.min(left, 16_384)));
    await scene.isAlive();
    expect(scene.stream(1)).toMatchObject({ dataBytes: grown, receiveWindow: 0, resets: [] });
  });

  it("of a stream that nobody reads stay shut, while its neighbours go on", async () => {
    const scene = await Http2Scene.ready({ role: "server", limits: { connectionWindowBytes: 65_535 } });
    scene.owner.onData = (stream, bytes) => {
      if (stream.streamId === 1) stream.heldBytes += bytes;
    };
    scene.peer.headers(1, REQUEST).headers(3, REQUEST);
    for (let i = 0; i < 16; i++) scene.peer.data(1, Buffer.alloc(16_384));
    await scene.isAlive();
    for (let i = 0; i < 50; i++) scene.peer.data(3, Buffer.alloc(16_384));
    await scene.isAlive();
    expect(scene.stream(1)).toMatchObject({ dataBytes: 262_144, receiveWindow: 0 });
    expect(scene.stream(3)).toMatchObject({ dataBytes: 50 * 16_384, resets: [] });
    const updates = scene.peer.received.filter((frame) => frame.type === "WINDOW_UPDATE");
    expect(updates.filter((frame) => frame.streamId === 1)).toEqual([]);
    expect(updates.filter((frame) => frame.streamId === 3).length).toBeGreaterThan(3);
  });
});

describe("maxNewStreamsPerTurn", () => {
  it("lets others have their turn in the middle of a chunk, and loses nothing", async () => {
    const scene = await Http2Scene.ready({ role: "server", limits: { maxNewStreamsPerTurn: 10 } });
    scene.peer.send(...Array.from({ length: 105 }, (_, i) => rawHeaders(2 * i + 1, REQUEST, { end: true })), rawPing());
    const perTurn: number[] = [];
    for (let turn = 0, before = 0; turn < 40; turn++) {
      await settle(1);
      if (scene.owner.streams.length > before) perTurn.push(scene.owner.streams.length - before);
      before = scene.owner.streams.length;
    }
    expect(perTurn).toEqual([...Array(10).fill(10), 5]);
    expect(scene.owner.streams.map((stream) => stream.streamId)).toEqual(
      Array.from({ length: 105 }, (_, i) => 2 * i + 1),
    );
    await scene.peer.expect("PING", (frame) => frame.isAck);
  });

  it("holds the sender up while a lot waits for its turn", async () => {
    const scene = await Http2Scene.ready({
      role: "server",
      limits: { maxNewStreamsPerTurn: 1, maxConcurrentStreams: 100_000 },
    });
    const frames = Array.from({ length: 20_000 }, (_, i) => rawHeaders(2 * i + 1, REQUEST, { end: true }));
    scene.peer.send(...frames);
    const bytes = frames.reduce((sum, frame) => sum + frame.length, 0);
    let most = 0;
    for (let turn = 0; turn < 50; turn++) {
      await settle(1);
      most = Math.max(most, bytes - scene.far.undeliveredBytes);
    }
    expect(bytes).toBeGreaterThan(1_000_000);
    expect(most).toBeLessThan(400_000);
    scene.near.reset();
    await settle();
  });
});
