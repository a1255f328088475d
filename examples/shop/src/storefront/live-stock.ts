import type { Client } from "bowline";
import type { MessageInit } from "bowline/codegen";
import type { StockChange, WatchStockRequest, WatchStockRequestSchema } from "../gen/shop/inventory/v1/inventory_pb.ts";
import type { InventoryServiceClient } from "../gen/shop/inventory/v1/inventory_rpc.ts";
import { resumed } from "./resumed.ts";

type Wish = MessageInit<typeof WatchStockRequestSchema>;

/**
 * Hands a customer's wishes on to an inventory instance and its answers back. When that instance is lost, another one is first told of all
 * that the customer is subscribed to at this time.
 */
export function liveStock(
  inventory: Pick<Client<InventoryServiceClient>, "watchStock">,
  requests: AsyncIterable<WatchStockRequest>,
  signal: AbortSignal,
): AsyncIterable<StockChange> {
  const wishes = new Wishes();
  void wishes.takeFrom(requests);
  return resumed(() => inventory.watchStock(wishes.forOneInstance()), signal);
}

/** What a customer wants to hear of, and who has to be told. */
class Wishes {
  readonly #subscribed = new Set<string>();
  /** What the present instance was not told yet. */
  #untold: Wish[] = [];
  #isOver = false;
  #wake: () => void = () => {};

  async takeFrom(requests: AsyncIterable<WatchStockRequest>): Promise<void> {
    try {
      for await (const request of requests) {
        const { action } = request;
        for (const sku of action.value?.skus ?? []) {
          if (action.case === "subscribe") this.#subscribed.add(sku);
          else this.#subscribed.delete(sku);
        }
        this.#untold.push(request);
        this.#wake();
      }
    } catch {
      // The customer is gone; his call has ended, and with it the one to the inventory.
    }
    this.#isOver = true;
    this.#wake();
  }

  /** All wishes so far, as one, then each as it comes. */
  async *forOneInstance(): AsyncIterable<Wish> {
    this.#untold = [{ action: { case: "subscribe", value: { skus: [...this.#subscribed] } } }];
    for (;;) {
      const untold = this.#untold;
      this.#untold = [];
      yield* untold;
      if (this.#untold.length > 0) continue;
      if (this.#isOver) return;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
