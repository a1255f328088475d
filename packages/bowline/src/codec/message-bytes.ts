import { type Codec, OWNS_ARRAYS } from "./codec.ts";
import { keepInThread } from "./wire/bytes.ts";

/** Room for the next message; several small ones share it, as with Buffer.from. */
const SLAB_BYTES = 64 * 1024;
/** A slab with less room is not tried any more; messages that may be larger get memory of their own. */
const ROOM_BYTES = SLAB_BYTES >> 3;
let slab: Buffer = Buffer.alloc(0);
let used: number = SLAB_BYTES;

/**
 * The message as bytes, for everything that is no call: a store, a queue, a file. They belong to the caller.
 *
 * @throws RpcError INTERNAL, reason `codec`, when the message can't be encoded
 */
export function toBytes<T>(codec: Codec<T>, message: T): Uint8Array<ArrayBuffer> {
  if (codec.attempt === undefined) return measured(codec, message);
  if (used > SLAB_BYTES - ROOM_BYTES) renewSlab();
  const memory = slab;
  const start = used;
  // Whoever asks for bytes meanwhile, in a getter of the message, gets another slab.
  used = SLAB_BYTES;
  let end = Number.POSITIVE_INFINITY;
  try {
    end = codec.attempt(message, memory, start);
  } finally {
    if (slab === memory) used = end > memory.length ? start : end;
  }
  return end > memory.length ? measured(codec, message) : plain(memory, start, end);
}

function measured<T>(codec: Codec<T>, message: T): Uint8Array<ArrayBuffer> {
  const bound = codec.measure(message);
  if (bound > ROOM_BYTES) {
    const whole = Buffer.allocUnsafeSlow(bound);
    return plain(whole, 0, codec.write(message, whole, 0));
  }
  // Also for a message without bytes, when there is no slab yet.
  if (used >= SLAB_BYTES - bound) renewSlab();
  const memory = slab;
  const start = used;
  used = SLAB_BYTES;
  let end = start;
  try {
    end = codec.write(message, memory, start);
  } finally {
    if (slab === memory) used = end;
  }
  return plain(memory, start, end);
}

function renewSlab(): void {
  slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  keepInThread(slab.buffer);
  used = 0;
}

/**
 * The message in these bytes, which it may keep: fields of type bytes show parts of them.
 *
 * @throws RpcError INTERNAL, reason `codec`, when they are no such message; RESOURCE_EXHAUSTED, reason `limit`, when its objects
 *   would take far more memory than the bytes
 */
export function fromBytes<T>(codec: Codec<T>, bytes: Uint8Array): T {
  const isTaken = OWNS_ARRAYS in codec || Buffer.isBuffer(bytes);
  const buffer = isTaken ? (bytes as Buffer) : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return codec.own === undefined ? codec.read(buffer, 0, buffer.length) : codec.own(buffer);
}

function plain(buffer: Buffer, start: number, end: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer.buffer as ArrayBuffer, buffer.byteOffset + start, end - start);
}
