import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { MessageInit } from "bowline/codegen";
import { type OrderSchema, OrderState, type PlaceOrderRequest } from "../gen/shop/order/v1/order_pb.ts";
import { euros } from "../money.ts";
import { isKey, isQuantity, requireValid } from "../requests.ts";
import { type Destination, history, type Order, type Stage } from "./orders.ts";

/** Different things in one basket, at most. */
const MAX_LINES = 50;

const STATES: Readonly<Record<Stage, OrderState>> = {
  placed: OrderState.PLACED,
  reserved: OrderState.RESERVED,
  paid: OrderState.PAID,
  packed: OrderState.PACKED,
  shipped: OrderState.SHIPPED,
  cancelled: OrderState.CANCELLED,
};

/** A stage as others see it. */
export function toState(stage: Stage): OrderState {
  return STATES[stage];
}

/** An order as others see it. */
export function toOrder(order: Order): MessageInit<typeof OrderSchema> {
  const { id, userId, basket, shipTo, totalCents, paidWith } = order;
  const stages = history(order, Date.now());
  const isPriced = stages.some(([stage]) => stage === "reserved");
  return {
    id,
    userId: BigInt(userId),
    state: toState(stages[stages.length - 1][0]),
    basket,
    shipTo,
    total: isPriced ? euros(totalCents) : undefined,
    paidWith,
    reached: Object.fromEntries(stages.map(([stage, at]) => [stage.toUpperCase(), timestampFromMs(at)])),
  };
}

/** Where to ship what a request orders. @throws RpcError INVALID_ARGUMENT that names every field that is wrong */
export function checkedDestination({ idempotencyKey, basket, shipTo, payment }: PlaceOrderRequest): Destination {
  const lines = Object.entries(basket);
  requireValid({
    idempotency_key: isKey(idempotencyKey),
    basket: (lines.length > 0 && lines.length <= MAX_LINES) || `1 to ${MAX_LINES} different things`,
    ...Object.fromEntries(lines.map(([sku, quantity]) => [`basket[${sku}]`, isQuantity(quantity)])),
    ship_to: shipTo !== undefined || "an address",
    payment: payment?.method.case !== undefined || "card or wallet",
  });
  const { street = "", city = "", postcode = "", country = "" } = shipTo ?? {};
  return { street, city, postcode, country };
}
