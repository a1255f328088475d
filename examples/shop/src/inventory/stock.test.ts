import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { articles } from "./products.ts";
import { HOLD_MS, Stock, type StockEvent } from "./stock.ts";

function stockAfter(...events: StockEvent[]): Stock {
  const stock = new Stock();
  for (const event of events) stock.apply(event);
  return stock;
}

const reserve = (id: string, quantity: number, at = 0): StockEvent => ({
  kind: "reserve",
  id,
  lines: { twine: quantity },
  at,
});

describe("stock", () => {
  it("sets goods aside, and puts them back when they are released", () => {
    expect(stockAfter(reserve("a", 5)).available("twine")).toBe(1995);
    expect(stockAfter(reserve("a", 5), { kind: "release", id: "a", at: 1 }).available("twine")).toBe(2000);
  });

  it("knows a reservation by its id, so that the same one again changes nothing", () => {
    const stock = stockAfter(reserve("a", 5), reserve("a", 5), reserve("a", 7));
    expect(stock.available("twine")).toBe(1995);
    expect(stock.reservation("a")?.lines).toEqual({ twine: 5 });
  });

  it("reserves all lines or none", () => {
    const stock = stockAfter({ kind: "reserve", id: "a", lines: { twine: 1, sextant: 1 }, at: 0 });
    expect(stock.reservation("a")).toBeUndefined();
    expect(stock.available("twine")).toBe(2000);
  });

  it("puts goods back that nobody has committed in time, and forgets about them", () => {
    const stock = stockAfter(reserve("a", 5), reserve("b", 1, HOLD_MS));
    expect(stock.available("twine")).toBe(1999);
    expect(stock.reservation("a")).toBeUndefined();
  });

  it("does not commit what is no longer held", () => {
    const stock = stockAfter(reserve("a", 5), { kind: "commit", id: "a", at: HOLD_MS });
    expect(stock.reservation("a")?.state).toBe("released");
    expect(stock.available("twine")).toBe(2000);
  });

  it("does not put back what was sold", () => {
    const stock = stockAfter(reserve("a", 5), { kind: "commit", id: "a", at: 1 }, { kind: "release", id: "a", at: 2 });
    expect(stock.available("twine")).toBe(1995);
  });

  it("is filled up when a shelf is down to a quarter, with what was asked for on top", () => {
    const sold: StockEvent[] = Array.from({ length: 15 }, (_, i) => reserve(`r${i}`, 100));
    const stock = stockAfter({ kind: "restock", sku: "twine", quantity: 9 }, ...sold);
    expect(stock.available("twine")).toBe(500 + 2000 + 9);
    expect(stock.wanted("twine")).toBe(0);
  });

  it("tells of each SKU that changes, until nobody listens", () => {
    const stock = new Stock();
    const heard: string[] = [];
    const stop = stock.onChange((sku) => heard.push(sku));
    stock.apply({ kind: "reserve", id: "a", lines: { twine: 1, cleat: 2 }, at: 0 });
    stop();
    stock.apply(reserve("b", 1));
    expect(heard).toEqual(["twine", "cleat"]);
  });

  it("never sells what is not there, and is the same after a snapshot, whatever happens", () => {
    const id = fc.constantFrom("a", "b", "c", "d");
    const at = fc.integer({ min: 0, max: 2 * HOLD_MS });
    const sku = fc.constantFrom("twine", "cleat", "sextant");
    const event: fc.Arbitrary<StockEvent> = fc.oneof(
      fc.record({
        kind: fc.constant("reserve" as const),
        id,
        lines: fc.dictionary(sku, fc.integer({ min: 1, max: 1500 })),
        at,
      }),
      fc.record({ kind: fc.constantFrom("commit" as const, "release" as const), id, at }),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), fc.array(event, { maxLength: 10 }), (before, after) => {
        const stock = stockAfter(...before);
        const restored = new Stock();
        restored.restore(JSON.parse(JSON.stringify(stock.snapshot())));
        for (const each of after) for (const one of [stock, restored]) one.apply(each);
        for (const article of articles) expect(stock.available(article.sku)).toBeGreaterThanOrEqual(0);
        expect(restored.snapshot()).toEqual(stock.snapshot());
      }),
    );
  });
});
