import type { DescMessage, MessageInitShape, MessageShape, UnknownField } from "@bufbuild/protobuf";
import type { RpcError } from "../rpc/rpc-error.ts";
import { decodeBudget, overBudget } from "./budget/decode-budget.ts";
import { boundedCodec, type Codec, OWNS_ARRAYS } from "./codec.ts";
import { encodeFault } from "./encode-fault.ts";
import { protobufJsonCodec } from "./protobuf-json-codec.ts";
import { decodeError, encodeError } from "./protobuf-message.ts";
import { DecodeBudgetError } from "./wire/number-reader.ts";
import { READS_ARRAYS } from "./wire/read-text.ts";
import { Reader } from "./wire/reader.ts";
import { MARGIN_BYTES, noRoom } from "./wire/room.ts";

/** A message, or an object with some of its fields; a message may have unknown fields. */
export type Encodable<Desc extends DescMessage> = MessageInitShape<Desc> & {
  readonly $unknown?: UnknownField[] | undefined;
};

/** What `bowline generate` writes for one message. */
export interface MessageCode<Desc extends DescMessage> {
  /** At least as many bytes as `encode` will write, by one walk over the message; NaN when a text or bytes are none. */
  bound(message: MessageShape<Desc>): number;
  /** Writes the message from `at` on and returns the position behind it. */
  encode(message: MessageShape<Desc>, out: Buffer, at: number): number;
  /** Reads the message that lies in `[start, end)`. */
  decode(reader: Reader, start: number, end: number): MessageShape<Desc>;
}

/**
 * The codec of one message type by generated code: the bytes that protobuf-es writes and the objects that it reads, several times
 * as fast.
 *
 * What is encoded may be a message or just an object with some of its fields, nested ones included: `create()` is not needed. What
 * is decoded is a protobuf-es message that owns its bytes: fields of type bytes are copies unless the whole input was gathered for
 * this message (`own`), of which they are views. Faults end in an `RpcError` INTERNAL with reason `codec` that names the message
 * type, and the field's path when encoding. Input that would take more memory than 8 times its size, and more than 32 MiB, is
 * refused with RESOURCE_EXHAUSTED, reason `limit`; `bounded` sets another bound.
 *
 * `as("json")` is the same in ProtoJSON, see `protobufJsonCodec`.
 */
export function messageCodec<Desc extends DescMessage>(
  schema: Desc,
  code: MessageCode<Desc>,
): Codec<MessageShape<Desc>> {
  return new GeneratedCodec(schema, code);
}

/** Larger messages are measured; what is sent goes out in frames of its own then. */
const MAX_ATTEMPT_BYTES = 8192;

/** One for all messages: nothing that reads calls back into what a user wrote. */
const reader = new Reader();

class GeneratedCodec<Desc extends DescMessage> implements Codec<MessageShape<Desc>> {
  readonly name: string = "proto";
  readonly [OWNS_ARRAYS] = true;
  readonly #schema: Desc;
  readonly #bound: MessageCode<Desc>["bound"];
  readonly #encode: MessageCode<Desc>["encode"];
  readonly #decode: MessageCode<Desc>["decode"];
  readonly #code: MessageCode<Desc>;
  readonly #maxDecodedBytes: number | undefined;
  #json: Codec<MessageShape<Desc>> | undefined = undefined;
  /** Size of the message encoded last. */
  #lastBytes = 0;

  constructor(schema: Desc, code: MessageCode<Desc>, maxDecodedBytes?: number) {
    this.#schema = schema;
    this.#code = code;
    this.#maxDecodedBytes = maxDecodedBytes;
    this.#bound = code.bound;
    this.#encode = code.encode;
    this.#decode = code.decode;
  }

  as(name: string): Codec<MessageShape<Desc>> | undefined {
    if (name === this.name) return this;
    if (name !== "json") return undefined;
    this.#json ??= boundedCodec(protobufJsonCodec(this.#schema), this.#maxDecodedBytes);
    return this.#json;
  }

  bounded(maxDecodedBytes: number): Codec<MessageShape<Desc>> {
    return new GeneratedCodec(this.#schema, this.#code, maxDecodedBytes);
  }

  measure(message: MessageShape<Desc>): number {
    try {
      const bound = this.#bound(message);
      if (bound >= 0) return bound + MARGIN_BYTES;
    } catch (cause) {
      throw this.#unencodable(message, cause);
    }
    throw this.#unencodable(message, undefined);
  }

  write(message: MessageShape<Desc>, target: Buffer, at: number): number {
    try {
      const end = this.#encode(message, target, at);
      this.#lastBytes = end - at;
      return end;
    } catch (cause) {
      throw this.#unencodable(message, cause === noRoom ? new Error("it grew while it was encoded") : cause);
    }
  }

  attempt(message: MessageShape<Desc>, target: Buffer, at: number): number {
    // Where messages are large, an attempt that fails costs more than a measure.
    if (this.#lastBytes > MAX_ATTEMPT_BYTES) return target.length + 1;
    try {
      const end = this.#encode(message, target, at);
      this.#lastBytes = end - at;
      return end;
    } catch (cause) {
      if (cause === noRoom) return target.length + 1;
      throw this.#unencodable(message, cause);
    }
  }

  /** An eighth more than the last one took; 0 when that was one that is measured. */
  get likelyBytes(): number {
    const last = this.#lastBytes;
    return last > MAX_ATTEMPT_BYTES ? 0 : last + (last >> 3) + MARGIN_BYTES;
  }

  read(source: Buffer, start: number, end: number): MessageShape<Desc> {
    return this.#read(source, start, end, true);
  }

  own(bytes: Uint8Array): MessageShape<Desc> {
    const source = READS_ARRAYS ? (bytes as Buffer) : asBuffer(bytes);
    return this.#read(source, 0, bytes.length, false);
  }

  #read(source: Buffer, start: number, end: number, isShared: boolean): MessageShape<Desc> {
    const budgetBytes = decodeBudget(this.#maxDecodedBytes, end - start);
    try {
      reader.begin(source, end, isShared, budgetBytes);
      return this.#decode(reader, start, end);
    } catch (cause) {
      if (cause instanceof DecodeBudgetError) throw overBudget(this.#schema, "", end - start, this.#maxDecodedBytes);
      throw decodeError(this.#schema, "", end - start, cause);
    } finally {
      reader.finish();
    }
  }

  #unencodable(message: unknown, cause: unknown): RpcError {
    const fault = encodeFault(this.#schema, message);
    return encodeError(this.#schema, "", fault === undefined ? cause : new TypeError(fault, { cause }));
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
