import * as fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { bytesCodec } from "../codec/codec.ts";
import { Http2Stream } from "../http2/stream.ts";
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
