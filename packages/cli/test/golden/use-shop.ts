import { LegacyService } from "./gen/legacy_rpc.ts";
import { OrderService, type OrderServiceClient, type OrderServiceHandlers } from "./gen/shop/v1/order_rpc.ts";

/** What a user writes on the server: plain objects with the fields that have a value, nested ones included. */
export const handlers: OrderServiceHandlers = {
  async getOrder(request, context) {
    const id: bigint = request.id;
    context.trailer.set("seen", context.method);
    return {
      id,
      lines: [{ sku: "a", price: { cents: 5n } }],
      bySku: { a: { sku: "a" } },
      coupon: "free",
      extra: { b: [1] },
    };
  },
  cancel: () => ({}),
  async *watch(_request, context) {
    yield { what: { case: "added", value: { sku: "x", price: { currency: "EUR" } } } };
    context.signal.throwIfAborted();
    yield { what: { case: "note", value: "done" } };
  },
  async upload(lines) {
    let count = 0;
    for await (const line of lines) count += line.count;
    return { id: BigInt(count) };
  },
  async *chat(requests) {
    for await (const any of requests) yield { code: any.value.length, message: any.typeUrl };
  },
};

/** What a user writes on the client. */
export async function callAll(orders: OrderServiceClient): Promise<string[]> {
  const order = await orders.getOrder({ id: 7n }, { timeoutMs: 300, metadata: { tenant: "a" } });
  const skus: string[] = order.lines.map((line) => line.sku);
  for await (const event of orders.watch({})) {
    if (event.what.case === "added") skus.push(event.what.value.sku);
  }
  const uploaded = await orders.upload([{ sku: "b", count: 2 }]);
  skus.push(String(uploaded.id));
  for await (const status of orders.chat([{ typeUrl: "t", value: Uint8Array.of(1) }])) skus.push(status.message);
  return skus;
}

/** What the compiler refuses. */
export async function mistakes(orders: OrderServiceClient): Promise<void> {
  // @ts-expect-error: an int64 is a bigint
  await orders.getOrder({ id: 7 });
  // @ts-expect-error: no such field
  await orders.getOrder({ name: "x" });
  // @ts-expect-error: no such option
  await orders.getOrder({ id: 7n }, { timeout: 300 });
  // @ts-expect-error: no such method
  await orders.getOrders({ id: 7n });
  // @ts-expect-error: the answer is no stream
  for await (const _ of orders.getOrder({ id: 7n }));
}

// @ts-expect-error: methods are missing
export const incomplete: OrderServiceHandlers = { cancel: () => ({}) };

/** Services of one type and of no package. */
export const typeNames: readonly string[] = [OrderService.typeName, LegacyService.typeName];
