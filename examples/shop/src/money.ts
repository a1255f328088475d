import type { Money } from "./gen/shop/money/v1/money_pb.ts";

/** What matters of an amount: {@link Money} itself fits, and so does a plain object. */
export type Amount = Pick<Money, "currency" | "units" | "nanos">;

const NANOS = 1_000_000_000n;

/** An amount of euros from cents, which is what the shop calculates with: `euros(1234)` is 12.34 EUR. */
export function euros(cents: number): Amount {
  return fromNanos("EUR", BigInt(cents) * 10_000_000n);
}

/** Cents of an amount; fractions of a cent are cut off. */
export function cents(amount: Amount): number {
  return Number(toNanos(amount) / 10_000_000n);
}

/** The sum of amounts of one currency. @throws RangeError when the currencies differ */
export function sum(first: Amount, ...others: Amount[]): Amount {
  let nanos = toNanos(first);
  for (const { currency, ...other } of others) {
    if (currency !== first.currency)
      throw new RangeError(`can't add ${currency} to ${first.currency}; convert it first`);
    nanos += toNanos(other);
  }
  return fromNanos(first.currency, nanos);
}

/** The price of several pieces. */
export function times(price: Amount, quantity: number): Amount {
  return fromNanos(price.currency, toNanos(price) * BigInt(quantity));
}

/** What is wrong with an amount to be paid, in words; undefined when nothing is. */
export function amountProblem(amount: Amount | undefined): string | undefined {
  if (amount === undefined) return "is missing";
  if (!/^[A-Z]{3}$/.test(amount.currency)) return "needs a currency of three capitals, such as EUR";
  if (Math.abs(amount.nanos) > 999_999_999) return "has nanos outside ±999,999,999";
  return toNanos(amount) > 0n ? undefined : "must be more than 0";
}

/** As on a price tag: `12.34 EUR`. */
export function printed(amount: Amount): string {
  const all = cents(amount);
  const [sign, rest] = all < 0 ? ["-", -all] : ["", all];
  return `${sign}${Math.floor(rest / 100)}.${String(rest % 100).padStart(2, "0")} ${amount.currency}`;
}

function toNanos({ units, nanos }: Pick<Amount, "units" | "nanos">): bigint {
  return units * NANOS + BigInt(nanos);
}

function fromNanos(currency: string, nanos: bigint): Amount {
  return { currency, units: nanos / NANOS, nanos: Number(nanos % NANOS) };
}
