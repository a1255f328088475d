import type { Journalled } from "../instance/journal.ts";
import { type Article, articleBySku, articles } from "./products.ts";

/** What happens to the stock. Times are milliseconds since 1970. */
export type StockEvent =
  | { readonly kind: "reserve"; readonly id: string; readonly lines: Lines; readonly at: number }
  | { readonly kind: "commit" | "release"; readonly id: string; readonly at: number }
  | { readonly kind: "restock"; readonly sku: string; readonly quantity: number };

/** Pieces by SKU. */
export type Lines = Readonly<Record<string, number>>;

/** Goods set aside. */
export interface Reservation {
  readonly id: string;
  readonly state: "held" | "committed" | "released";
  readonly lines: Lines;
  /** When they go back if nobody commits, in milliseconds since 1970. */
  readonly heldUntil: number;
}

interface Shelf {
  readonly available: number;
  /** Asked for since the last delivery. */
  readonly wanted: number;
}

/** How long goods are set aside, and how long it is remembered what became of them. */
export const HOLD_MS = 60_000;

/** Shelves and reservations, made of events alone. */
export class Stock implements Journalled<StockEvent> {
  #shelves = new Map<string, Shelf>(articles.map(({ sku, shelf }) => [sku, { available: shelf, wanted: 0 }]));
  #reservations = new Map<string, Reservation>();
  readonly #listeners = new Set<(sku: string) => void>();

  /** Pieces that can be reserved now; 0 for an unknown SKU. */
  available(sku: string): number {
    return this.#shelves.get(sku)?.available ?? 0;
  }

  /** Pieces asked for since the last delivery. */
  wanted(sku: string): number {
    return this.#shelves.get(sku)?.wanted ?? 0;
  }

  reservation(id: string): Reservation | undefined {
    return this.#reservations.get(id);
  }

  /** Calls back with each SKU whose stock has changed, until the returned function is called. */
  onChange(listener: (sku: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  apply(event: StockEvent): void {
    switch (event.kind) {
      case "reserve":
        return this.#reserve(event.id, event.lines, event.at);
      case "commit":
        return this.#commit(event.id, event.at);
      case "release":
        return this.#release(event.id);
      case "restock":
        return this.#change(event.sku, { wanted: this.wanted(event.sku) + event.quantity });
    }
  }

  snapshot(): unknown {
    return [[...this.#shelves], [...this.#reservations]];
  }

  restore(snapshot: unknown): void {
    const [shelves, reservations] = snapshot as [[string, Shelf][], [string, Reservation][]];
    this.#shelves = new Map(shelves);
    this.#reservations = new Map(reservations);
  }

  #reserve(id: string, lines: Lines, at: number): void {
    if (this.#reservations.has(id)) return;
    this.#forget(at);
    if (Object.entries(lines).some(([sku, quantity]) => this.available(sku) < quantity)) return;
    this.#move(lines, -1);
    this.#reservations.set(id, { id, state: "held", lines, heldUntil: at + HOLD_MS });
    for (const sku of Object.keys(lines)) this.#deliver(articleBySku.get(sku) as Article);
  }

  #commit(id: string, at: number): void {
    const held = this.#held(id);
    if (held === undefined) return;
    if (held.heldUntil <= at) return this.#release(id);
    this.#reservations.set(id, { ...held, state: "committed" });
  }

  #release(id: string): void {
    const held = this.#held(id);
    if (held === undefined) return;
    this.#reservations.set(id, { ...held, state: "released" });
    this.#move(held.lines, 1);
  }

  #held(id: string): Reservation | undefined {
    const found = this.#reservations.get(id);
    return found?.state === "held" ? found : undefined;
  }

  /** A shelf that is down to a quarter gets as much as it holds, and what was asked for on top. */
  #deliver({ sku, shelf }: Article): void {
    if (this.available(sku) > shelf / 4) return;
    this.#change(sku, { available: this.available(sku) + shelf + this.wanted(sku), wanted: 0 });
  }

  /** Releases what was held too long, and forgets all that old. */
  #forget(at: number): void {
    for (const { id, heldUntil } of this.#reservations.values()) {
      if (heldUntil > at) return;
      this.#release(id);
      this.#reservations.delete(id);
    }
  }

  #move(lines: Lines, direction: 1 | -1): void {
    for (const [sku, quantity] of Object.entries(lines)) {
      this.#change(sku, { available: this.available(sku) + direction * quantity });
    }
  }

  #change(sku: string, change: Partial<Shelf>): void {
    const shelf = this.#shelves.get(sku);
    if (shelf === undefined) return;
    this.#shelves.set(sku, { ...shelf, ...change });
    for (const listener of this.#listeners) listener(sku);
  }
}
