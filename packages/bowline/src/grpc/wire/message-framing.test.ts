import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import {
  FRAMING_BAD_FLAG,
  FRAMING_OK,
  FRAMING_TOO_LARGE,
  MessageAssembler,
  type MessageSink,
  PREFIX_BYTES,
  wholeMessageLength,
  writePrefix,
} from "./message-framing.ts";

interface Received {
  readonly bytes: Buffer;
  readonly compressed: boolean;
  readonly owned: boolean;
}

/** Copies what it gets, as the bytes may be overwritten; checks that nobody else holds those that it may keep. */
class Recorder implements MessageSink {
  readonly messages: Received[] = [];
  readonly kept: Buffer[] = [];
  onMessage: () => void = () => {};

  message(buffer: Buffer, start: number, end: number, compressed: boolean, owned: boolean): void {
    const view = buffer.subarray(start, end);
    if (owned) this.kept.push(view);
    this.messages.push({ bytes: Buffer.from(view), compressed, owned });
    this.onMessage();
  }

  get sizes(): number[] {
    return this.messages.map(({ bytes }) => bytes.length);
  }
}

function framed(message: Uint8Array, compressed = false): Buffer {
  const bytes = Buffer.alloc(PREFIX_BYTES + message.length);
  expect(writePrefix(bytes, 0, compressed, message.length)).toBe(PREFIX_BYTES);
  bytes.set(message, PREFIX_BYTES);
  return bytes;
}

function filled(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + seed * 7 + (i >>> 8)) & 255;
  return bytes;
}

/** Pushes `bytes` in pieces, each from a chunk that is overwritten afterwards, as a connection's is. */
function pushPieces(
  assembler: MessageAssembler,
  bytes: Buffer,
  sizes: (at: number) => number,
  sink: MessageSink,
): number {
  for (let at = 0; at < bytes.length; ) {
    const to = Math.min(bytes.length, at + sizes(at));
    const chunk = Buffer.concat([Buffer.from("<<"), bytes.subarray(at, to), Buffer.from(">>")]);
    const result = assembler.push(chunk, 2, 2 + to - at, sink);
    chunk.fill(0xee);
    if (result !== FRAMING_OK) return result;
    at = to;
  }
  return FRAMING_OK;
}

/** Sizes of all buffers that are made from now on to the end of the test. */
function recordAllocations(): number[] {
  const sizes: number[] = [];
  for (const name of ["allocUnsafe", "allocUnsafeSlow"] as const) {
    const original = Buffer[name];
    vi.spyOn(Buffer, name).mockImplementation((bytes) => {
      sizes.push(bytes);
      return original(bytes);
    });
  }
  return sizes;
}

afterEach(() => vi.restoreAllMocks());

const MAX = 4 << 20;

describe("the prefix", () => {
  it.each([
    [0, [0, 0, 0, 0, 0]],
    [1, [0, 0, 0, 0, 1]],
    [0x01020304, [0, 1, 2, 3, 4]],
    [0xffffffff, [0, 255, 255, 255, 255]],
  ])("of %d bytes", (length, bytes) => {
    const target = Buffer.alloc(7, 0xee);
    expect(writePrefix(target, 1, false, length)).toBe(6);
    expect([...target]).toEqual([0xee, ...bytes, 0xee]);
  });

  it("says that a message is compressed", () => {
    expect([...framed(Buffer.from("x"), true)]).toEqual([1, 0, 0, 0, 1, 120]);
  });
});

describe("a chunk that is one whole message", () => {
  it("has its length", () => {
    for (const length of [0, 1, 255, 256, 65_536]) {
      const bytes = Buffer.concat([Buffer.from("ab"), framed(filled(length)), Buffer.from("cd")]);
      expect(wholeMessageLength(bytes, 2, bytes.length - 2)).toBe(length);
    }
  });

  it.each([
    ["nothing", []],
    ["less than a prefix", [0, 0, 0, 0]],
    ["a compressed message", [1, 0, 0, 0, 1, 9]],
    ["a bad flag", [2, 0, 0, 0, 1, 9]],
    ["a message that goes on", [0, 0, 0, 0, 2, 9]],
    ["more than one message", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
    ["4 GiB announced", [0, 255, 255, 255, 255, 9]],
    ["a length whose top bit is set", [0, 128, 0, 0, 1, 9]],
  ])("is not %s", (_what, bytes) => {
    expect(wholeMessageLength(Buffer.from(bytes), 0, bytes.length)).toBe(-1);
  });
});

describe("cutting a stream into messages", () => {
  it("hands on messages in the chunk where they lie, several at a time and empty ones too", () => {
    const sink = new Recorder();
    const assembler = new MessageAssembler(MAX);
    const bytes = Buffer.concat([
      framed(filled(3)),
      framed(Buffer.alloc(0)),
      framed(filled(5), true),
      framed(Buffer.alloc(0)),
    ]);
    expect(assembler.push(bytes, 0, bytes.length, sink)).toBe(FRAMING_OK);
    expect(sink.sizes).toEqual([3, 0, 5, 0]);
    expect(sink.messages.map(({ compressed }) => compressed)).toEqual([false, false, true, false]);
    expect(sink.messages.every(({ owned }) => !owned)).toBe(true);
    expect(assembler.isPartial).toBe(false);
  });

  it("takes a prefix that is spread over five frames", () => {
    const sink = new Recorder();
    const assembler = new MessageAssembler(MAX);
    expect(pushPieces(assembler, framed(filled(4)), (at) => (at < PREFIX_BYTES - 1 ? 1 : 5), sink)).toBe(FRAMING_OK);
    expect(sink.messages).toEqual([{ bytes: filled(4), compressed: false, owned: false }]);
  });

  it("says while something is cut off", () => {
    const sink = new Recorder();
    const bytes = framed(filled(10));
    for (let cut = 1; cut < bytes.length; cut++) {
      const assembler = new MessageAssembler(MAX);
      expect(assembler.isPartial).toBe(false);
      assembler.push(bytes, 0, cut, sink);
      expect(assembler.isPartial).toBe(true);
      assembler.push(bytes, cut, bytes.length, sink);
      expect(assembler.isPartial).toBe(false);
    }
    expect(sink.messages.every(({ bytes: each }) => each.equals(filled(10)))).toBe(true);
  });

  it("gives away what it assembled, in a buffer that nobody else writes to", () => {
    const sink = new Recorder();
    const assembler = new MessageAssembler(MAX);
    const messages = [filled(100, 1), filled(9000, 2), filled(70_000, 3), filled(1_000_000, 4)];
    pushPieces(assembler, Buffer.concat(messages.map((each) => framed(each))), () => 63, sink);
    expect(sink.kept.length).toBe(4);
    expect(sink.kept.map((each, i) => each.equals(messages[i]))).toEqual([true, true, true, true]);
  });

  it("finds the same messages however they are cut", () => {
    const message = fc.record({
      length: fc.oneof(fc.integer({ min: 0, max: 40 }), fc.constantFrom(4090, 4096, 9000, 40_000, 150_000)),
      compressed: fc.boolean(),
    });
    const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(1000, 4096, 16_384, 65_536)), {
      minLength: 1,
    });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 6 }), sizes, (messages, cuts) => {
        const expected = messages.map(({ length, compressed }, i) => ({ bytes: filled(length, i), compressed }));
        const all = Buffer.concat(expected.map(({ bytes, compressed }) => framed(bytes, compressed)));
        const sink = new Recorder();
        const assembler = new MessageAssembler(MAX);
        let turn = 0;
        expect(pushPieces(assembler, all, () => cuts[turn++ % cuts.length], sink)).toBe(FRAMING_OK);
        expect(assembler.isPartial).toBe(false);
        expect(sink.messages.length).toBe(expected.length);
        sink.messages.forEach(({ bytes, compressed }, i) => {
          expect(bytes.equals(expected[i].bytes)).toBe(true);
          expect(compressed).toBe(expected[i].compressed);
        });
      }),
      { numRuns: 60 },
    );
  });
});

describe("limits", () => {
  it("are reached exactly", () => {
    const sink = new Recorder();
    expect(new MessageAssembler(1000).push(framed(filled(1000)), 0, 1005, sink)).toBe(FRAMING_OK);
    const assembler = new MessageAssembler(1000);
    expect(assembler.push(framed(filled(1001)), 0, 1006, sink)).toBe(FRAMING_TOO_LARGE);
    expect(assembler.announcedBytes).toBe(1001);
    expect(sink.sizes).toEqual([1000]);
  });

  it.each([1, 2, 5])("are checked at the prefix, before anything is kept, arriving in pieces of %d", (size) => {
    const sink = new Recorder();
    const assembler = new MessageAssembler(MAX);
    const prefix = Buffer.from([0, 255, 255, 255, 255]);
    expect(pushPieces(assembler, prefix, () => size, sink)).toBe(FRAMING_TOO_LARGE);
    expect(assembler.announcedBytes).toBe(0xffffffff);
    expect(assembler.isPartial).toBe(false);
  });

  it("leave compressed messages the little by which incompressible data grows", () => {
    const sink = new Recorder();
    expect(new MessageAssembler(1 << 20).push(Buffer.from([1, 0, 0x10, 0x04, 0x40]), 0, 5, sink)).toBe(FRAMING_OK);
    expect(new MessageAssembler(1 << 20).push(Buffer.from([1, 0, 0x10, 0x04, 0x41]), 0, 5, sink)).toBe(
      FRAMING_TOO_LARGE,
    );
    expect(new MessageAssembler(1 << 20).push(Buffer.from([0, 0, 0x10, 0, 1]), 0, 5, sink)).toBe(FRAMING_TOO_LARGE);
  });

  it.each([2, 3, 128, 255])("refuse the flag %d", (flag) => {
    for (const size of [1, 5]) {
      const assembler = new MessageAssembler(MAX);
      const sink = new Recorder();
      expect(pushPieces(assembler, Buffer.from([flag, 0, 0, 0, 0]), () => size, sink)).toBe(FRAMING_BAD_FLAG);
      expect(sink.messages).toEqual([]);
    }
  });

  it("deliver what came before the error and nothing behind it", () => {
    const sink = new Recorder();
    const assembler = new MessageAssembler(100);
    const good = framed(filled(3));
    const bytes = Buffer.concat([good, framed(filled(101)), good]);
    expect(assembler.push(bytes, 0, bytes.length, sink)).toBe(FRAMING_TOO_LARGE);
    expect(assembler.push(good, 0, good.length, sink)).toBe(FRAMING_OK);
    expect(sink.sizes).toEqual([3]);
  });

  it("keep memory below twice what has come plus 4 KiB, whatever is announced", () => {
    const sizes = recordAllocations();
    const sink = new Recorder();
    const assembler = new MessageAssembler(MAX);
    const bytes = framed(filled(1_000_000));
    let retained = 0;
    for (let at = 0; at < bytes.length; at += 1000) {
      const before = sizes.length;
      assembler.push(bytes, at, Math.min(at + 1000, bytes.length), sink);
      // The whole message replaces the pieces.
      for (const size of sizes.slice(before)) retained = size === 1_000_000 ? size : retained + size;
      expect(retained).toBeLessThanOrEqual(2 * (at + 1000) + 4096);
    }
    expect(sizes.length).toBeGreaterThan(5);
    expect(sizes.at(-1)).toBe(1_000_000);
    expect(sink.sizes).toEqual([1_000_000]);
  });

  it("allow nothing for a prefix alone", () => {
    const sizes = recordAllocations();
    const assembler = new MessageAssembler(MAX);
    const prefix = Buffer.alloc(PREFIX_BYTES);
    writePrefix(prefix, 0, false, MAX);
    assembler.push(prefix, 0, PREFIX_BYTES, new Recorder());
    expect(sizes).toEqual([]);
    expect(assembler.isPartial).toBe(true);
  });

  it("take a whole message in one allocation when its first frame is full", () => {
    const sizes = recordAllocations();
    const sink = new Recorder();
    const assembler = new MessageAssembler(MAX);
    const bytes = framed(filled(32_000));
    assembler.push(bytes, 0, 16_384, sink);
    assembler.push(bytes, 16_384, bytes.length, sink);
    expect(sizes).toEqual([32_000]);
    expect(sink.messages[0].bytes.equals(filled(32_000))).toBe(true);
  });

  it("let a flood of single bytes cost no more than its bytes", () => {
    const sink = new Recorder();
    const assembler = new MessageAssembler(MAX);
    const bytes = framed(filled(300_000));
    const copy = vi.spyOn(Buffer.prototype, "copy");
    for (let i = 0; i < bytes.length; i++) assembler.push(bytes, i, i + 1, sink);
    const copied = copy.mock.results.reduce((sum, { value }) => sum + Number(value), 0);
    // Single bytes are stored without `copy`; what it moves is the first half, once, into the whole message.
    expect(copied).toBeGreaterThan(100_000);
    expect(copied).toBeLessThan(160_000);
    expect(sink.messages[0].bytes.equals(filled(300_000))).toBe(true);
  });
});

describe("stopping", () => {
  it("ends delivery in the middle of a chunk and forgets what was kept", () => {
    const sink = new Recorder();
    const assembler = new MessageAssembler(MAX);
    sink.onMessage = () => {
      if (sink.messages.length === 2) assembler.stop();
    };
    const bytes = Buffer.concat([1, 2, 3, 4].map((length) => framed(filled(length))));
    expect(assembler.push(bytes, 0, bytes.length, sink)).toBe(FRAMING_OK);
    expect(assembler.push(bytes, 0, 7, sink)).toBe(FRAMING_OK);
    expect(sink.sizes).toEqual([1, 2]);
    expect(assembler.isPartial).toBe(false);
  });

  it("works from inside the delivery of an assembled message", () => {
    const sink = new Recorder();
    const assembler = new MessageAssembler(MAX);
    sink.onMessage = () => assembler.stop();
    const bytes = Buffer.concat([framed(filled(10)), framed(filled(10))]);
    assembler.push(bytes, 0, 8, sink);
    assembler.push(bytes, 8, bytes.length, sink);
    expect(sink.sizes).toEqual([10]);
  });
});

describe("hostile bytes", () => {
  it("never throw, and nothing above the limit is delivered", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 20 }), (chunks) => {
        const sink = new Recorder();
        const assembler = new MessageAssembler(50);
        for (const chunk of chunks) {
          if (assembler.push(Buffer.from(chunk), 0, chunk.length, sink) !== FRAMING_OK) break;
        }
        for (const { bytes, compressed } of sink.messages)
          expect(bytes.length).toBeLessThanOrEqual(compressed ? 114 : 50);
      }),
    );
  });
});
