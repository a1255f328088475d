import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { type WatchStockRequest, WatchStockRequestSchema } from "../gen/shop/inventory/v1/inventory_pb.ts";
import { failureOf } from "../testing.ts";
import { Stock, type StockEvent } from "./stock.ts";
import { watchStock } from "./watch-stock.ts";

/** What a client says, one word at a time, when the test wants it to. */
class Client {
  readonly #said: WatchStockRequest[] = [];
  #isOver = false;
  #wake: () => void = () => {};

  say(action: MessageInitShape<typeof WatchStockRequestSchema>["action"]): void {
    this.#said.push(create(WatchStockRequestSchema, { action }));
    this.#wake();
  }

  end(): void {
    this.#isOver = true;
    this.#wake();
  }

  async *requests(): AsyncIterable<WatchStockRequest> {
    for (;;) {
      while (this.#said.length > 0) yield this.#said.shift() as WatchStockRequest;
      if (this.#isOver) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

const subscribe = (...skus: string[]) => ({ case: "subscribe" as const, value: { skus } });
const unsubscribe = (...skus: string[]) => ({ case: "unsubscribe" as const, value: { skus } });
const sale = (id: string, lines: Record<string, number>): StockEvent => ({ kind: "reserve", id, lines, at: 0 });

function watched(stock: Stock, signal: AbortSignal = new AbortController().signal) {
  const client = new Client();
  const changes = watchStock(stock, client.requests(), signal)[Symbol.asyncIterator]();
  return { client, next: async () => (await changes.next()).value };
}

describe("watching stock", () => {
  it("begins with what is there, and goes on with each change", async () => {
    const stock = new Stock();
    const { client, next } = watched(stock);
    client.say(subscribe("twine"));
    expect(await next()).toMatchObject({ sku: "twine", available: 2000 });
    const change = next();
    stock.apply(sale("a", { twine: 3, cleat: 1 }));
    expect(await change).toMatchObject({ sku: "twine", available: 1997 });
  });

  it("tells quick changes as one, so that a slow reader costs nothing", async () => {
    const stock = new Stock();
    const { client, next } = watched(stock);
    client.say(subscribe("twine", "cleat"));
    await next();
    for (let i = 0; i < 100; i++) stock.apply(sale(`r${i}`, { twine: 1 }));
    expect([await next(), await next()]).toMatchObject([
      { sku: "cleat", available: 2000 },
      { sku: "twine", available: 1900 },
    ]);
  });

  it("says no more of what was unsubscribed, and ends when the client does", async () => {
    const stock = new Stock();
    const { client, next } = watched(stock);
    client.say(subscribe("twine", "cleat"));
    await next();
    await next();
    client.say(unsubscribe("twine"));
    client.say(subscribe("gloves"));
    expect(await next()).toMatchObject({ sku: "gloves" });
    stock.apply(sale("a", { twine: 1, cleat: 1 }));
    expect(await next()).toMatchObject({ sku: "cleat", available: 1999 });
    client.end();
    expect(await next()).toBeUndefined();
  });

  it("ends with NOT_FOUND when the shop does not sell it", async () => {
    const { client, next } = watched(new Stock());
    client.say(subscribe("whale"));
    expect((await failureOf(next)).message).toBe("[NOT_FOUND] there is no product whale");
  });

  it("ends when the client is gone", async () => {
    const controller = new AbortController();
    const { next } = watched(new Stock(), controller.signal);
    const last = failureOf(next);
    controller.abort();
    expect((await last).message).toMatch(/CANCELLED/);
  });
});
