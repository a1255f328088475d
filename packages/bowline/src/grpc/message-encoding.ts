import type { Codec } from "../codec/codec.ts";
import { toBytes } from "../codec/message-bytes.ts";
import type { FrameWriter } from "../http2/frame-writer.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import { PREFIX_BYTES, writePrefix } from "./wire/message-framing.ts";

/** Messages that may need more than this are encoded into a buffer of their own instead of the arena. */
export const ARENA_MESSAGE_BYTES = 8192;

/**
 * Room that is made in the arena at least for a message that nobody has measured. Most fit; what doesn't is measured then, which costs as much
 * as the whole call: with messages of 2 kB, one of 33 did not before codecs said how much is likely.
 */
const TYPICAL_BYTES = 1024;

/** Given instead of a position when a message did not fit. */
export const NO_ROOM = -1;

/** A message as it was when it was given, for one that is sent later or may be sent again. */
export class EncodedMessage {
  readonly message: unknown;
  readonly bytes: Uint8Array;

  /** @throws RpcError when it can't be encoded */
  constructor(codec: Codec<unknown>, message: unknown) {
    this.message = message;
    try {
      this.bytes = toBytes(codec, message);
    } catch (error) {
      throw unencodable(error);
    }
  }
}

const encodedMessages: Codec<EncodedMessage> = {
  name: "proto",
  measure: ({ bytes }) => bytes.length,
  write: ({ bytes }, target, at) => {
    target.set(bytes, at);
    return at + bytes.length;
  },
  read: () => {
    throw new Error("an encoded message is only sent");
  },
  whole: ({ bytes }) => bytes,
};

/** What encodes the message: its bytes that were kept, or `codec`. */
export function encoderOf(codec: Codec<unknown>, message: unknown): Codec<unknown> {
  return message instanceof EncodedMessage ? (encodedMessages as Codec<unknown>) : codec;
}

/** The same octets as a Buffer. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Message and prefix in a buffer of their own. */
export function frameMessage<T>(codec: Codec<T>, message: T, bound: number): Buffer {
  const buffer = Buffer.allocUnsafeSlow(bound + PREFIX_BYTES);
  const to = encode(codec, message, buffer, PREFIX_BYTES);
  writePrefix(buffer, 0, false, to - PREFIX_BYTES);
  return buffer.subarray(0, to);
}

/** How many bytes to reserve in the arena for a message. */
export function roomFor<T>(codec: Codec<T>, message: T): number {
  if (codec.attempt === undefined) return measure(codec, message);
  const likely = codec.likelyBytes ?? 0;
  return likely > TYPICAL_BYTES ? Math.min(ARENA_MESSAGE_BYTES, Math.ceil(likely)) : TYPICAL_BYTES;
}

/**
 * Encodes into room of the arena that `roomFor` has named. A message that was not measured may use all up to `limit`; NO_ROOM when it
 * needs more, or is one that does not belong into the arena. Afterwards `writer.buffer` may be another arena: see `FrameWriter.lend`.
 *
 * @throws RpcError when it can't be encoded
 */
export function encodeUnmeasured<T>(
  codec: Codec<T>,
  message: T,
  writer: FrameWriter,
  at: number,
  limit: number,
): number {
  if (codec.attempt === undefined) return encodeMeasured(codec, message, writer, at);
  const arena = writer.lend();
  try {
    const to = codec.attempt(message, arena, at);
    return to > limit || to - at > ARENA_MESSAGE_BYTES ? NO_ROOM : to;
  } catch (error) {
    throw unencodable(error);
  } finally {
    writer.takeBack(arena);
  }
}

/** Encodes into room of the arena that `measure` has named; afterwards `writer.buffer` may be another one. */
export function encodeMeasured<T>(codec: Codec<T>, message: T, writer: FrameWriter, at: number): number {
  const arena = writer.lend();
  try {
    return encode(codec, message, arena, at);
  } finally {
    writer.takeBack(arena);
  }
}

/** `codec.measure` with its error as an RpcError. */
export function measure<T>(codec: Codec<T>, message: T): number {
  try {
    return codec.measure(message);
  } catch (error) {
    throw unencodable(error);
  }
}

/** `codec.write` with its error as an RpcError. */
export function encode<T>(codec: Codec<T>, message: T, target: Buffer, at: number): number {
  try {
    return codec.write(message, target, at);
  } catch (error) {
    throw unencodable(error);
  }
}

function unencodable(cause: unknown): RpcError {
  if (RpcError.is(cause)) return cause;
  const text = cause instanceof Error ? cause.message : String(cause);
  return new RpcError(13, `the message can't be encoded: ${text}`, { cause, reason: "codec" });
}
