import { deepStrictEqual } from "node:assert";
import { create, type DescMessage, fromBinary, type Message } from "@bufbuild/protobuf";
import type { MessageInit } from "bowline/codegen";
import { type Order, type OrderSchema, OrderStatus } from "../gen/bench/v1/order_pb.ts";
import type { Tiny, TinySchema } from "../gen/bench/v1/tiny_pb.ts";
import type { MessageSet } from "./message-kind.ts";

/** Kinds that bench.v1.Bench can be called with. */
export const CALL_KINDS = ["tiny", "order"] as const;

/** One of {@link CALL_KINDS}. */
export type CallKind = (typeof CALL_KINDS)[number];

/** Is this the name of a kind that bench.v1.Bench can be called with? */
export function isCallKind(name: string): name is CallKind {
  return CALL_KINDS.includes(name as CallKind);
}

/** What a handler of EchoTiny answers. */
export function older({ userId, name, age }: Tiny): MessageInit<typeof TinySchema> {
  return { userId, name, age: age + 1 };
}

/** What a handler of EchoOrder answers; the nested messages are those that came. */
export function paid(order: Order): MessageInit<typeof OrderSchema> {
  return {
    id: order.id,
    number: order.number,
    status: OrderStatus.PAID,
    customer: order.customer,
    shipTo: order.shipTo,
    billTo: order.billTo,
    lines: order.lines,
    total: order.total,
    shipping: order.shipping,
    createdAt: order.createdAt,
    updatedAt: order.updatedAt,
    labels: order.labels,
    taxes: order.taxes,
    parcels: order.parcels,
    weightKg: order.weightKg,
    isGift: order.isGift,
    note: order.note,
  };
}

/**
 * Makes sure that these bytes are the answer to the n-th message of a set.
 *
 * @throws AssertionError with the difference
 */
export function checkAnswer({ kind, schema, messages }: MessageSet, index: number, answer: Uint8Array): void {
  const asked = messages[index] as Message;
  const expected = kind === "tiny" ? older(asked as Tiny) : paid(asked as Order);
  deepStrictEqual(fromBinary(schema, new Uint8Array(answer)), create(schema as DescMessage, expected));
}

/** The cheap part of {@link checkAnswer}, for every call: is it an answer of this kind at all? */
export function isAnswer(kind: CallKind, answer: object): boolean {
  if (kind === "tiny") return (answer as Tiny).age > 0;
  const { status, lines } = answer as Order;
  return status === OrderStatus.PAID && lines.length > 0;
}
