import { describe, expect, it } from "vitest";
import { balancerContract } from "../../test/balancer-contract.ts";
import { candidates, type TestCandidate } from "../../test/test-candidate.ts";
import { roundRobin } from "./round-robin.ts";

balancerContract("round_robin", ({ random }) => roundRobin<TestCandidate>({ random }));

describe("roundRobin", () => {
  const picked = (balancer: ReturnType<typeof roundRobin<TestCandidate>>, count: number): string =>
    Array.from({ length: count }, () => balancer.pick(null)?.id.slice(-1)).join("");

  it("goes round, beginning where chance says", () => {
    const begin = (chance: number): string => {
      const balancer = roundRobin<TestCandidate>({ random: () => chance });
      balancer.update(candidates(4));
      return picked(balancer, 6);
    };
    expect(begin(0)).toBe("012301");
    expect(begin(0.5)).toBe("230123");
    expect(begin(0.999)).toBe("301230");
  });

  it("gives the neighbour of one that is not ready no second turn", () => {
    const balancer = roundRobin<TestCandidate>({ random: () => 0 });
    const set = candidates(4);
    balancer.update(set);
    set[1].isReady = false;
    expect(picked(balancer, 6)).toBe("023023");
  });

  it("goes on with the one whose turn it is after an update", () => {
    const balancer = roundRobin<TestCandidate>({ random: () => 0 });
    const set = candidates(5);
    balancer.update(set);
    expect(picked(balancer, 3)).toBe("012");
    balancer.update([set[4], set[3], set[0]]);
    expect(picked(balancer, 3)).toBe("304");
    balancer.update([set[4], set[0]]);
    expect(picked(balancer, 2)).toBe("04");
  });
});
