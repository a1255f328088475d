import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bytesCodec } from "../codec/codec.ts";
import { MessageReader, type ReaderStream } from "./message-reader.ts";

const MAX_BYTES = 4_194_304;

function stream(): ReaderStream {
  return { heldBytes: 0, credit: () => {}, abandoned: () => {}, unreadable: () => {} } as unknown as ReaderStream;
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
