import { create, type DescMessage, type MessageInitShape, type MessageShape, toBinary } from "@bufbuild/protobuf";
import type { Codec } from "bowline";
import { AllTypesSchema } from "../gen/bench/v1/all_types_pb.ts";
import { AllTypesCodec } from "../gen/bench/v1/all_types_rpc.ts";
import { BlobSchema } from "../gen/bench/v1/blob_pb.ts";
import { BlobCodec } from "../gen/bench/v1/blob_rpc.ts";
import { OrderSchema } from "../gen/bench/v1/order_pb.ts";
import { OrderCodec } from "../gen/bench/v1/order_rpc.ts";
import { TinySchema } from "../gen/bench/v1/tiny_pb.ts";
import { TinyCodec } from "../gen/bench/v1/tiny_rpc.ts";
import { TreeSchema } from "../gen/bench/v1/tree_pb.ts";
import { TreeCodec } from "../gen/bench/v1/tree_rpc.ts";
import { allTypesInit } from "./all-types.ts";
import { blobInit } from "./blob.ts";
import { orderInit } from "./order.ts";
import { tinyInit } from "./tiny.ts";
import { treeInit } from "./tree.ts";

/** Names of the kinds of messages that the bench has. */
export const MESSAGE_KINDS = ["tiny", "order", "blob", "tree", "all-types"] as const;

/** One of {@link MESSAGE_KINDS}. */
export type MessageKind = (typeof MESSAGE_KINDS)[number];

/** Messages of each kind: so many that nothing about one of them can be taken for granted. */
export const INSTANCES = 64;

/** Messages of one type, with fixed values that differ from one to the next. */
export interface MessageSet<Desc extends DescMessage = DescMessage> {
  readonly kind: MessageKind;
  readonly schema: Desc;
  /** Bowline's generated codec. */
  readonly codec: Codec<MessageShape<Desc>>;
  /** What a handler would write, without create(). */
  readonly inits: readonly MessageInitShape<Desc>[];
  /** The same as messages of protobuf-es. */
  readonly messages: readonly MessageShape<Desc>[];
  /** The same on the wire, as protobuf-es writes it. */
  readonly bytes: readonly Uint8Array[];
}

const makers: Readonly<Record<MessageKind, () => MessageSet>> = {
  tiny: () => messageSet("tiny", TinySchema, TinyCodec, tinyInit),
  order: () => messageSet("order", OrderSchema, OrderCodec, orderInit),
  blob: () => messageSet("blob", BlobSchema, BlobCodec, blobInit),
  tree: () => messageSet("tree", TreeSchema, TreeCodec, treeInit),
  "all-types": () => messageSet("all-types", AllTypesSchema, AllTypesCodec, allTypesInit),
};

/** The messages of a kind. */
export function messagesOf(kind: MessageKind): MessageSet {
  return makers[kind]();
}

/** Bytes of a message of the kind on the wire: the mean of all. */
export function meanBytes({ bytes }: MessageSet): number {
  return bytes.reduce((sum, each) => sum + each.length, 0) / bytes.length;
}

/** Is this the name of a kind? */
export function isMessageKind(name: string): name is MessageKind {
  return MESSAGE_KINDS.includes(name as MessageKind);
}

function messageSet<Desc extends DescMessage>(
  kind: MessageKind,
  schema: Desc,
  codec: Codec<MessageShape<Desc>>,
  init: (index: number) => MessageInitShape<Desc>,
): MessageSet<Desc> {
  const inits = Array.from({ length: INSTANCES }, (_, index) => inOnePiece(init(index)));
  // Of values of their own: create() takes a nested message as it is.
  const messages = Array.from({ length: INSTANCES }, (_, index) => create(schema, inOnePiece(init(index))));
  return { kind, schema, codec, inits, messages, bytes: messages.map((message) => toBinary(schema, message)) };
}

/**
 * Makes its texts such as come from a file, a database or another service: V8 keeps what was put together of others in pieces, and
 * each look at a character costs more then. In place, so that objects stay as they were written.
 */
function inOnePiece<T>(value: T): T {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  const fields = value as Record<string, unknown>;
  for (const [name, field] of Object.entries(fields)) {
    if (typeof field === "string") fields[name] = Buffer.from(field).toString();
    else inOnePiece(field);
  }
  return value;
}
