import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Client, Code, RpcError, type ServerContext } from "bowline";
import type { MessageInit } from "bowline/codegen";
import type { InventoryServiceClient } from "../gen/shop/inventory/v1/inventory_rpc.ts";
import type { OrderUpdateSchema, PlaceOrderRequest } from "../gen/shop/order/v1/order_pb.ts";
import type { OrderServiceHandlers } from "../gen/shop/order/v1/order_rpc.ts";
import type { PaymentServiceClient } from "../gen/shop/payment/v1/payment_rpc.ts";
import type { Journal } from "../instance/journal.ts";
import { cents } from "../money.ts";
import { notFound, refusal } from "../requests.ts";
import { checkedDestination, toOrder, toState } from "./messages.ts";
import { history, isFinal, msUntilNext, type Order, type OrderEvent, type Orders } from "./orders.ts";

/** What the order service needs. */
export interface OrderDependencies {
  readonly orders: Orders;
  readonly journal: Journal<OrderEvent>;
  readonly inventory: Pick<Client<InventoryServiceClient>, "reserve" | "commit" | "release">;
  readonly payments: Pick<Client<PaymentServiceClient>, "authorize" | "void">;
}

/** How often a stream looks for what other instances have brought about. */
const LOOK_MS = 50;

/** OrderService: brings each order from stage to stage, calling inventory and payment on the way. */
export function orderHandlers({ orders, journal, inventory, payments }: OrderDependencies): OrderServiceHandlers {
  const find = (id: string): Order => {
    journal.catchUp();
    const order = orders.find(id);
    if (order === undefined) throw notFound("order", id);
    return order;
  };

  const place = (request: PlaceOrderRequest): Order => {
    const { idempotencyKey: key, userId, basket } = request;
    const shipTo = checkedDestination(request);
    const id = `o-${randomUUID().slice(0, 13)}`;
    journal.append({ kind: "placed", id, key, userId: Number(userId), basket, shipTo, at: Date.now() });
    // The same key again: this is the order of the first call, and it goes on from wherever that one came to.
    return orders.findByKey(key) as Order;
  };

  /** Each step may be done twice: inventory and payment know the order by its id. So a call that was cut off is just made again. */
  const complete = async ({ id, basket }: Order, { payment }: PlaceOrderRequest): Promise<void> => {
    const lines = Object.entries(basket).map(([sku, quantity]) => ({ sku, quantity }));
    const { total } = await inventory.reserve({ reservationId: id, lines });
    journal.append({ kind: "reserved", id, totalCents: total === undefined ? 0 : cents(total), at: Date.now() });
    const { paidWith } = await payments.authorize({ idempotencyKey: id, amount: total, method: payment });
    try {
      await inventory.commit({ reservationId: id });
    } catch (error) {
      if (isRefusal(error)) await payments.void({ idempotencyKey: id });
      throw error;
    }
    journal.append({ kind: "paid", id, paidWith, at: Date.now() });
  };

  const cancel = async ({ id }: Order): Promise<void> => {
    await inventory.release({ reservationId: id });
    journal.append({ kind: "cancelled", id, at: Date.now() });
  };

  return {
    async placeOrder(request) {
      const order = place(request);
      const stage = order.reached[order.reached.length - 1][0];
      if (stage === "cancelled")
        throw refusal("ORDER_CANCELLED", [{ subject: order.id, description: "was cancelled" }]);
      if (stage === "paid") return toOrder(order);
      try {
        await complete(order, request);
      } catch (error) {
        // Any other error says nothing about the order: the customer's device tries again with the same key.
        if (isRefusal(error)) await cancel(order);
        throw error;
      }
      return toOrder(find(order.id));
    },

    getOrder: ({ orderId }) => toOrder(find(orderId)),

    watchOrder: ({ orderId }, context) => watchOrder(() => find(orderId), context),
  };
}

/** Each stage once, the present one at once, until there is no other. */
async function* watchOrder(
  look: () => Order,
  context: ServerContext,
): AsyncIterable<MessageInit<typeof OrderUpdateSchema>> {
  let told = history(look(), Date.now()).length - 1;
  for (;;) {
    const order = look();
    for (const [stage, at] of history(order, Date.now()).slice(told)) {
      yield { orderId: order.id, state: toState(stage), at: timestampFromMs(at) };
      told++;
      if (isFinal(stage)) return;
    }
    await delay(msUntilNext(order, Date.now()) ?? LOOK_MS, undefined, { signal: context.signal });
  }
}

/** The other side has understood and says no; nothing but another order helps. */
function isRefusal(error: unknown): boolean {
  return (
    RpcError.is(error) &&
    (error.code === Code.FAILED_PRECONDITION || error.code === Code.INVALID_ARGUMENT || error.code === Code.NOT_FOUND)
  );
}
