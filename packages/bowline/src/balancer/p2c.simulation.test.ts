import { describe, expect, it } from "vitest";
import { type SimulationOptions, type SimulationResult, simulate } from "../../test/balancer-simulation.ts";
import type { TestCandidate } from "../../test/test-candidate.ts";
import { p2c } from "./p2c.ts";
import { roundRobin } from "./round-robin.ts";

/** Both balancers in one world each, of the same seed. */
function both(options: Omit<SimulationOptions, "balancer">): { chosen: SimulationResult; turns: SimulationResult } {
  return {
    chosen: simulate({ ...options, balancer: (world) => p2c<TestCandidate>(world) }),
    turns: simulate({ ...options, balancer: ({ random }) => roundRobin<TestCandidate>({ random }) }),
  };
}

describe.each([1, 2, 3])("p2c against round_robin in virtual time, seed %i", (seed) => {
  it("is no worse where all servers are equal", () => {
    const { chosen, turns } = both({ seed, measured: [1000, 6000] });
    expect(chosen.p50Ms).toBeLessThan(turns.p50Ms * 1.05);
    expect(chosen.p99Ms).toBeLessThan(turns.p99Ms * 1.1);
    expect(chosen.errorRatio).toBe(0);
    expect(chosen.shareOfFirst(1000, 6000)).toBeGreaterThan(0.8);
    expect(chosen.shareOfFirst(1000, 6000)).toBeLessThan(1.2);
  });

  it("keeps the tail short while one server is 16 times slower", () => {
    const { chosen, turns } = both({
      seed,
      measured: [1000, 6000],
      faults: ([first], at) =>
        at(1500, () => {
          first.slowness = 16;
        }),
    });
    expect(turns.p99Ms).toBe(1000);
    expect(chosen.p99Ms).toBeLessThan(80);
    expect(chosen.errorRatio).toBeLessThan(0.001);
    expect(chosen.shareOfFirst(2500, 6000)).toBeLessThan(0.08);
  });

  it("is not drawn to a server that fails fast, and comes back to it when it is well", () => {
    const { chosen, turns } = both({
      seed,
      measured: [1000, 16_000],
      faults: ([first], at) => {
        at(1500, () => {
          first.isFailing = true;
        });
        at(6000, () => {
          first.isFailing = false;
        });
      },
    });
    expect(turns.errorRatio).toBeGreaterThan(0.02);
    expect(chosen.errorRatio).toBeLessThan(0.004);
    expect(chosen.shareOfFirst(2500, 6000)).toBeLessThan(0.05);
    expect(chosen.shareOfFirst(14_000, 16_000)).toBeGreaterThan(0.6);
  });

  it("avoids a server while it is frozen and comes back to it afterwards", () => {
    const { chosen, turns } = both({
      seed,
      measured: [1000, 15_000],
      faults: ([first], at) =>
        at(2000, () => {
          first.frozenUntilMs = 5000;
        }),
    });
    expect(turns.errorRatio).toBeGreaterThan(0.015);
    expect(chosen.errorRatio).toBeLessThan(0.002);
    expect(chosen.p99Ms).toBeLessThan(70);
    expect(chosen.shareOfFirst(2500, 5000)).toBeLessThan(0.1);
    expect(chosen.shareOfFirst(13_000, 15_000)).toBeGreaterThan(0.6);
  });
});
