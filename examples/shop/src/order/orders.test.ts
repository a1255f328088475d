import { describe, expect, it } from "vitest";
import { history, msUntilNext, type OrderEvent, Orders, PACKED_AFTER_MS, SHIPPED_AFTER_MS } from "./orders.ts";

const shipTo = { street: "Quay 1", city: "Kiel", postcode: "24103", country: "DE" };
const placed = (id: string, key: string): OrderEvent => ({
  kind: "placed",
  id,
  key,
  userId: 1,
  basket: { twine: 1 },
  shipTo,
  at: 10,
});
const reserved: OrderEvent = { kind: "reserved", id: "o-1", totalCents: 690, at: 20 };
const paid: OrderEvent = { kind: "paid", id: "o-1", paidWith: "wallet w-1", at: 30 };
const cancelled: OrderEvent = { kind: "cancelled", id: "o-1", at: 40 };

function ordersAfter(...events: OrderEvent[]): Orders {
  const orders = new Orders();
  for (const event of events) orders.apply(event);
  return orders;
}

function stagesAfter(now: number, ...events: OrderEvent[]): string[] {
  const order = ordersAfter(placed("o-1", "k"), ...events).find("o-1");
  return order === undefined ? [] : history(order, now).map(([stage]) => stage);
}

describe("an order", () => {
  it("goes from stage to stage, the last two with time", () => {
    const all = [reserved, paid];
    expect(stagesAfter(30, ...all)).toEqual(["placed", "reserved", "paid"]);
    expect(stagesAfter(30 + PACKED_AFTER_MS, ...all)).toEqual(["placed", "reserved", "paid", "packed"]);
    expect(stagesAfter(30 + SHIPPED_AFTER_MS, ...all)).toEqual(["placed", "reserved", "paid", "packed", "shipped"]);
  });

  it("changes nothing when a step comes twice, too early or too late", () => {
    expect(stagesAfter(99, reserved, reserved)).toEqual(["placed", "reserved"]);
    expect(stagesAfter(99, paid)).toEqual(["placed"]);
    expect(stagesAfter(99, reserved, cancelled, paid)).toEqual(["placed", "reserved", "cancelled"]);
    expect(stagesAfter(99, reserved, paid, cancelled)).toEqual(["placed", "reserved", "paid"]);
  });

  it("says how long the next stage takes, when that is a matter of time", () => {
    const order = ordersAfter(placed("o-1", "k"), reserved, paid).find("o-1")!;
    expect(msUntilNext(order, 30)).toBe(PACKED_AFTER_MS);
    expect(msUntilNext(order, 30 + PACKED_AFTER_MS)).toBe(SHIPPED_AFTER_MS - PACKED_AFTER_MS);
    expect(msUntilNext(order, 30 + SHIPPED_AFTER_MS)).toBeUndefined();
  });
});

describe("orders", () => {
  it("has one order for a key, whoever comes first", () => {
    const orders = ordersAfter(placed("o-1", "k"), placed("o-2", "k"));
    expect(orders.findByKey("k")?.id).toBe("o-1");
    expect(orders.find("o-2")).toBeUndefined();
  });

  it("is the same after a snapshot", () => {
    const orders = ordersAfter(placed("o-1", "k"), reserved, paid, placed("o-2", "l"));
    const restored = new Orders();
    restored.restore(JSON.parse(JSON.stringify(orders.snapshot())));
    expect(restored.snapshot()).toEqual(orders.snapshot());
    expect(restored.findByKey("l")?.id).toBe("o-2");
  });

  it("forgets the oldest when there are more than 5,000", () => {
    const orders = new Orders();
    for (let i = 0; i <= 5_000; i++) orders.apply(placed(`o-${i}`, `k-${i}`));
    expect(orders.find("o-0")).toBeUndefined();
    expect(orders.findByKey("k-0")).toBeUndefined();
    expect(orders.find("o-1")).toBeDefined();
  });
});
