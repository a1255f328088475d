import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { MessageInit } from "bowline/codegen";
import {
  type ProductSchema,
  type ReservationSchema,
  ReservationState,
  type ReserveRequest_Line,
} from "../gen/shop/inventory/v1/inventory_pb.ts";
import { type Amount, euros, sum, times } from "../money.ts";
import { type Article, articleBySku } from "./products.ts";
import type { Lines, Reservation, Stock } from "./stock.ts";

const STATES = {
  held: ReservationState.HELD,
  committed: ReservationState.COMMITTED,
  released: ReservationState.RELEASED,
} as const;

/** An article as others see it. */
export function toProduct({ sku, name, category, priceCents, attributes }: Article): MessageInit<typeof ProductSchema> {
  return { sku, name, category, price: euros(priceCents), attributes };
}

/** What can be reserved now, by SKU. */
export function availableOf(stock: Stock, listed: readonly Article[]): Record<string, number> {
  return Object.fromEntries(listed.map(({ sku }) => [sku, stock.available(sku)]));
}

/** Pieces by SKU; lines of one SKU are added up. */
export function toLines(lines: readonly Pick<ReserveRequest_Line, "sku" | "quantity">[]): Lines {
  const pieces: Record<string, number> = {};
  for (const { sku, quantity } of lines) pieces[sku] = (pieces[sku] ?? 0) + quantity;
  return pieces;
}

/** A reservation with today's prices. */
export function toReservation({ id, state, lines, heldUntil }: Reservation): MessageInit<typeof ReservationSchema> {
  const priced = Object.entries(lines).map(([sku, quantity]) => ({ sku, quantity, price: priceOf(sku) }));
  return {
    id,
    state: STATES[state],
    lines: priced,
    total: sum(euros(0), ...priced.map(({ price, quantity }) => times(price, quantity))),
    heldUntil: timestampFromMs(heldUntil),
  };
}

function priceOf(sku: string): Amount {
  return euros(articleBySku.get(sku)?.priceCents ?? 0);
}
