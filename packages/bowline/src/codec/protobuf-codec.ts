import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { decodeBudget, overBudget } from "./budget/decode-budget.ts";
import { reckonMessage } from "./budget/reckon-message.ts";
import { boundedCodec, type Codec } from "./codec.ts";
import { keepEncoded, takeEncoded } from "./kept-message.ts";
import { protobufJsonCodec } from "./protobuf-json-codec.ts";
import { decodeError, encodeError, messageOf } from "./protobuf-message.ts";
import { copyBytes, viewBytes } from "./wire/bytes.ts";
import { DecodeBudgetError } from "./wire/number-reader.ts";

/** Messages within messages that are decoded before the input is refused; the default of every protobuf implementation. */
const READ_OPTIONS = { recursionLimit: 100 };

/**
 * The codec of one message type on protobuf-es: for generated messages and for descriptors that are known at run time only.
 *
 * What is encoded may be a message or just an object with some of its fields, nested ones included: `create()` is not needed.
 * What is decoded is a protobuf-es message that owns its bytes; strings that are no UTF-8, fields cut short, known fields with another wire
 * type, which generated code keeps as unknown ones, and more than 100 levels of nesting are refused. Both ways one `RpcError` INTERNAL with reason `codec` names the message type and the fault. Input
 * that would take more memory than 8 times its size, and more than 32 MiB, is refused with RESOURCE_EXHAUSTED, reason `limit`;
 * `bounded` sets another bound.
 *
 * `as("json")` is the same in ProtoJSON, see `protobufJsonCodec`.
 */
export function protobufCodec<Desc extends DescMessage>(schema: Desc): Codec<MessageShape<Desc>> {
  return new ProtobufCodec(schema);
}

/** A unary message is encoded once, by `measure`, and copied by `write` or handed over by `whole`. */
class ProtobufCodec<Desc extends DescMessage> implements Codec<MessageShape<Desc>> {
  readonly name: string = "proto";
  readonly #schema: Desc;
  readonly #maxDecodedBytes: number | undefined;
  #json: Codec<MessageShape<Desc>> | undefined = undefined;

  constructor(schema: Desc, maxDecodedBytes?: number) {
    this.#schema = schema;
    this.#maxDecodedBytes = maxDecodedBytes;
  }

  as(name: string): Codec<MessageShape<Desc>> | undefined {
    if (name === this.name) return this;
    if (name !== "json") return undefined;
    this.#json ??= boundedCodec(protobufJsonCodec(this.#schema), this.#maxDecodedBytes);
    return this.#json;
  }

  bounded(maxDecodedBytes: number): Codec<MessageShape<Desc>> {
    return new ProtobufCodec(this.#schema, maxDecodedBytes);
  }

  measure(message: MessageShape<Desc>): number {
    const bytes = encode(this.#schema, message);
    keepEncoded(this, message, bytes);
    return bytes.length;
  }

  write(message: MessageShape<Desc>, target: Buffer, at: number): number {
    const bytes = this.whole(message);
    target.set(bytes, at);
    return at + bytes.length;
  }

  whole(message: MessageShape<Desc>): Uint8Array {
    return takeEncoded(this, message) ?? encode(this.#schema, message);
  }

  read(source: Buffer, start: number, end: number): MessageShape<Desc> {
    // Fields of type bytes and unknown fields are views of what they were decoded from, and that is the connection's.
    return this.#decode(copyBytes(source, start, end));
  }

  own(bytes: Buffer): MessageShape<Desc> {
    return this.#decode(viewBytes(bytes, 0, bytes.length));
  }

  #decode(bytes: Uint8Array): MessageShape<Desc> {
    const schema = this.#schema;
    const { length } = bytes;
    const budgetBytes = decodeBudget(this.#maxDecodedBytes, length);
    try {
      // protobuf-es counts nothing itself, and does not look at wire types.
      reckonMessage(schema, bytes, budgetBytes);
      return fromBinary(schema, bytes, READ_OPTIONS);
    } catch (cause) {
      if (cause instanceof DecodeBudgetError) throw overBudget(schema, "", length, this.#maxDecodedBytes);
      throw decodeError(schema, "", length, cause);
    }
  }
}

function encode<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Uint8Array {
  try {
    return toBinary(schema, messageOf(schema, message));
  } catch (cause) {
    throw encodeError(schema, "", cause);
  }
}
