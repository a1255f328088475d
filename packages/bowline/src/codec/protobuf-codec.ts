import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import type { Codec } from "./codec.ts";
import { keepEncoded, takeEncoded } from "./kept-message.ts";
import { protobufJsonCodec } from "./protobuf-json-codec.ts";
import { decodeError, encodeError, messageOf } from "./protobuf-message.ts";
import { copyBytes, viewBytes } from "./wire/bytes.ts";

/** Messages within messages that are decoded before the input is refused; the default of every protobuf implementation. */
const READ_OPTIONS = { recursionLimit: 100 };

/**
 * The codec of one message type on protobuf-es: for generated messages and for descriptors that are known at run time only.
 *
 * What is encoded may be a message or just an object with some of its fields, nested ones included: `create()` is not needed.
 * What is decoded is a protobuf-es message that owns its bytes; strings that are no UTF-8, fields cut short and more than
 * 100 levels of nesting are refused. Both ways one `RpcError` INTERNAL with reason `codec` names the message type and the fault.
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
  #json: Codec<MessageShape<Desc>> | undefined = undefined;

  constructor(schema: Desc) {
    this.#schema = schema;
  }

  as(name: string): Codec<MessageShape<Desc>> | undefined {
    if (name === this.name) return this;
    if (name !== "json") return undefined;
    this.#json ??= protobufJsonCodec(this.#schema);
    return this.#json;
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
    return decode(this.#schema, copyBytes(source, start, end));
  }

  own(bytes: Buffer): MessageShape<Desc> {
    return decode(this.#schema, viewBytes(bytes, 0, bytes.length));
  }
}

function decode<Desc extends DescMessage>(schema: Desc, bytes: Uint8Array): MessageShape<Desc> {
  try {
    return fromBinary(schema, bytes, READ_OPTIONS);
  } catch (cause) {
    throw decodeError(schema, "", bytes.length, cause);
  }
}

function encode<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Uint8Array {
  try {
    return toBinary(schema, messageOf(schema, message));
  } catch (cause) {
    throw encodeError(schema, "", cause);
  }
}
