import {
  createRegistry,
  type DescFile,
  type DescMessage,
  fromJsonString,
  type JsonReadOptions,
  type MessageShape,
  type Registry,
  toJsonString,
} from "@bufbuild/protobuf";
import { decodeBudget, overBudget } from "./budget/decode-budget.ts";
import { mostPerByte } from "./budget/object-bytes.ts";
import { reckonJson, reckonJsonText } from "./budget/reckon-json.ts";
import type { Codec } from "./codec.ts";
import { keepEncoded, takeEncoded } from "./kept-message.ts";
import { decodeError, encodeError, messageOf } from "./protobuf-message.ts";
import { DecodeBudgetError } from "./wire/number-reader.ts";

/**
 * The codec of one message type in ProtoJSON (protobuf.dev/programming-guides/json), for `application/grpc+json`.
 *
 * What is encoded may be a message or just an object with some of its fields. Reading ignores unknown fields and names of enum
 * values, as the binary form and other implementations of gRPC with JSON do, so that a newer peer is understood; text that is no UTF-8 or no
 * JSON, duplicate keys, and more than 100 levels of nesting are refused. Any and extensions hold the types of the .proto file that
 * declares the message and of all it imports. Both ways one `RpcError` INTERNAL with reason `codec` names the message type and the
 * fault. Input is refused with RESOURCE_EXHAUSTED, reason `limit`, when what JSON.parse makes of it, or the message, would take more memory
 * than 8 times its size, and more than 32 MiB; `bounded` sets another bound.
 */
export function protobufJsonCodec<Desc extends DescMessage>(schema: Desc): Codec<MessageShape<Desc>> {
  return new ProtobufJsonCodec(schema);
}

const FORMAT = " of JSON";

class ProtobufJsonCodec<Desc extends DescMessage> implements Codec<MessageShape<Desc>> {
  readonly name: string = "json";
  readonly #schema: Desc;
  readonly #maxDecodedBytes: number | undefined;
  readonly #mostPerByte: number;
  readonly #options: JsonReadOptions & { readonly registry: Registry };

  constructor(schema: Desc, maxDecodedBytes?: number) {
    this.#schema = schema;
    this.#maxDecodedBytes = maxDecodedBytes;
    const { registry, mostPerByte } = typesAround(schema.file);
    this.#mostPerByte = mostPerByte;
    this.#options = { registry, ignoreUnknownFields: true, recursionLimit: 100 };
  }

  bounded(maxDecodedBytes: number): Codec<MessageShape<Desc>> {
    return new ProtobufJsonCodec(this.#schema, maxDecodedBytes);
  }

  measure(message: MessageShape<Desc>): number {
    const bytes = this.#encode(message);
    keepEncoded(this, message, bytes);
    return bytes.length;
  }

  write(message: MessageShape<Desc>, target: Buffer, at: number): number {
    const bytes = this.whole(message);
    target.set(bytes, at);
    return at + bytes.length;
  }

  whole(message: MessageShape<Desc>): Uint8Array {
    return takeEncoded(this, message) ?? this.#encode(message);
  }

  read(source: Buffer, start: number, end: number): MessageShape<Desc> {
    const bytes = source.subarray(start, end);
    try {
      const text = UTF8.decode(bytes);
      this.#reckon(bytes, text);
      return fromJsonString(this.#schema, text, this.#options);
    } catch (cause) {
      if (cause instanceof DecodeBudgetError)
        throw overBudget(this.#schema, FORMAT, end - start, this.#maxDecodedBytes);
      throw decodeError(this.#schema, FORMAT, end - start, cause);
    }
  }

  /** JSON.parse and protobuf-es count nothing themselves: what could be too much is looked at first. */
  #reckon(bytes: Buffer, text: string): void {
    const budgetBytes = decodeBudget(this.#maxDecodedBytes, bytes.length);
    if (bytes.length * this.#mostPerByte <= budgetBytes) return;
    reckonJsonText(bytes, budgetBytes);
    reckonJson(this.#schema, JSON.parse(text), this.#options.registry, budgetBytes);
  }

  #encode(message: MessageShape<Desc>): Uint8Array {
    try {
      return Buffer.from(toJsonString(this.#schema, messageOf(this.#schema, message), this.#options));
    } catch (cause) {
      throw encodeError(this.#schema, " as JSON", cause);
    }
  }
}

const UTF8 = new TextDecoder("utf-8", { fatal: true });

interface Types {
  readonly registry: Registry;
  readonly mostPerByte: number;
}

/** One registry a file, whatever the number of its messages. */
const known: WeakMap<DescFile, Types> = new WeakMap();

function typesAround(file: DescFile): Types {
  let types = known.get(file);
  if (types === undefined) {
    const files = new Set([file]);
    // A Set's iteration meets what is added while it runs.
    for (const each of files) {
      for (const dependency of each.dependencies) files.add(dependency);
    }
    const registry = createRegistry(...files);
    types = { registry, mostPerByte: mostPerByte(registry) };
    known.set(file, types);
  }
  return types;
}
