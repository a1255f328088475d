import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { type Client, Code, RpcError } from "bowline";
import type { MessageInit } from "bowline/codegen";
import { ErrorInfoSchema, findDetail } from "bowline/grpc/error-details";
import type { WatchStockRequestSchema } from "../../gen/shop/inventory/v1/inventory_pb.ts";
import { OrderState } from "../../gen/shop/order/v1/order_pb.ts";
import type { PaymentMethodSchema } from "../../gen/shop/payment/v1/payment_pb.ts";
import type { StorefrontServiceClient } from "../../gen/shop/storefront/v1/storefront_rpc.ts";
import { articles } from "../../inventory/products.ts";
import { DECLINED_CARD } from "../../payment/bank.ts";
import { CUSTOMERS } from "../../user/users.ts";

/** What customers do, by the method of the storefront that it takes. */
export const DEEDS = ["browse", "checkout", "getOrder", "trackOrder", "requestRestock", "liveStock"] as const;
export type Deed = (typeof DEEDS)[number];

/** What customers do of a hundred times. */
export const MIX: Readonly<Record<Deed, number>> = {
  browse: 70,
  checkout: 20,
  getOrder: 4,
  trackOrder: 3,
  requestRestock: 2,
  liveStock: 1,
};

/** A call that no answer comes to within this time is lost. */
const CALL_MS = 5_000;
/** The same for streams, which last longer by their nature. */
const STREAM_MS = 10_000;
const LOOK_AT_STOCK_MS = 1_000;
/** Orders that customers still think of. */
const REMEMBERED = 200;

const forSale = articles.filter(({ shelf }) => shelf > 0).map(({ sku }) => sku);
const soldOut = articles.find(({ shelf }) => shelf === 0)?.sku ?? "";

/** All customers of the shop. Each deed resolves when the shop has answered as it should, and rejects otherwise. */
export class Customers {
  readonly #shop: Client<StorefrontServiceClient>;
  readonly #orderIds: string[] = [];

  constructor(shop: Client<StorefrontServiceClient>) {
    this.#shop = shop;
  }

  /** False as long as a deed needs an order and there is none. */
  can(deed: Deed): boolean {
    return this.#orderIds.length > 0 || (deed !== "getOrder" && deed !== "trackOrder");
  }

  do(deed: Deed): Promise<void> {
    return this[deed]();
  }

  private async browse(): Promise<void> {
    const { greeting, offers } = await this.#shop.browse({ userId: anyUser() }, { timeoutMs: CALL_MS });
    expect(greeting.startsWith("Welcome") && offers.length === articles.length, "the page is not complete");
  }

  /** Most people buy; one in forty wants what is sold out or pays with a card that the bank declines. */
  private async checkout(): Promise<void> {
    const luck = Math.random();
    if (luck < 0.0125) return this.#refused({ [soldOut]: 1 }, card("4242424242424242"), "OUT_OF_STOCK");
    if (luck < 0.025) return this.#refused({ [any(forSale)]: 1 }, card(DECLINED_CARD), "CARD_DECLINED");
    const payment = luck < 0.7 ? card("4242424242424242") : wallet();
    const order = await this.#buy({ [any(forSale)]: 1, [any(forSale)]: 2 }, payment);
    expect(order.state >= OrderState.PAID && order.total !== undefined, `the order is in state ${order.state}`);
    this.#orderIds.push(order.id);
    if (this.#orderIds.length > REMEMBERED) this.#orderIds.shift();
  }

  private async getOrder(): Promise<void> {
    const orderId = any(this.#orderIds);
    const order = await this.#shop.getOrder({ orderId }, { timeoutMs: CALL_MS });
    expect(order.id === orderId && order.reached.PAID !== undefined, "the order has lost its history");
  }

  private async trackOrder(): Promise<void> {
    const orderId = this.#orderIds.at(-1) ?? "";
    let state: OrderState = OrderState.UNSPECIFIED;
    for await (const update of this.#shop.trackOrder({ orderId }, { timeoutMs: STREAM_MS })) state = update.state;
    expect(state === OrderState.SHIPPED, `the last state is ${state}`);
  }

  private async requestRestock(): Promise<void> {
    const request = { userId: anyUser(), sku: any(forSale), quantity: 3 };
    const { sku } = await this.#shop.requestRestock(request, { timeoutMs: CALL_MS });
    expect(sku === request.sku, "somebody else's wish was answered");
  }

  /** Watches two things, then one of them and another. */
  private async liveStock(): Promise<void> {
    const [first, second, third] = [0, 4, 8].map((i) => forSale[i]);
    async function* wishes(): AsyncIterable<MessageInit<typeof WatchStockRequestSchema>> {
      yield { action: { case: "subscribe", value: { skus: [first, second] } } };
      await delay(LOOK_AT_STOCK_MS / 2);
      yield { action: { case: "unsubscribe", value: { skus: [first] } } };
      yield { action: { case: "subscribe", value: { skus: [third] } } };
      await delay(LOOK_AT_STOCK_MS / 2);
    }
    const seen = new Set<string>();
    for await (const { sku } of this.#shop.liveStock(wishes(), { timeoutMs: STREAM_MS })) seen.add(sku);
    expect(
      [first, second, third].every((sku) => seen.has(sku)),
      `heard only of ${[...seen].join(", ")}`,
    );
  }

  #buy(basket: Record<string, number>, payment: MessageInit<typeof PaymentMethodSchema>) {
    const request = { idempotencyKey: randomUUID(), userId: anyUser(), basket, payment };
    return this.#shop.checkout(request, { timeoutMs: CALL_MS });
  }

  /** The right answer is no, and for this reason, although the reason was found two services further on. */
  async #refused(
    basket: Record<string, number>,
    payment: MessageInit<typeof PaymentMethodSchema>,
    reason: string,
  ): Promise<void> {
    const answer: unknown = await this.#buy(basket, payment).catch((error: unknown) => error);
    if (!RpcError.is(answer)) throw new RpcError(Code.INTERNAL, `should have been refused for ${reason}`);
    if (findDetail(answer, ErrorInfoSchema)?.reason !== reason) throw answer;
  }
}

function card(number: string): MessageInit<typeof PaymentMethodSchema> {
  return { method: { case: "card", value: { number, expiryMonth: 12, expiryYear: 2099 } } };
}

function wallet(): MessageInit<typeof PaymentMethodSchema> {
  return { method: { case: "wallet", value: { walletId: `w-${anyUser()}` } } };
}

function anyUser(): bigint {
  return BigInt(1 + Math.floor(Math.random() * CUSTOMERS));
}

function any<T>(list: readonly T[]): T {
  return list[Math.floor(Math.random() * list.length)];
}

function expect(isAsExpected: boolean, otherwise: string): void {
  if (!isAsExpected) throw new RpcError(Code.INTERNAL, `wrong answer: ${otherwise}`);
}
