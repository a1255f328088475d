import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { MessageInit } from "bowline/codegen";
import type { StockChangeSchema, WatchStockRequest } from "../gen/shop/inventory/v1/inventory_pb.ts";
import { notFound } from "../requests.ts";
import { articleBySku } from "./products.ts";
import type { Stock } from "./stock.ts";

type Change = MessageInit<typeof StockChangeSchema>;

/**
 * Tells of the stock of whatever the client subscribes to, until it ends its side or goes away.
 *
 * What has changed is a set, not a queue: a client that reads slowly gets the latest of each SKU, and never more than that.
 */
export async function* watchStock(
  stock: Stock,
  requests: AsyncIterable<WatchStockRequest>,
  signal: AbortSignal,
): AsyncIterable<Change> {
  const subscribed = new Set<string>();
  const changed = new Set<string>();
  const bell = new Bell();
  const stopListening = stock.onChange((sku) => {
    if (!subscribed.has(sku)) return;
    changed.add(sku);
    bell.ring();
  });
  const listening = takeWishes(requests, subscribed, changed, bell);
  // Its error is thrown below; until then nobody waits for it.
  listening.catch(() => {}).finally(() => bell.close());
  signal.addEventListener("abort", () => bell.close(), { once: true });
  try {
    while (await bell.rung()) {
      for (const sku of changed) {
        changed.delete(sku);
        yield { sku, available: stock.available(sku), at: timestampFromMs(Date.now()) };
      }
    }
    signal.throwIfAborted();
    await listening;
  } finally {
    stopListening();
  }
}

/** Each wish changes what is subscribed to; a new subscription is due for its first answer. */
async function takeWishes(
  requests: AsyncIterable<WatchStockRequest>,
  subscribed: Set<string>,
  changed: Set<string>,
  bell: Bell,
): Promise<void> {
  for await (const { action } of requests) {
    for (const sku of action.value?.skus ?? []) {
      if (!articleBySku.has(sku)) throw notFound("product", sku);
      if (action.case === "subscribe") {
        subscribed.add(sku);
        changed.add(sku);
      } else {
        subscribed.delete(sku);
        changed.delete(sku);
      }
    }
    bell.ring();
  }
}

/** Wakes one who waits; rings that nobody waits for are remembered as one. */
class Bell {
  #isRung = false;
  #isClosed = false;
  #wake: () => void = () => {};

  ring(): void {
    this.#isRung = true;
    this.#wake();
  }

  close(): void {
    this.#isClosed = true;
    this.#wake();
  }

  /** Resolves to true at the next ring, to false once it is closed. */
  async rung(): Promise<boolean> {
    if (!this.#isRung && !this.#isClosed) await new Promise<void>((resolve) => (this.#wake = resolve));
    const isRung = this.#isRung;
    this.#isRung = false;
    return isRung || !this.#isClosed;
  }
}
