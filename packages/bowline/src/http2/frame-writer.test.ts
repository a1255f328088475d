import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CapturingLink } from "../../test/wire/capturing-link.ts";
import { atEndOfTurn } from "../rpc/turn.ts";
import { memoryLinkPair } from "../testing/memory-link.ts";
import { rawData } from "../testing/raw-frames.ts";
import { settle } from "../testing/virtual-clock.ts";
import { BY_REFERENCE_BYTES, FrameWriter } from "./frame-writer.ts";
import { ErrorCode, FrameType } from "./frames.ts";

const ARENA_BYTES = 65_536;

function payload(bytes: number, fill: number = 0x61): Buffer {
  return Buffer.alloc(bytes, fill);
}

describe("a frame writer", () => {
  it("writes every kind of frame", () => {
    const link = new CapturingLink();
    const writer = new FrameWriter(link);
    writer.settings(
      [
        [3, 0xffffffff],
        [4, 7],
      ],
      false,
    );
    writer.settings([], true);
    writer.ping(Buffer.from("01234567"), false);
    writer.ping(Buffer.from("76543210"), true);
    writer.number(FrameType.WINDOW_UPDATE, 5, 0x7fffffff);
    writer.number(FrameType.RST_STREAM, 0x7fffffff, ErrorCode.CANCEL);
    writer.goaway(9, ErrorCode.ENHANCE_YOUR_CALM, "zu viel – too much");
    writer.data(1, payload(3), true);
    writer.data(1, payload(0), false);
    writer.flush();
    const [settings, ack, ping, pong, update, reset, goaway, data, empty] = link.frames;
    expect(settings).toMatchObject({
      type: "SETTINGS",
      isAck: false,
      settings: [
        [3, 0xffffffff],
        [4, 7],
      ],
    });
    expect(ack).toMatchObject({ type: "SETTINGS", isAck: true, settings: [] });
    expect([ping.payload.toString(), ping.isAck, pong.payload.toString(), pong.isAck]).toEqual([
      "01234567",
      false,
      "76543210",
      true,
    ]);
    expect(update).toMatchObject({ type: "WINDOW_UPDATE", streamId: 5, increment: 0x7fffffff });
    expect(reset).toMatchObject({ type: "RST_STREAM", streamId: 0x7fffffff, errorCode: 8 });
    expect(goaway).toMatchObject({
      type: "GOAWAY",
      streamId: 0,
      lastStreamId: 9,
      errorCode: 11,
      debug: "zu viel – too much",
    });
    expect(data).toMatchObject({ type: "DATA", streamId: 1, isEnd: true });
    expect(empty).toMatchObject({ type: "DATA", isEnd: false });
    expect(empty.payload).toHaveLength(0);
  });

  it("splits a header block by CONTINUATION at the peer's frame size and ends the stream on HEADERS only", () => {
    const link = new CapturingLink();
    const writer = new FrameWriter(link);
    writer.headers(1, payload(0), false, 100);
    writer.headers(3, Buffer.alloc(100, 0x82), true, 100);
    writer.headers(5, Buffer.alloc(250, 0x82), true, 100);
    writer.flush();
    expect(
      link.frames.map(({ type, streamId, flags, payload: octets }) => [type, streamId, flags, octets.length]),
    ).toEqual([
      ["HEADERS", 1, 4, 0],
      ["HEADERS", 3, 5, 100],
      ["HEADERS", 5, 1, 100],
      ["CONTINUATION", 5, 0, 100],
      ["CONTINUATION", 5, 4, 50],
    ]);
  });

  it("hands all frames of a turn to the link in one write, those of its promises too", async () => {
    const link = new CapturingLink();
    const writer = new FrameWriter(link);
    writer.data(1, payload(10), false);
    writer.data(3, payload(10), false);
    await Promise.resolve();
    await Promise.resolve();
    writer.data(5, payload(10), false);
    expect(link.writes).toHaveLength(0);
    await settle(1);
    expect(link.writes).toHaveLength(1);
    expect(link.frames.map((frame) => frame.streamId)).toEqual([1, 3, 5]);
    writer.data(7, payload(10), false);
    await settle(1);
    expect(link.writes).toHaveLength(2);
    await settle(1);
    expect(link.writes).toHaveLength(2);
  });

  it("owns no arena while it has nothing to send, and passes its own on to the next connection", () => {
    const writer = new FrameWriter(new CapturingLink());
    writer.data(1, payload(10), false);
    const arena = writer.buffer;
    expect(arena).toHaveLength(ARENA_BYTES);
    writer.flush();
    expect(writer.buffer).toHaveLength(0);
    const other = new FrameWriter(new CapturingLink());
    other.data(1, payload(10), false);
    expect(other.buffer).toBe(arena);
    other.flush();
  });

  it.each([true, false])(
    "leaves a lent arena to its borrower, whatever is written meanwhile (the link takes all: %s)",
    (takesAll) => {
      const link = new CapturingLink();
      link.isBusyAfterWrite = !takesAll;
      const writer = new FrameWriter(link);
      writer.number(FrameType.WINDOW_UPDATE, 1, 1);
      writer.reserve(100);
      const at = writer.offset;
      const arena = writer.lend();
      arena.fill(1, at, at + 50);
      writer.data(3, payload(60), false);
      const other = new FrameWriter(new CapturingLink());
      other.data(5, payload(60_000), false);
      expect(arena.subarray(at, at + 50).every((octet) => octet === 1)).toBe(true);
      arena.fill(2, at, at + 100);
      writer.takeBack(arena);
      expect(writer.buffer).not.toBe(arena);
      expect(other.buffer).not.toBe(arena);
      writer.flush();
      expect(link.frames.map(({ type, streamId }) => [type, streamId])).toEqual([
        ["WINDOW_UPDATE", 1],
        ["DATA", 3],
      ]);
      expect(link.frames[1].payload.equals(payload(60))).toBe(true);
    },
  );

  it("goes on in an arena that was lent when nothing was written meanwhile", () => {
    const writer = new FrameWriter(new CapturingLink());
    writer.reserve(100);
    const arena = writer.lend();
    writer.takeBack(arena);
    writer.number(FrameType.WINDOW_UPDATE, 1, 1);
    expect(writer.buffer).toBe(arena);
  });

  it("does not write over octets that the link has not taken yet", () => {
    const link = new CapturingLink();
    link.isIdle = false;
    const writer = new FrameWriter(link);
    for (let round = 0; round < 20; round++) {
      writer.data(1, payload(9000, round), false);
      writer.flush();
    }
    const written = link.writes.flat();
    expect(Buffer.concat(written)).toEqual(link.bytes);
    expect(written.map((chunk) => chunk[100])).toEqual(Array.from({ length: 20 }, (_, round) => round));
    link.isIdle = true;
    writer.drained();
    expect(writer.buffer).toHaveLength(0);
  });

  it("keeps what it has not handed on yet when the link drains, and hands it on when it is no longer held", async () => {
    const link = new CapturingLink();
    const writer = new FrameWriter(link);
    writer.hold();
    writer.data(1, payload(10), false);
    await settle(2);
    expect(link.writes).toHaveLength(0);
    writer.drained();
    writer.data(3, payload(20_000), true);
    writer.drained();
    writer.release();
    await settle(1);
    expect(link.frames.map((frame) => [frame.streamId, frame.payload.length])).toEqual([
      [1, 10],
      [3, 20_000],
    ]);
  });

  it("passes large payloads on by reference, in their place among the other frames", () => {
    const link = new CapturingLink();
    const writer = new FrameWriter(link);
    const large = payload(BY_REFERENCE_BYTES, 1);
    const larger = payload(BY_REFERENCE_BYTES + 1, 2);
    writer.data(1, payload(5), false);
    writer.data(3, large, false);
    writer.data(5, larger, true);
    writer.ping(Buffer.alloc(8), false);
    writer.flush();
    expect(link.writes).toHaveLength(1);
    expect(link.writes[0].filter((chunk) => chunk === large || chunk === larger)).toHaveLength(2);
    expect(link.frames.map(({ type, streamId, payload: octets }) => [type, streamId, octets.length])).toEqual([
      ["DATA", 1, 5],
      ["DATA", 3, BY_REFERENCE_BYTES],
      ["DATA", 5, BY_REFERENCE_BYTES + 1],
      ["PING", 0, 8],
    ]);
  });

  it("copies what is smaller, so that it may change at once", () => {
    const link = new CapturingLink();
    const writer = new FrameWriter(link);
    const small = payload(BY_REFERENCE_BYTES - 1);
    writer.data(1, small, false);
    small.fill(0);
    writer.flush();
    expect(link.frames[0].data?.equals(payload(BY_REFERENCE_BYTES - 1))).toBe(true);
  });

  it("makes room for more than an arena holds, and for what does not fit into the rest of one", () => {
    const link = new CapturingLink();
    const writer = new FrameWriter(link);
    writer.data(1, payload(10), false);
    writer.reserve(100_000);
    expect(writer.buffer.length - writer.offset).toBeGreaterThanOrEqual(100_000);
    const at = writer.header(writer.offset, 90_000, FrameType.DATA, 0, 3);
    writer.buffer.fill(0x62, at, at + 90_000);
    writer.offset = at + 90_000;
    writer.data(5, payload(15_000), true);
    writer.flush();
    expect(link.frames.map((frame) => [frame.streamId, frame.payload.length])).toEqual([
      [1, 10],
      [3, 90_000],
      [5, 15_000],
    ]);
  });

  it("tells of congestion from a refused write until the link has drained", () => {
    const link = new CapturingLink();
    const writer = new FrameWriter(link);
    link.accepts = false;
    link.isIdle = false;
    writer.data(1, payload(10), false);
    expect(writer.isCongested).toBe(false);
    writer.flush();
    expect(writer.isCongested).toBe(true);
    link.accepts = true;
    expect(writer.congestedBytes).toBe(0);
    writer.ping(Buffer.alloc(8), true);
    writer.flush();
    expect(writer).toMatchObject({ isCongested: true, congestedBytes: 17 });
    link.isIdle = true;
    writer.drained();
    expect(writer).toMatchObject({ isCongested: false, congestedBytes: 0 });
  });

  it("counts the acknowledgements that the link has not taken", async () => {
    const link = new CapturingLink();
    const writer = new FrameWriter(link);
    link.isIdle = false;
    for (let round = 0; round < 3; round++) {
      writer.ping(Buffer.alloc(8), true);
      writer.pendingAcks++;
      await settle(1);
    }
    expect(writer.pendingAcks).toBe(3);
    link.isIdle = true;
    writer.drained();
    expect(writer.pendingAcks).toBe(0);
  });

  it("notices that a link has caught up which refuses nothing and so never drains, as a TLS socket does", async () => {
    const link = new CapturingLink();
    link.isBusyAfterWrite = true;
    const writer = new FrameWriter(link);
    for (let round = 0; round < 50; round++) {
      writer.ping(Buffer.alloc(8), true);
      writer.pendingAcks++;
      await new Promise<void>((resolve) => atEndOfTurn(resolve));
      expect(link.writes).toHaveLength(round + 1);
      expect(writer.buffer).toHaveLength(ARENA_BYTES);
      expect(writer.pendingAcks).toBeLessThanOrEqual(1);
      link.isIdle = true;
      // Every other time the next frames come before anybody could look.
      if (round % 2 === 0) await settle(1);
      expect(writer.buffer).toHaveLength(round % 2 === 0 ? 0 : ARENA_BYTES);
    }
  });

  it("sends nothing after its end", async () => {
    const link = new CapturingLink();
    const writer = new FrameWriter(link);
    writer.data(1, payload(10), false);
    writer.data(1, payload(20_000), false);
    writer.close();
    writer.ping(Buffer.alloc(8), false);
    await settle(2);
    expect(link.writes).toHaveLength(0);
    expect(writer.buffer).toHaveLength(0);
  });
});

describe("frames on their way", () => {
  it("arrive whole and in order, whatever their sizes, turns and the link's speed", async () => {
    const frame = fc.record({ bytes: fc.oneof(fc.nat(300), fc.nat(40_000)), endsTurn: fc.boolean() });
    const speeds = fc.record({ isSlowToTake: fc.boolean(), highWaterBytes: fc.constantFrom(0, 1000, 65_536) });
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { maxLength: 30 }), speeds, async (frames, speed) => {
        // The link breaks when octets change that it has not taken.
        const [near, far] = memoryLinkPair({ ...speed, chunkBytes: 20_000 });
        const writer = new FrameWriter(near);
        const arrived: Buffer[] = [];
        let error: Error | undefined;
        const handler = { linkDrain: () => {}, linkEnd: () => {}, linkClosed: (why?: Error) => void (error = why) };
        near.start({ ...handler, linkData: () => {}, linkDrain: () => writer.drained() });
        far.start({ ...handler, linkData: (chunk) => void arrived.push(Buffer.from(chunk)) });
        const sent: Buffer[] = [];
        for (const [i, { bytes, endsTurn }] of frames.entries()) {
          const content = payload(bytes, i);
          writer.data(i, content, false);
          sent.push(rawData(i, content));
          if (endsTurn) await settle(1);
        }
        const length = sent.reduce((sum, each) => sum + each.length, 0);
        for (let i = 0; i < 200 && arrived.reduce((sum, each) => sum + each.length, 0) < length; i++) await settle(1);
        expect(error).toBeUndefined();
        expect(Buffer.concat(arrived).equals(Buffer.concat(sent))).toBe(true);
      }),
      { numRuns: 60 },
    );
  });
});
