import type { Message } from "@bufbuild/protobuf";
import { Code, type Codec, RpcError } from "bowline";

/** What an action gave: a value, or what it threw. */
export type Outcome<T> = { readonly value: T } | { readonly error: unknown };

/** Runs it and keeps what it throws. */
export function outcomeOf<T>(action: () => T): Outcome<T> {
  try {
    return { value: action() };
  } catch (error) {
    return { error };
  }
}

/** Encodes as a call does: measure, then write, within a larger buffer that keeps what lies around. */
export function encode(codec: Codec<Message>, message: object, at = 0): Buffer {
  const measured = codec.measure(message as Message);
  if (!Number.isSafeInteger(measured) || measured < 0) throw new Error(`measured ${measured} bytes`);
  const around = Buffer.alloc(at + measured + GUARD, 0xee);
  // Not a byte more than was measured, as for a message that gets a buffer of its own.
  const target = around.subarray(0, at + measured);
  const end = codec.write(message as Message, target, at);
  if (end - at > measured) throw new Error(`measured ${measured} bytes and wrote ${end - at}`);
  const isUntouched = around.subarray(0, at).every(isFiller) && around.subarray(at + measured).every(isFiller);
  if (!isUntouched) throw new Error("wrote beyond what it had measured");
  return target.subarray(at, end);
}

const GUARD = 16;

function isFiller(byte: number): boolean {
  return byte === 0xee;
}

/** Decodes as a connection does: the bytes lie within a chunk that is overwritten afterwards. */
export function decode(codec: Codec<Message>, bytes: Uint8Array, offset = 5): Message {
  const chunk = Buffer.alloc(offset + bytes.length + 10, 0xee);
  chunk.set(bytes, offset);
  try {
    return codec.read(chunk, offset, offset + bytes.length);
  } finally {
    chunk.fill(0xff);
  }
}

/** Decodes bytes that are the message's own; without `own` as `decode` does. */
export function decodeOwn(codec: Codec<Message>, bytes: Uint8Array): Message {
  const own = Buffer.from(new Uint8Array(bytes).buffer);
  return codec.own === undefined ? decode(codec, bytes) : codec.own(own);
}

/** Throws unless the error is the one that bad messages and bytes must end in. */
export function expectCodecError(error: unknown, what: string): RpcError {
  if (RpcError.is(error) && error.code === Code.INTERNAL && error.reason === "codec") return error;
  throw new Error(`${what} ended in another error than INTERNAL with reason codec: ${describe(error)}`, {
    cause: error,
  });
}

/** An error in one line. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return RpcError.is(error) ? `${error.message} (reason ${error.reason})` : `${error.name}: ${error.message}`;
}
