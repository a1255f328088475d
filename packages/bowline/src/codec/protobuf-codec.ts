import { markAsUntransferable } from "node:worker_threads";
import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { Code } from "../rpc/code.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import { atEndOfTurn } from "../rpc/turn.ts";
import type { Codec } from "./codec.ts";

/** Messages within messages that are decoded before the input is refused; the default of every protobuf implementation. */
const READ_OPTIONS = { recursionLimit: 100 };

/**
 * The codec of one message type on protobuf-es: for generated messages and for descriptors that are known at run time only.
 *
 * What is encoded may be a message or just an object with some of its fields, nested ones included: `create()` is not needed.
 * What is decoded is a protobuf-es message that owns its bytes; strings that are no UTF-8, fields cut short and more than
 * 100 levels of nesting are refused. Both ways one `RpcError` INTERNAL with reason `codec` names the message type and the fault.
 */
export function protobufCodec<Desc extends DescMessage>(schema: Desc): Codec<MessageShape<Desc>> {
  return new ProtobufCodec(schema);
}

/** A unary message is encoded once, by `measure`, and copied by `write` or handed over by `whole`. */
class ProtobufCodec<Desc extends DescMessage> implements Codec<MessageShape<Desc>> {
  readonly name: string = "proto";
  readonly #schema: Desc;

  constructor(schema: Desc) {
    this.#schema = schema;
  }

  measure(message: MessageShape<Desc>): number {
    const bytes = encode(this.#schema, message);
    keep(this, message, bytes);
    return bytes.length;
  }

  write(message: MessageShape<Desc>, target: Buffer, at: number): number {
    const bytes = this.whole(message);
    target.set(bytes, at);
    return at + bytes.length;
  }

  whole(message: MessageShape<Desc>): Uint8Array {
    return take(this, message) ?? encode(this.#schema, message);
  }

  read(source: Buffer, start: number, end: number): MessageShape<Desc> {
    try {
      return fromBinary(this.#schema, ownCopy(source, start, end), READ_OPTIONS);
    } catch (cause) {
      const text = `can't decode ${this.#schema.typeName} from ${end - start} bytes: ${reasonOf(cause)}`;
      throw new RpcError(Code.INTERNAL, text, { cause, reason: "codec" });
    }
  }
}

function encode<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Uint8Array {
  try {
    const typeName = typeof message === "object" && message !== null ? message.$typeName : String(message);
    if (typeName === schema.typeName) return toBinary(schema, message);
    if (typeName === undefined) return toBinary(schema, create(schema, message));
    throw new TypeError(`it is ${typeName}`);
  } catch (cause) {
    const text = `can't encode ${schema.typeName}: ${reasonOf(cause)}`;
    throw new RpcError(Code.INTERNAL, text, { cause, reason: "codec" });
  }
}

function reasonOf(cause: unknown): string {
  if (cause instanceof RangeError && cause.message.includes("call stack"))
    return "it is nested too deeply or holds itself";
  return cause instanceof Error ? cause.message : String(cause);
}

/**
 * What `measure` encoded and nobody has fetched yet: one message for the whole process, because `write` follows at once.
 * Any other order only costs encoding again. Large bytes that nobody fetches are let go when the turn ends.
 */
const kept: { codec: unknown; message: unknown; bytes: Uint8Array | undefined } = {
  codec: undefined,
  message: undefined,
  bytes: undefined,
};

/** Up to this size it does no harm that the last message measured stays in memory until the next one. */
const MAX_KEPT_BYTES = 16 * 1024;

function keep(codec: unknown, message: unknown, bytes: Uint8Array): void {
  kept.codec = codec;
  kept.message = message;
  kept.bytes = bytes;
  if (bytes.length > MAX_KEPT_BYTES) {
    atEndOfTurn(() => {
      if (kept.bytes === bytes) forget();
    });
  }
}

function take(codec: unknown, message: unknown): Uint8Array | undefined {
  if (kept.message !== message || kept.codec !== codec) return undefined;
  const bytes = kept.bytes;
  forget();
  return bytes;
}

function forget(): void {
  kept.codec = undefined;
  kept.message = undefined;
  kept.bytes = undefined;
}

/**
 * Fields of type bytes and unknown fields are views of what they were decoded from, and that is the connection's buffer.
 * Small messages are copied into slabs, as Buffer.from does: a fresh buffer a message costs 0.8 µs, twice the decoding.
 */
const SLAB_BYTES = 16 * 1024;
const MAX_BYTES_IN_SLAB = SLAB_BYTES >> 3;
let slab = new ArrayBuffer(0);
let slabUsed = 0;

function ownCopy(source: Buffer, start: number, end: number): Uint8Array {
  const length = end - start;
  if (length > MAX_BYTES_IN_SLAB) return new Uint8Array(source.subarray(start, end));
  if (slabUsed + length > slab.byteLength) {
    slab = new ArrayBuffer(SLAB_BYTES);
    markAsUntransferable(slab);
    slabUsed = 0;
  }
  const copy = new Uint8Array(slab, slabUsed, length);
  slabUsed += length;
  for (let i = 0; i < length; i++) copy[i] = source[start + i];
  return copy;
}
