import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Amount, amountProblem, cents, euros, printed, sum, times } from "./money.ts";

describe("money", () => {
  it("keeps every cent, in both directions", () => {
    fc.assert(fc.property(fc.maxSafeInteger(), (value) => cents(euros(value)) === value));
  });

  it("adds up to what the cents add up to", () => {
    const amounts = fc.array(fc.integer({ min: -1_000_000, max: 1_000_000 }), { minLength: 1 });
    fc.assert(
      fc.property(amounts, ([first, ...rest]) => {
        const expected = [first, ...rest].reduce((total, value) => total + value, 0);
        expect(sum(euros(first), ...rest.map(euros))).toEqual(euros(expected));
      }),
    );
  });

  it("gives units and nanos the same sign", () => {
    expect(euros(-1234)).toEqual({ currency: "EUR", units: -12n, nanos: -340_000_000 });
    expect(times(euros(1999), 3)).toEqual({ currency: "EUR", units: 59n, nanos: 970_000_000 });
  });

  it("does not add different currencies", () => {
    const dollars: Amount = { currency: "USD", units: 1n, nanos: 0 };
    expect(() => sum(euros(1), dollars)).toThrow("can't add USD to EUR");
  });

  it("says what is wrong with an amount to be paid", () => {
    expect(amountProblem(undefined)).toBe("is missing");
    expect(amountProblem({ currency: "euro", units: 1n, nanos: 0 })).toMatch(/three capitals/);
    expect(amountProblem({ currency: "EUR", units: 1n, nanos: 1_000_000_000 })).toMatch(/nanos/);
    expect(amountProblem(euros(0))).toBe("must be more than 0");
    expect(amountProblem(euros(1))).toBeUndefined();
  });

  it("prints as on a price tag", () => {
    expect([euros(1234), euros(5), euros(-250)].map(printed)).toEqual(["12.34 EUR", "0.05 EUR", "-2.50 EUR"]);
  });
});
