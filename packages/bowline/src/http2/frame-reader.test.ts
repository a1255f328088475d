import { describe, expect, it } from "vitest";
import { RecordingSink } from "../../test/wire/recording-sink.ts";
import {
  PREFACE,
  RawFlag,
  rawContinuation,
  rawData,
  rawFrame,
  rawGoaway,
  rawHeaders,
  rawPing,
  rawReset,
  rawSettings,
  rawWindowUpdate,
} from "../testing/raw-frames.ts";
import { FrameReader } from "./frame-reader.ts";
import { ErrorCode, errorCodeName } from "./frames.ts";

const MAX_FRAME_BYTES = 16_384;

/** A client's reader that has seen the server's SETTINGS. */
function reader(sink: RecordingSink): FrameReader {
  const made = new FrameReader(sink, false, MAX_FRAME_BYTES);
  made.read(rawSettings());
  sink.calls.length = 0;
  return made;
}

describe("a frame reader", () => {
  it("passes DATA on in pieces as they come, and everything else once it is whole", () => {
    const sink = new RecordingSink();
    const frames = reader(sink);
    const data = rawData(1, Buffer.from("abcdef"), { end: true });
    frames.read(data.subarray(0, 11));
    expect(sink.pieces).toEqual(["ab"]);
    frames.read(data.subarray(11, 14));
    frames.read(Buffer.concat([data.subarray(14), rawPing(Buffer.from("01234567")).subarray(0, 12)]));
    expect(sink.pieces).toEqual(["ab", "cde", "f"]);
    expect(sink.calls).toEqual([`data 1 flags 1 length 6 ${Buffer.from("abcdef").toString("hex")}`]);
    expect(frames.retainedBytes).toBe(12);
    frames.read(rawPing(Buffer.from("01234567")).subarray(12));
    expect(sink.calls.at(-1)).toBe(`ping ${Buffer.from("01234567").toString("hex")}`);
    expect(frames.retainedBytes).toBe(0);
  });

  it("reads on nothing of what was retained behind a cut DATA frame that ends the connection", () => {
    const sink = new RecordingSink();
    const frames = reader(sink);
    sink.dataFrame = () => {
      sink.isOver = true;
      return false;
    };
    // Smaller pieces become one while they wait.
    const data = rawData(7, Buffer.alloc(5000));
    frames.retain(data.subarray(0, 11));
    frames.retain(Buffer.concat([data.subarray(11), rawHeaders(9, Buffer.from("block"))]));
    frames.readRetained();
    expect(sink.calls).toEqual([]);
  });

  it("waits for all of a padded DATA frame, because its last octets are no data", () => {
    const sink = new RecordingSink();
    const frames = reader(sink);
    const padded = rawData(1, Buffer.from("xyz"), { padding: 4 });
    frames.read(padded.subarray(0, 13));
    expect(sink.pieces).toEqual([]);
    frames.read(padded.subarray(13));
    expect(sink.calls).toEqual([`data 1 flags 8 length 8 ${Buffer.from("xyz").toString("hex")}`]);
  });

  it("takes padding and priority off HEADERS", () => {
    const sink = new RecordingSink();
    const block = Buffer.from("block");
    reader(sink).read(
      Buffer.concat([
        rawHeaders(1, block),
        rawHeaders(3, block, { padding: 3, end: true }),
        rawHeaders(5, block, { priority: { dependsOn: 0x7fffffff, exclusive: true } }),
        rawHeaders(7, block, { padding: 0, priority: { dependsOn: 7 } }),
        rawHeaders(9, Buffer.alloc(0), { padding: 200 }),
      ]),
    );
    const hex = block.toString("hex");
    expect(sink.calls).toEqual([
      `headers 1 flags 4 depends -1 ${hex}`,
      `headers 3 flags 13 depends -1 ${hex}`,
      `headers 5 flags 36 depends 2147483647 ${hex}`,
      `headers 7 flags 44 depends 7 ${hex}`,
      "headers 9 flags 12 depends -1 ",
    ]);
  });

  it("ignores the reserved bit of stream ids and increments", () => {
    const sink = new RecordingSink();
    reader(sink).read(
      Buffer.concat([
        rawWindowUpdate(0x80000003, 0x80000005),
        rawGoaway(0x80000007, 2, "why"),
        rawReset(0x80000009, 8),
      ]),
    );
    expect(sink.calls).toEqual(["window 3 by 5", "goaway 7 code 2 why", "reset 9 code 8"]);
  });

  it("stops where the sink says so and goes on from there", () => {
    const sink = new RecordingSink();
    const frames = reader(sink);
    const bytes = Buffer.concat([rawReset(1, 8), rawReset(3, 8), rawReset(5, 8)]);
    sink.stopsAfter = 1;
    frames.read(bytes);
    expect(sink.calls).toHaveLength(1);
    expect(frames.retainedBytes).toBe(26);
    frames.retain(rawReset(7, 8));
    sink.stopsAfter = 2;
    frames.readRetained();
    expect(sink.calls).toHaveLength(3);
    sink.stopsAfter = Number.POSITIVE_INFINITY;
    frames.readRetained();
    expect(sink.calls).toEqual(["reset 1 code 8", "reset 3 code 8", "reset 5 code 8", "reset 7 code 8"]);
    frames.readRetained();
    expect(sink.calls).toHaveLength(4);
  });

  it("keeps no reference to a chunk after it was read", () => {
    const sink = new RecordingSink();
    const frames = reader(sink);
    const bytes = rawHeaders(1, Buffer.from("constant"));
    const first = Buffer.from(bytes.subarray(0, 14));
    frames.read(first);
    first.fill(0xdb);
    frames.read(bytes.subarray(14));
    expect(sink.calls).toEqual([`headers 1 flags 4 depends -1 ${Buffer.from("constant").toString("hex")}`]);
  });

  it("keeps of a large chunk no more memory than what is left of it needs", () => {
    const sink = new RecordingSink();
    const frames = reader(sink);
    let keptBytes = 0;
    sink.pingFrame = (_isAck, chunk) => {
      keptBytes = chunk.buffer.byteLength;
      return true;
    };
    const large = rawData(1, Buffer.alloc(MAX_FRAME_BYTES));
    // Behind the beginning of a frame, so that the reader makes one chunk of it and the next.
    frames.read(large.subarray(0, 5));
    sink.stopsAfter = 3;
    frames.read(Buffer.concat([large.subarray(5), large, large, rawPing()]));
    expect(frames.retainedBytes).toBe(17);
    frames.readRetained();
    expect(keptBytes).toBe(17);
  });

  it("copies nothing but the frame that lies in two chunks", () => {
    const sink = new RecordingSink();
    const frames = reader(sink);
    const memory: ArrayBufferLike[] = [];
    sink.pingFrame = (_isAck, chunk) => memory.push(chunk.buffer) > 0;
    const all = Buffer.concat(Array.from({ length: 5 }, () => rawPing()));
    for (const places of [[3], [9], [12], [4, 8], [4, 8, 12]]) {
      memory.length = 0;
      const ends = [...places, all.length];
      const chunks = ends.map((end, i) =>
        Buffer.from(new Uint8Array(all.subarray(i === 0 ? 0 : ends[i - 1], end)).buffer),
      );
      for (const chunk of chunks) frames.read(chunk);
      expect(memory).toHaveLength(5);
      expect(memory[0]).not.toBe(chunks.at(-1)?.buffer);
      expect(new Set(memory.slice(1))).toEqual(new Set([chunks.at(-1)?.buffer]));
    }
  });

  it("puts small chunks together that it is to retain", () => {
    const sink = new RecordingSink();
    const frames = reader(sink);
    const data = rawData(1, Buffer.alloc(MAX_FRAME_BYTES, "x"));
    frames.read(data.subarray(0, 10));
    for (const octet of data.subarray(10)) frames.retain(Buffer.of(octet));
    frames.retain(rawPing());
    expect(frames.retainedBytes).toBe(MAX_FRAME_BYTES - 1 + 17);
    frames.readRetained();
    expect(sink.pieces.map((piece) => piece.length)).toEqual([1, 4096, 4096, 4096, 4095]);
    expect(sink.calls).toHaveLength(2);
    expect(frames.retainedBytes).toBe(0);
  });

  it("copies a rest once it is small beside its chunk, not each time that it is stopped", () => {
    const sink = new RecordingSink();
    const frames = reader(sink);
    const buffers = new Set<ArrayBufferLike>();
    sink.pingFrame = (_isAck, chunk) => {
      buffers.add(chunk.buffer);
      return false;
    };
    frames.retain(Buffer.concat(Array.from({ length: 1000 }, () => rawPing())));
    while (frames.retainedBytes > 0) frames.readRetained();
    // Half as large each time.
    expect(buffers.size).toBeLessThanOrEqual(11);
  });
});

describe("the client's preface", () => {
  it("may come octet by octet", () => {
    const sink = new RecordingSink();
    const frames = new FrameReader(sink, true, MAX_FRAME_BYTES);
    for (const octet of Buffer.concat([PREFACE, rawSettings([[3, 9]])])) frames.read(Buffer.of(octet));
    expect(sink.calls).toEqual(["settings 000300000009"]);
  });

  it("is missed at the first octet that differs, with all that came before in the explanation", () => {
    for (const split of [0, 1, 4, 20]) {
      const sink = new RecordingSink();
      const frames = new FrameReader(sink, true, MAX_FRAME_BYTES);
      const bytes = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\nGET");
      frames.read(bytes.subarray(0, split));
      expect(sink.calls).toEqual([]);
      frames.read(bytes.subarray(split));
      expect(sink.calls).toEqual([`not HTTP/2: ${bytes.toString("latin1")}`]);
    }
  });

  it("must be followed by SETTINGS that are no acknowledgement", () => {
    for (const frame of [rawPing(), rawFrame("SETTINGS", RawFlag.ACK, 0), Buffer.from("HTTP/1.1 400 Bad Request")]) {
      for (const isServer of [true, false]) {
        const sink = new RecordingSink();
        new FrameReader(sink, isServer, MAX_FRAME_BYTES).read(isServer ? Buffer.concat([PREFACE, frame]) : frame);
        expect(sink.calls).toEqual([`not HTTP/2: ${frame.toString("latin1")}`]);
      }
    }
  });

  it("is shown whole when it is none and comes in two chunks", () => {
    for (let at = 1; at < 9; at++) {
      const sink = new RecordingSink();
      const frames = new FrameReader(sink, false, MAX_FRAME_BYTES);
      const answer = Buffer.from("HTTP/1.1 400 Bad Request");
      frames.read(answer.subarray(0, at));
      expect(String(frames.head)).toBe(String(answer.subarray(0, at)));
      frames.read(answer.subarray(at));
      expect(sink.calls).toEqual(["not HTTP/2: HTTP/1.1 400 Bad Request"]);
    }
  });
});

/** RFC 9113 sections 4 and 6: what is wrong with a frame by itself. */
const wrongFrames: readonly (readonly [what: string, frame: Buffer, code: number])[] = [
  ["DATA on stream 0", rawData(0, Buffer.from("x")), ErrorCode.PROTOCOL_ERROR],
  ["empty DATA on stream 0", rawData(0, Buffer.alloc(0)), ErrorCode.PROTOCOL_ERROR],
  ["DATA without room for the length of its padding", rawFrame("DATA", RawFlag.PADDED, 1), ErrorCode.FRAME_SIZE_ERROR],
  [
    "DATA with padding of its whole length",
    rawFrame("DATA", RawFlag.PADDED, 1, Buffer.of(3, 0, 0)),
    ErrorCode.PROTOCOL_ERROR,
  ],
  [
    "DATA with more padding than octets",
    rawFrame("DATA", RawFlag.PADDED, 1, Buffer.of(255, 0)),
    ErrorCode.PROTOCOL_ERROR,
  ],
  ["HEADERS on stream 0", rawHeaders(0, Buffer.of(0x82)), ErrorCode.PROTOCOL_ERROR],
  ["HEADERS without room for the length of its padding", rawFrame("HEADERS", 0xc, 1), ErrorCode.FRAME_SIZE_ERROR],
  ["HEADERS without room for its priority", rawFrame("HEADERS", 0x24, 1, Buffer.alloc(4)), ErrorCode.FRAME_SIZE_ERROR],
  ["HEADERS with more padding than octets", rawFrame("HEADERS", 0xc, 1, Buffer.of(2, 0x82)), ErrorCode.PROTOCOL_ERROR],
  ["PRIORITY on stream 0", rawFrame("PRIORITY", 0, 0, Buffer.alloc(5)), ErrorCode.PROTOCOL_ERROR],
  ["RST_STREAM on stream 0", rawReset(0, 8), ErrorCode.PROTOCOL_ERROR],
  ["RST_STREAM of 3 octets", rawFrame("RST_STREAM", 0, 1, Buffer.alloc(3)), ErrorCode.FRAME_SIZE_ERROR],
  ["RST_STREAM of 5 octets", rawFrame("RST_STREAM", 0, 1, Buffer.alloc(5)), ErrorCode.FRAME_SIZE_ERROR],
  ["SETTINGS on a stream", rawFrame("SETTINGS", 0, 1), ErrorCode.PROTOCOL_ERROR],
  ["SETTINGS of 5 octets", rawFrame("SETTINGS", 0, 0, Buffer.alloc(5)), ErrorCode.FRAME_SIZE_ERROR],
  [
    "an acknowledgement of SETTINGS with content",
    rawFrame("SETTINGS", RawFlag.ACK, 0, Buffer.alloc(6)),
    ErrorCode.FRAME_SIZE_ERROR,
  ],
  ["PUSH_PROMISE", rawFrame("PUSH_PROMISE", 4, 1, Buffer.of(0, 0, 0, 2, 0x82)), ErrorCode.PROTOCOL_ERROR],
  ["PING on a stream", rawFrame("PING", 0, 1, Buffer.alloc(8)), ErrorCode.PROTOCOL_ERROR],
  ["PING of 7 octets", rawFrame("PING", 0, 0, Buffer.alloc(7)), ErrorCode.FRAME_SIZE_ERROR],
  ["an answer to PING of 9 octets", rawFrame("PING", RawFlag.ACK, 0, Buffer.alloc(9)), ErrorCode.FRAME_SIZE_ERROR],
  ["GOAWAY on a stream", rawFrame("GOAWAY", 0, 1, Buffer.alloc(8)), ErrorCode.PROTOCOL_ERROR],
  ["GOAWAY of 7 octets", rawFrame("GOAWAY", 0, 0, Buffer.alloc(7)), ErrorCode.FRAME_SIZE_ERROR],
  ["WINDOW_UPDATE of 3 octets", rawFrame("WINDOW_UPDATE", 0, 0, Buffer.alloc(3)), ErrorCode.FRAME_SIZE_ERROR],
  ["WINDOW_UPDATE of 5 octets", rawFrame("WINDOW_UPDATE", 0, 1, Buffer.alloc(5)), ErrorCode.FRAME_SIZE_ERROR],
  ["CONTINUATION without HEADERS", rawContinuation(1, Buffer.of(0x82)), ErrorCode.PROTOCOL_ERROR],
  ["CONTINUATION on stream 0", rawContinuation(0, Buffer.of(0x82)), ErrorCode.PROTOCOL_ERROR],
];

/** Section 4.3: nothing may come between the parts of a header block. */
const interruptions: readonly (readonly [what: string, frame: Buffer])[] = [
  ["DATA", rawData(1, Buffer.from("x"))],
  ["HEADERS of the same stream", rawHeaders(1, Buffer.of(0x82))],
  ["HEADERS of another", rawHeaders(3, Buffer.of(0x82))],
  ["CONTINUATION of another", rawContinuation(3, Buffer.of(0x82))],
  ["PRIORITY", rawFrame("PRIORITY", 0, 1, Buffer.alloc(5))],
  ["RST_STREAM", rawReset(1, 8)],
  ["SETTINGS", rawSettings()],
  ["PING", rawPing()],
  ["GOAWAY", rawGoaway(0, 0)],
  ["WINDOW_UPDATE", rawWindowUpdate(0, 100)],
  ["a frame of unknown type", rawFrame(0x42, 0, 1)],
];

describe("a frame that is wrong by itself ends the connection:", () => {
  it.each(wrongFrames)("%s", (_what, frame, code) => {
    const sink = new RecordingSink();
    reader(sink).read(frame);
    expect(sink.calls).toHaveLength(1);
    expect(sink.calls[0]).toMatch(new RegExp(`^error ${errorCodeName(code)}: [^.]+$`));
  });

  it.each(wrongFrames)("%s, in two chunks, and nothing behind it is read", (_what, frame, code) => {
    for (let at = 1; at < frame.length; at++) {
      const sink = new RecordingSink();
      const frames = reader(sink);
      frames.read(frame.subarray(0, at));
      if (!sink.isOver) frames.read(Buffer.concat([frame.subarray(at), rawPing()]));
      expect(sink.calls).toHaveLength(1);
      expect(sink.calls[0]).toContain(errorCodeName(code));
    }
  });

  it.each(["DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PING", "GOAWAY", "WINDOW_UPDATE"] as const)(
    "%s of more than 16384 octets, before they have come",
    (type) => {
      const sink = new RecordingSink();
      const frames = reader(sink);
      frames.read(
        rawFrame(type, 0, type === "DATA" || type === "HEADERS" ? 1 : 0, Buffer.alloc(0), MAX_FRAME_BYTES + 1),
      );
      expect(sink.calls).toEqual(["error FRAME_SIZE_ERROR: a frame of 16385 octets, 16384 are allowed"]);
      expect(frames.retainedBytes).toBe(0);
    },
  );

  it.each(interruptions)("%s inside a header block", (_what, frame) => {
    const sink = new RecordingSink();
    reader(sink).read(Buffer.concat([rawHeaders(1, Buffer.of(0x82), { endHeaders: false }), frame]));
    expect(sink.calls[1]).toBe("error PROTOCOL_ERROR: a header block is interrupted by another frame");
  });

  it("a second block is not mistaken for the first one's continuation", () => {
    const sink = new RecordingSink();
    reader(sink).read(
      Buffer.concat([
        rawHeaders(1, Buffer.of(0x82), { endHeaders: false }),
        rawContinuation(1, Buffer.of(0x83), false),
        rawContinuation(1, Buffer.of(0x84)),
        rawContinuation(1, Buffer.of(0x85)),
      ]),
    );
    expect(sink.calls.at(-1)).toBe("error PROTOCOL_ERROR: CONTINUATION without HEADERS");
  });
});
