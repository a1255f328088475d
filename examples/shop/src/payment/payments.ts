import type { Journalled } from "../instance/journal.ts";

/** Money that was promised under a key. */
export interface Payment {
  readonly key: string;
  readonly state: "authorized" | "voided";
  readonly currency: string;
  readonly cents: number;
  /** For the receipt: `card ending in 4242`. */
  readonly paidWith: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** What happens to payments. */
export type PaymentEvent =
  | ({ readonly kind: "authorized" } & Omit<Payment, "state">)
  | { readonly kind: "voided"; readonly key: string };

/** Payments that are remembered; older ones are forgotten. */
const MAX_PAYMENTS = 5_000;

/** The payments by key, made of events alone. */
export class Payments implements Journalled<PaymentEvent> {
  #payments = new Map<string, Payment>();

  find(key: string): Payment | undefined {
    return this.#payments.get(key);
  }

  apply(event: PaymentEvent): void {
    const known = this.#payments.get(event.key);
    if (event.kind === "voided") {
      if (known !== undefined) this.#payments.set(event.key, { ...known, state: "voided" });
      return;
    }
    // The first one with a key counts: nobody pays twice.
    if (known !== undefined) return;
    const { kind, ...payment } = event;
    this.#payments.set(event.key, { ...payment, state: kind });
    if (this.#payments.size > MAX_PAYMENTS) this.#payments.delete(this.#payments.keys().next().value as string);
  }

  snapshot(): unknown {
    return [...this.#payments];
  }

  restore(snapshot: unknown): void {
    this.#payments = new Map(snapshot as [string, Payment][]);
  }
}
