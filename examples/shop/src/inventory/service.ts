import type { InventoryServiceHandlers } from "../gen/shop/inventory/v1/inventory_rpc.ts";
import type { Journal } from "../instance/journal.ts";
import { isKey, isQuantity, notFound, refusal, requireValid } from "../requests.ts";
import { availableOf, toLines, toProduct, toReservation } from "./messages.ts";
import { articleBySku, articles } from "./products.ts";
import type { Reservation, Stock, StockEvent } from "./stock.ts";
import { watchStock } from "./watch-stock.ts";

/** InventoryService: checks what is asked, writes it into the journal, and answers with what has become of the stock. */
export function inventoryHandlers(stock: Stock, journal: Journal<StockEvent>): InventoryServiceHandlers {
  return {
    listProducts({ category }) {
      const listed = articles.filter((article) => category === 0 || article.category === category);
      return { products: listed.map(toProduct), available: availableOf(stock, listed) };
    },

    reserve({ reservationId, lines }) {
      requireValid({
        reservation_id: isKey(reservationId),
        lines: (lines.length > 0 && lines.length <= articles.length) || "at least one, and no SKU twice",
        ...Object.fromEntries(lines.map(({ quantity }, i) => [`lines[${i}].quantity`, isQuantity(quantity)])),
      });
      for (const { sku } of lines) requireArticle(sku);
      const wanted = toLines(lines);
      journal.append({ kind: "reserve", id: reservationId, lines: wanted, at: Date.now() });
      // Whoever comes second with an id gets what the first one got.
      const reservation = stock.reservation(reservationId);
      if (reservation === undefined) throw outOfStock(stock, wanted);
      return toReservation(reservation);
    },

    commit({ reservationId: id }) {
      requireValid({ reservation_id: isKey(id) });
      journal.append({ kind: "commit", id, at: Date.now() });
      const reservation = stock.reservation(id);
      if (reservation?.state !== "committed") {
        throw refusal("RESERVATION_LAPSED", [{ subject: id, description: "the goods are not held any more" }]);
      }
      return toReservation(reservation);
    },

    release({ reservationId: id }) {
      requireValid({ reservation_id: isKey(id) });
      journal.append({ kind: "release", id, at: Date.now() });
      return toReservation(stock.reservation(id) ?? forgotten(id));
    },

    requestRestock({ sku, quantity }) {
      requireValid({ quantity: isQuantity(quantity) });
      requireArticle(sku);
      journal.append({ kind: "restock", sku, quantity });
      return { sku, wanted: stock.wanted(sku) };
    },

    watchStock: (requests, context) => watchStock(stock, requests, context.signal),
  };
}

function requireArticle(sku: string): void {
  if (!articleBySku.has(sku)) throw notFound("product", sku);
}

/** FAILED_PRECONDITION that says of each SKU how much is missing. */
function outOfStock(stock: Stock, wanted: Readonly<Record<string, number>>): Error {
  const short = Object.entries(wanted).filter(([sku, quantity]) => stock.available(sku) < quantity);
  const obstacles = short.map(([subject, quantity]) => ({
    subject,
    description: `${stock.available(subject)} left, ${quantity} wanted`,
  }));
  return refusal("OUT_OF_STOCK", obstacles);
}

/** Nobody holds what nobody remembers: for the caller that is as good as released. */
function forgotten(id: string): Reservation {
  return { id, state: "released", lines: {}, heldUntil: 0 };
}
