import { gzipSync } from "node:zlib";
import * as fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { bytesCodec } from "../codec/codec.ts";
import { type Compression, gzip } from "../codec/compression.ts";
import { Http2Stream } from "../http2/stream.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import { inNextTurn, nextTurn } from "../rpc/turn.ts";
import { MessageReader, type ReaderStream } from "./message-reader.ts";

const MAX_BYTES = 4_194_304;

function stream(): ReaderStream {
  return Object.assign(new Http2Stream(), { credit: () => {}, abandoned: () => {}, unreadable: () => {} });
}

function framed(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** The same, marked as compressed. */
function framedCompressed(message: Uint8Array): Buffer {
  const bytes = framed(message);
  bytes[0] = 1;
  return bytes;
}

/** A compression that inflates nothing until it is told to. */
function slowCompression(): { compression: Compression; finish(bytes: Buffer): void } {
  const waiting: ((bytes: Buffer) => void)[] = [];
  return {
    compression: {
      name: "gzip",
      compress: (bytes) => bytes,
      decompress: () => new Promise((resolve) => waiting.push(resolve)),
    },
    finish: (bytes) => waiting.shift()?.(bytes),
  };
}

/** A reader of `count` times the same message, all of which are there. */
function backlogOf(message: Buffer, count: number, on: ReaderStream = stream()): MessageReader<Uint8Array> {
  const reader = new MessageReader(on, bytesCodec, MAX_BYTES, gzip);
  const bytes = Buffer.concat(Array.from({ length: count }, () => message));
  reader.push(bytes, 0, bytes.length);
  return reader;
}

/** Reads to the end; how many messages there were, and how many came in one turn at most. */
async function countTurns(reader: MessageReader<Uint8Array>): Promise<{ count: number; most: number }> {
  let isOver = false;
  let inTurn = 0;
  let [count, most] = [0, 0];
  const turned = (): void => {
    inTurn = 0;
    if (!isOver) inNextTurn(turned);
  };
  turned();
  for await (const _ of reader) {
    count++;
    most = Math.max(most, ++inTurn);
  }
  isOver = true;
  return { count, most };
}

/** Pushes `bytes` in pieces of these lengths, each in a buffer that is overwritten afterwards, as a socket's is. */
function pushInPieces(reader: MessageReader<Uint8Array>, bytes: Buffer, lengths: readonly number[]): void {
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const piece = Buffer.from(bytes.subarray(at, at + lengths[i % lengths.length]));
    reader.push(piece, 0, piece.length);
    at += piece.length;
    piece.fill(0xdb);
  }
}

describe("MessageReader", () => {
  const message = fc
    .record({ length: fc.oneof(fc.nat(40), fc.integer({ min: 16_000, max: 300_000 })), fill: fc.nat(200) })
    .map(({ length, fill }) => new Uint8Array(length).fill(fill));

  it("gives the messages that were sent, however they are cut and whenever they are asked for; none changes later", async () => {
    const property = fc.asyncProperty(
      fc.array(message, { minLength: 1, maxLength: 6 }),
      fc.array(fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 4000, max: 70_000 })), {
        minLength: 1,
        maxLength: 5,
      }),
      fc.nat(6),
      async (messages, lengths, askedBefore) => {
        const reader = new MessageReader(stream(), bytesCodec, MAX_BYTES, null);
        const early = messages.slice(0, askedBefore).map(() => reader.next());
        pushInPieces(
          reader,
          Buffer.concat(messages.map(framed)),
          lengths.map((each) => Math.max(each, 1)),
        );
        reader.end(null);
        const seen: Uint8Array[] = [];
        for (const each of await Promise.all(early)) seen.push(each.value);
        for await (const each of reader) seen.push(each);
        expect(seen.map((each) => Buffer.from(each).equals(messages[seen.indexOf(each)]))).toEqual(
          messages.map(() => true),
        );
      },
    );
    await fc.assert(property, { numRuns: 150 });
  });

  it("hands a large message on without another copy", async () => {
    const reader = new MessageReader(stream(), bytesCodec, MAX_BYTES, null);
    const asked = reader.next();
    pushInPieces(reader, framed(new Uint8Array(1_000_000).fill(7)), [16_384]);
    const { value } = await asked;
    expect(value.length).toBe(1_000_000);
    // The prefix and the message, and nothing else in the buffer.
    expect(value.buffer.byteLength).toBe(1_000_005);
  });

  it("keeps what nobody reads in no more than the stream's window and 64 KiB, whatever the sizes", async () => {
    const property = fc.asyncProperty(
      fc.integer({ min: 0, max: 200_000 }),
      fc.integer({ min: 1000, max: 70_000 }),
      fc.integer({ min: 65_535, max: 1_000_000 }),
      async (messageBytes, pieceBytes, windowBytes) => {
        const asked = vi.spyOn(Buffer, "allocUnsafeSlow");
        try {
          const held = stream();
          held.receiveWindow = windowBytes;
          const reader = new MessageReader(held, bytesCodec, MAX_BYTES, null);
          const message = framed(new Uint8Array(Math.min(messageBytes, windowBytes - 5)));
          const count = Math.min(10_000, Math.floor(windowBytes / message.length));
          const bytes = Buffer.concat(Array.from({ length: count }, () => message));
          for (let at = 0; at < bytes.length; at += pieceBytes) {
            const to = Math.min(bytes.length, at + pieceBytes);
            held.receiveWindow -= to - at;
            reader.push(bytes, at, to);
          }
          expect(held.heldBytes).toBe(bytes.length);
          expect(Math.max(...asked.mock.calls.map(([size]) => size))).toBeLessThanOrEqual(windowBytes + 65_536);
        } finally {
          asked.mockRestore();
        }
      },
    );
    await fc.assert(property, { numRuns: 100 });
  });

  it("calls a bad flag a bad flag, whatever length stands behind it, read early or late", async () => {
    const bytes = Buffer.from("61ffffffff00", "hex");
    for (const isEarly of [true, false]) {
      const reader = new MessageReader(stream(), bytesCodec, MAX_BYTES, null);
      const early = isEarly ? reader.next() : undefined;
      early?.catch(() => {});
      reader.push(Buffer.from(bytes), 0, bytes.length);
      await expect(early ?? reader.next()).rejects.toMatchObject({ code: 13, reason: "protocol" });
    }
  });
});

describe("what comes behind a message that is being inflated", () => {
  it("is held back until it is read, too", async () => {
    const its = stream();
    const { compression, finish } = slowCompression();
    const reader = new MessageReader(its, bytesCodec, MAX_BYTES, compression);
    const asked = reader.next();
    const message = framedCompressed(Buffer.from("deflated"));
    for (let i = 0; i < 3; i++) reader.push(message, 0, message.length);
    expect(its.heldBytes).toBe(2 * message.length);
    finish(Buffer.from("1"));
    expect(Buffer.from((await asked).value).toString()).toBe("1");
    expect(its.heldBytes).toBe(2 * message.length);
    const second = reader.next();
    expect(its.heldBytes).toBe(message.length);
    // The beginning of one more: its rest must not wait for a window.
    finish(Buffer.from("2"));
    await second;
    void reader.next();
    reader.push(message, 0, 9);
    expect(its.heldBytes).toBe(0);
  });

  it("is judged once that one was given", async () => {
    const its = stream();
    const { compression, finish } = slowCompression();
    const reader = new MessageReader(its, bytesCodec, MAX_BYTES, compression);
    const asked = reader.next();
    const bytes = Buffer.concat([framedCompressed(Buffer.from("deflated")), Buffer.from("00ffffffff00", "hex")]);
    reader.push(bytes, 0, bytes.length);
    expect(its.heldBytes).toBe(6);
    finish(Buffer.from("good"));
    expect(Buffer.from((await asked).value).toString()).toBe("good");
    await expect(reader.next()).rejects.toMatchObject({ code: 8, reason: "limit" });
  });
});

describe("a reader that was left", () => {
  it("gives no window for what still comes, whoever asks it for more", async () => {
    const on = stream();
    on.abandoned = () => {
      on.heldBytes = Number.POSITIVE_INFINITY;
    };
    const reader = backlogOf(framed(Buffer.from("x")), 3, on);
    await reader.return();
    await expect(reader.next()).rejects.toThrow("left before its end");
    expect(on.heldBytes).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("reading what has come already", () => {
  const small = framedCompressed(gzipSync("x".repeat(1000)));
  const bomb = framedCompressed(gzipSync(Buffer.alloc(250_000)));

  it.each([
    ["empty messages", framed(Buffer.alloc(0)), 5000, 512],
    ["small messages that are inflated", small, 1000, 64],
    ["messages that become large", bomb, 100, 8],
  ])("gives others their turn between %s", async (_what, message, count, mostInTurn) => {
    const reader = backlogOf(message, count);
    reader.end(null);
    const seen = await countTurns(reader);
    expect(seen.count).toBe(count);
    expect(seen.most).toBeLessThanOrEqual(mostInTurn);
    expect(seen.most).toBeGreaterThan(mostInTurn / 2);
  });

  it("gives others their turn though its user does not wait for one message before asking for the next", async () => {
    const reader = backlogOf(bomb, 100);
    let given = 0;
    const asked = Array.from({ length: 100 }, () => reader.next().then(() => given++));
    await nextTurn();
    expect(given).toBeLessThanOrEqual(8);
    await Promise.all(asked);
    expect(given).toBe(100);
  });

  it("waits for no turn when each message has to be waited for anyway", async () => {
    const reader = backlogOf(Buffer.alloc(0), 0);
    const message = framed(Buffer.from("x"));
    let isNextTurn = false;
    inNextTurn(() => {
      isNextTurn = true;
    });
    for (let i = 0; i < 2000; i++) {
      const asked = reader.next();
      // In two pieces: the first half of them a message that is gathered.
      reader.push(message, 0, 3);
      reader.push(message, 3, message.length);
      await asked;
    }
    expect(isNextTurn).toBe(false);
  });

  it("holds the backlog back while others have their turn", async () => {
    const its = stream();
    const message = framed(Buffer.alloc(0));
    const reader = backlogOf(message, 600, its);
    for (let i = 0; i < 512; i++) await reader.next();
    const asked = reader.next();
    expect(its.heldBytes).toBe(88 * message.length);
    await asked;
    expect(its.heldBytes).toBe(87 * message.length);
  });

  it("ends for who leaves in a turn of others, and gives no window for what is left", async () => {
    const its = stream();
    its.abandoned = () => {
      its.heldBytes = Number.POSITIVE_INFINITY;
    };
    const reader = backlogOf(framed(Buffer.alloc(0)), 600, its);
    for (let i = 0; i < 512; i++) await reader.next();
    const asked = reader.next();
    void reader.return();
    await expect(asked).rejects.toMatchObject({ code: 1 });
    await nextTurn();
    expect(its.heldBytes).toBe(Number.POSITIVE_INFINITY);
  });

  it("ends for who aborts in a turn of others, though all has come", async () => {
    const its = stream();
    const reader = backlogOf(framed(Buffer.alloc(0)), 600, its);
    reader.end(null);
    for (let i = 0; i < 512; i++) await reader.next();
    const asked = reader.next();
    its.withdrawn = () => new RpcError(1, "aborted");
    await expect(asked).rejects.toMatchObject({ text: "aborted" });
  });
});
