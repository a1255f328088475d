import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HandClock } from "../../test/test-candidate.ts";
import { RetryBudget, type RetryBudgetOptions } from "./retry-budget.ts";

function budget(options: Partial<RetryBudgetOptions> = {}): { clock: HandClock; budget: RetryBudget } {
  const clock = new HandClock();
  return { clock, budget: new RetryBudget({ clock, ...options }) };
}

/** Retries granted until one is refused. */
function drain(from: RetryBudget): number {
  let granted = 0;
  while (from.withdraw()) granted++;
  return granted;
}

describe("RetryBudget", () => {
  it("starts with a reserve of 10 retries and stays there at rest", () => {
    const { clock, budget: fresh } = budget();
    expect(fresh.balance).toBe(10);
    clock.time += 3_600_000;
    expect(fresh.balance).toBe(10);
    expect(drain(fresh)).toBe(10);
  });

  it("lets one retry be made for ten requests", () => {
    const { budget: spent } = budget();
    drain(spent);
    for (let request = 0; request < 1000; request++) spent.deposit();
    expect(drain(spent)).toBe(100);
  });

  it("earns about one retry a second without requests", () => {
    const { clock, budget: spent } = budget();
    drain(spent);
    let granted = 0;
    for (let second = 0; second < 100; second++) {
      clock.time += 1000;
      granted += drain(spent);
    }
    expect(granted).toBeGreaterThan(85);
    expect(granted).toBeLessThanOrEqual(100);
  });

  it("keeps no more than ten seconds of what was earned", () => {
    const { clock, budget: busy } = budget();
    for (let ms = 0; ms < 60_000; ms++) {
      clock.time += 1;
      busy.deposit();
    }
    expect(busy.balance).toBeGreaterThan(1000);
    expect(busy.balance).toBeLessThan(1011);
    clock.time += 60_000;
    expect(busy.balance).toBeLessThan(13);
  });

  it("holds a storm to a tenth of the load: 1000 calls a second that all fail", () => {
    const { clock, budget: stormy } = budget();
    let retries = 0;
    for (let ms = 0; ms < 60_000; ms++) {
      clock.time += 1;
      stormy.deposit();
      if (stormy.withdraw()) retries++;
    }
    expect(retries).toBeGreaterThan(5900);
    expect(retries).toBeLessThan(6000 + 60 + 11);
  });

  it("never grants more than was earned, whatever the order of things", () => {
    const step = fc.oneof(fc.constant("request"), fc.constant("retry"), fc.integer({ min: 0, max: 5000 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const { clock, budget: any } = budget();
        let earned = 10;
        for (const next of steps) {
          if (next === "request") {
            any.deposit();
            earned += 0.1;
          } else if (next === "retry") {
            if (any.withdraw()) earned -= 1;
          } else {
            clock.time += Number(next);
            earned += Number(next) / 1000;
          }
          expect(any.balance).toBeGreaterThanOrEqual(0);
          expect(any.balance).toBeLessThanOrEqual(earned + 1e-3);
        }
      }),
    );
  });

  it("takes other values", () => {
    const { budget: hedges } = budget({ ratio: 0.02, perSecond: 0 });
    expect(hedges.withdraw()).toBe(false);
    for (let request = 0; request < 200; request++) hedges.deposit();
    expect(drain(hedges)).toBeGreaterThanOrEqual(3);
  });

  it("names the option that is out of range", () => {
    expect(() => budget({ ratio: 2 })).toThrow("ratio of a retry budget must be 0 to 1, not 2");
    expect(() => budget({ perSecond: -1 })).toThrow("perSecond of a retry budget must be 0 or more, not -1");
    expect(() => budget({ windowMs: 0 })).toThrow("windowMs of a retry budget must be more than 0, not 0");
  });
});
