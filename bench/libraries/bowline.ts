import { type Codec, fromBytes, toBytes } from "bowline";
import type { MessageSet } from "../messages/message-kind.ts";
import { freshCopy, type Library, type Passes } from "./library.ts";

/** As the output of a connection: messages lie one behind the other, and it begins again when it is full. */
const ARENA_BYTES = 65_536;
/** Free space that a message finds in it: most fit, and are not measured. */
const ROOM_BYTES = 8192;
/** gRPC's prefix of each message. */
const PREFIX_BYTES = 5;

/** As a call has it: encoded behind the prefix into the connection's arena, decoded in place from the chunk that came. */
export const bowline: Library = {
  prepare: ({ codec, messages, bytes }) => ({ ...inArena(codec, messages), ...inChunk(codec, bytes) }),
};

/** What a handler gives: objects with some fields, which were not made by create(). */
export const bowlineInit: Library = {
  prepare: ({ codec, inits }) => inArena(codec, inits),
};

/** Outside of calls: bytes of their own for each message. */
export const bowlineToBytes: Library = {
  prepare: ({ codec, messages, bytes }) => ({
    encode: freshCopy(ownLoop)(toBytes, codec, messages),
    encoded: (index) => toBytes(codec, messages[index]),
    decode: freshCopy(fromOwnLoop)(fromBytes, codec, bytes),
    decoded: (index) => toBytes(codec, fromBytes(codec, bytes[index])),
  }),
};

type Messages = MessageSet["inits"];

function inArena(codec: Codec<unknown>, messages: Messages): Passes {
  const arena = Buffer.allocUnsafeSlow(ARENA_BYTES);
  return {
    encode: freshCopy(arenaLoop)(codec, messages, arena, { prefixBytes: PREFIX_BYTES, roomBytes: ROOM_BYTES }),
    encoded: (index) => toBytes(codec, messages[index]),
  };
}

function inChunk(codec: Codec<unknown>, bytes: readonly Uint8Array[]): Passes {
  const chunk = Buffer.concat(bytes);
  const starts = [0];
  for (const each of bytes) starts.push(starts[starts.length - 1] + each.length);
  return {
    decode: freshCopy(chunkLoop)(codec, chunk, starts),
    decoded: (index) => toBytes(codec, codec.read(chunk, starts[index], starts[index + 1])),
  };
}

interface Sizes {
  readonly prefixBytes: number;
  readonly roomBytes: number;
}

function arenaLoop(codec: Codec<unknown>, messages: Messages, target: Buffer, sizes: Sizes): () => number {
  const { prefixBytes, roomBytes } = sizes;
  let at = 0;
  return () => {
    let sum = 0;
    for (let i = 0; i < messages.length; i++) {
      if (at + roomBytes > target.length) at = 0;
      let end = codec.attempt?.(messages[i], target, at + prefixBytes) ?? target.length + 1;
      if (end > target.length) {
        // It did not fit, or is so large that it is measured first.
        if (at + prefixBytes + codec.measure(messages[i]) > target.length) at = 0;
        end = codec.write(messages[i], target, at + prefixBytes);
      }
      sum += end - at - prefixBytes;
      at = end;
    }
    return sum;
  };
}

function chunkLoop(codec: Codec<unknown>, chunk: Buffer, starts: readonly number[]): () => unknown {
  return () => {
    let last: unknown;
    for (let i = 1; i < starts.length; i++) last = codec.read(chunk, starts[i - 1], starts[i]);
    return last;
  };
}

function ownLoop(encode: typeof toBytes, codec: Codec<unknown>, messages: Messages): () => number {
  return () => {
    let sum = 0;
    for (let i = 0; i < messages.length; i++) sum += encode(codec, messages[i]).length;
    return sum;
  };
}

function fromOwnLoop(decode: typeof fromBytes, codec: Codec<unknown>, bytes: readonly Uint8Array[]): () => unknown {
  return () => {
    let last: unknown;
    for (let i = 0; i < bytes.length; i++) last = decode(codec, bytes[i]);
    return last;
  };
}
