import { create } from "@bufbuild/protobuf";
import { Code, RpcError } from "bowline";
import { describe, expect, it, vi } from "vitest";
import { ReservationSchema } from "../gen/shop/inventory/v1/inventory_pb.ts";
import {
  GetOrderRequestSchema,
  OrderState,
  PlaceOrderRequestSchema,
  WatchOrderRequestSchema,
} from "../gen/shop/order/v1/order_pb.ts";
import { AuthorizationSchema } from "../gen/shop/payment/v1/payment_pb.ts";
import { euros } from "../money.ts";
import { refusal } from "../requests.ts";
import { contextOf, failureOf, journalled, reasonOf } from "../testing.ts";
import { Orders } from "./orders.ts";
import { orderHandlers } from "./service.ts";

const context = contextOf();
const request = create(PlaceOrderRequestSchema, {
  idempotencyKey: "k",
  userId: 7n,
  basket: { twine: 2 },
  shipTo: { street: "Quay 7", city: "Kiel", postcode: "24103", country: "DE" },
  payment: { method: { case: "wallet", value: { walletId: "w-7" } } },
});
const declined = refusal("CARD_DECLINED", [{ subject: "card", description: "declined by the bank" }]);
const lost = new RpcError(Code.UNAVAILABLE, "the connection broke");

/** An order service whose neighbours answer well unless a test has them do otherwise. */
function shop() {
  const reservation = create(ReservationSchema, { total: euros(1380) });
  const inventory = {
    reserve: vi.fn(async () => reservation),
    commit: vi.fn(async () => reservation),
    release: vi.fn(async () => reservation),
  };
  const authorization = create(AuthorizationSchema, { paidWith: "wallet w-7" });
  const payments = { authorize: vi.fn(async () => authorization), void: vi.fn(async () => authorization) };
  const [orders, journal] = journalled(new Orders());
  const handlers = orderHandlers({ orders, journal, inventory, payments });
  const get = (orderId: string) => handlers.getOrder(create(GetOrderRequestSchema, { orderId }), context);
  return { inventory, payments, handlers, place: () => handlers.placeOrder(request, context), get };
}

describe("OrderService", () => {
  it("reserves, takes the money and commits, all under the id of the order", async () => {
    const { place, inventory, payments } = shop();
    const order = await place();
    expect(order).toMatchObject({
      state: OrderState.PAID,
      total: euros(1380),
      paidWith: "wallet w-7",
      basket: { twine: 2 },
    });
    expect(inventory.reserve).toHaveBeenCalledWith({ reservationId: order.id, lines: [{ sku: "twine", quantity: 2 }] });
    expect(payments.authorize).toHaveBeenCalledWith(expect.objectContaining({ idempotencyKey: order.id }));
    expect(inventory.commit).toHaveBeenCalledWith({ reservationId: order.id });
  });

  it("gives the same order for the same key, without asking anybody again", async () => {
    const { place, payments } = shop();
    const order = await place();
    expect((await place()).id).toBe(order.id);
    expect(payments.authorize).toHaveBeenCalledTimes(1);
  });

  it("goes on where an attempt before was cut off", async () => {
    const { place, payments } = shop();
    payments.authorize.mockRejectedValueOnce(lost);
    expect((await failureOf(place)).code).toBe(Code.UNAVAILABLE);
    expect(await place()).toMatchObject({ state: OrderState.PAID });
  });

  it("puts the goods back and says why, when the payment is refused", async () => {
    const { place, inventory, payments } = shop();
    payments.authorize.mockRejectedValueOnce(declined);
    expect(reasonOf(await failureOf(place))).toBe("CARD_DECLINED");
    expect(inventory.release).toHaveBeenCalledTimes(1);
    expect(reasonOf(await failureOf(place))).toBe("ORDER_CANCELLED");
  });

  it("gives the money back when the goods are no longer held", async () => {
    const { place, inventory, payments } = shop();
    inventory.commit.mockRejectedValueOnce(refusal("RESERVATION_LAPSED", []));
    await failureOf(place);
    expect(payments.void).toHaveBeenCalledTimes(1);
  });

  it("tells each stage once, from the present one to the last", async () => {
    const { place, handlers } = shop();
    const { id } = await place();
    const states: unknown[] = [];
    const updates = handlers.watchOrder(create(WatchOrderRequestSchema, { orderId: id }), context);
    for await (const { state } of updates) states.push(state);
    expect(states).toEqual([OrderState.PAID, OrderState.PACKED, OrderState.SHIPPED]);
  });

  it("does not know what was never placed", async () => {
    const { get } = shop();
    expect((await failureOf(() => get("o-none"))).message).toBe("[NOT_FOUND] there is no order o-none");
  });

  it("names every field that is wrong", async () => {
    const { handlers } = shop();
    const bad = create(PlaceOrderRequestSchema, { basket: { twine: 0 } });
    const error = await failureOf(() => handlers.placeOrder(bad, context));
    expect(error.text).toMatch(/idempotency_key: .*; basket\[twine\]: .*; ship_to: .*; payment: /);
  });
});
