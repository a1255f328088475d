import type { Journalled } from "../instance/journal.ts";

/** How far an order has come, in this order; `cancelled` may follow the first three. */
export type Stage = "placed" | "reserved" | "paid" | "packed" | "shipped" | "cancelled";

/** Where to ship. */
export interface Destination {
  readonly street: string;
  readonly city: string;
  readonly postcode: string;
  readonly country: string;
}

/** What is known of an order. Times are milliseconds since 1970. */
export interface Order {
  readonly id: string;
  /** The key that the customer's device has chosen. */
  readonly key: string;
  readonly userId: number;
  readonly basket: Readonly<Record<string, number>>;
  readonly shipTo: Destination;
  readonly totalCents: number;
  readonly paidWith: string;
  /** When it came into each stage that somebody has brought it to, first to last. */
  readonly reached: readonly (readonly [Stage, number])[];
}

/** What happens to an order. */
export type OrderEvent =
  | ({ readonly kind: "placed"; readonly at: number } & Pick<Order, "id" | "key" | "userId" | "basket" | "shipTo">)
  | { readonly kind: "reserved"; readonly id: string; readonly totalCents: number; readonly at: number }
  | { readonly kind: "paid"; readonly id: string; readonly paidWith: string; readonly at: number }
  | { readonly kind: "cancelled"; readonly id: string; readonly at: number };

/** Once paid, an order is packed after this time … */
export const PACKED_AFTER_MS = 300;
/** … and shipped after this. */
export const SHIPPED_AFTER_MS = 800;
/** Orders that are remembered; older ones are forgotten. */
const MAX_ORDERS = 5_000;

/** What may follow a stage, if somebody brings it about. */
const NEXT: Readonly<Partial<Record<Stage, readonly Stage[]>>> = {
  placed: ["reserved", "cancelled"],
  reserved: ["paid", "cancelled"],
};

/** The orders, made of events alone; packing and shipping come with time. */
export class Orders implements Journalled<OrderEvent> {
  #orders = new Map<string, Order>();
  #idByKey = new Map<string, string>();

  find(id: string): Order | undefined {
    return this.#orders.get(id);
  }

  findByKey(key: string): Order | undefined {
    return this.find(this.#idByKey.get(key) ?? "");
  }

  apply(event: OrderEvent): void {
    if (event.kind === "placed") return this.#place(event);
    const order = this.find(event.id);
    // What comes twice, or too late, changes nothing.
    if (order === undefined || !NEXT[stageOf(order)]?.includes(event.kind)) return;
    this.#orders.set(event.id, {
      ...order,
      totalCents: event.kind === "reserved" ? event.totalCents : order.totalCents,
      paidWith: event.kind === "paid" ? event.paidWith : order.paidWith,
      reached: [...order.reached, [event.kind, event.at]],
    });
  }

  snapshot(): unknown {
    return [...this.#orders.values()];
  }

  restore(snapshot: unknown): void {
    const orders = snapshot as Order[];
    this.#orders = new Map(orders.map((order) => [order.id, order]));
    this.#idByKey = new Map(orders.map((order) => [order.key, order.id]));
  }

  #place({ kind, at, ...order }: Extract<OrderEvent, { readonly kind: "placed" }>): void {
    // The first one with a key counts: nobody buys twice.
    if (this.#idByKey.has(order.key)) return;
    this.#idByKey.set(order.key, order.id);
    this.#orders.set(order.id, { ...order, totalCents: 0, paidWith: "", reached: [[kind, at]] });
    if (this.#orders.size <= MAX_ORDERS) return;
    const [oldest] = this.#orders.values();
    this.#orders.delete(oldest.id);
    this.#idByKey.delete(oldest.key);
  }
}

/** The stage that somebody has brought an order to; packing and shipping left out. */
function stageOf(order: Order): Stage {
  return order.reached[order.reached.length - 1][0];
}

/** The stages that an order has been in until `now`, first to last, each with its time. */
export function history(order: Order, now: number): readonly (readonly [Stage, number])[] {
  return [...order.reached, ...coming(order)].filter(([, at]) => at <= now);
}

/** Milliseconds until time brings an order on; undefined when somebody has to, or nobody will. */
export function msUntilNext(order: Order, now: number): number | undefined {
  const next = coming(order).find(([, at]) => at > now);
  return next === undefined ? undefined : next[1] - now;
}

/** True once nothing will happen to it any more. */
export function isFinal(stage: Stage): boolean {
  return stage === "shipped" || stage === "cancelled";
}

function coming({ reached }: Order): (readonly [Stage, number])[] {
  const [stage, at] = reached[reached.length - 1];
  if (stage !== "paid") return [];
  return [
    ["packed", at + PACKED_AFTER_MS],
    ["shipped", at + SHIPPED_AFTER_MS],
  ];
}
