import { describe, expect, it } from "vitest";
import { Bench, stats, wellIn } from "../../test/balancer-bench.ts";
import { balancerContract } from "../../test/balancer-contract.ts";
import { candidates, TestCandidate } from "../../test/test-candidate.ts";
import type { AttemptResult } from "./balancer.ts";
import { p2c } from "./p2c.ts";

balancerContract("p2c", (world) => p2c<TestCandidate>(world));

describe("p2c", () => {
  it("prefers the faster, the idler, the heavier and the more successful", () => {
    for (const better of ["latency", "inFlight", "weight", "success"] as const) {
      const set = candidates(2);
      const bench = new Bench(set);
      bench.run(100, 1, wellIn(10));
      const [first, second] = set;
      if (better === "latency") bench.run(200, 1, (candidate) => ["ok", candidate === first ? 10 : 60]);
      if (better === "inFlight") second.inFlight = 3;
      if (better === "weight") first.weight = 3;
      if (better === "success") bench.run(100, 10, (candidate) => [candidate === first ? "ok" : "failed", 10]);
      bench.balancer.update(set);
      for (let call = 0; call < 20; call++) expect(bench.balancer.pick(null), better).toBe(first);
    }
  });

  it("weighs success by its fourth power", () => {
    const set = candidates(2);
    const bench = new Bench(set);
    bench.run(100, 1, wellIn(10));
    stats(set[1]).success = 0.8;
    bench.balancer.update(set);
    for (let call = 0; call < 100; call++) expect(bench.balancer.pick(null)).toBe(set[0]);
  });

  /** How many of 4000 picks without an end go to those that `isOne` names, in a set that is known. */
  function ratioOf(
    set: readonly TestCandidate[],
    isOne: (candidate: TestCandidate) => boolean,
    change: () => void,
  ): number {
    const bench = new Bench(set);
    bench.run(1000, 1, wellIn(10));
    change();
    bench.balancer.update(set);
    let count = 0;
    for (let call = 0; call < 4000; call++) if (isOne(bench.balancer.pick(null) as TestCandidate)) count++;
    return count / 4000;
  }

  it("compares three different candidates of a larger set", () => {
    const set = candidates(4);
    const ratio = ratioOf(
      set,
      (candidate) => candidate === set[0],
      () => {
        for (const candidate of set.slice(1)) candidate.inFlight = 5;
      },
    );
    expect(ratio).toBeGreaterThan(0.7);
    expect(ratio).toBeLessThan(0.8);
  });

  it("gives a bad winner one more rival", () => {
    const set = candidates(20);
    const isBad = (candidate: TestCandidate): boolean => set.indexOf(candidate) < 14;
    const ratio = ratioOf(set, isBad, () => {
      for (const candidate of set.slice(0, 14)) stats(candidate).success = 0.6;
    });
    // Three draws of bad ones only: 0.32; four: 0.22.
    expect(ratio).toBeGreaterThan(0.17);
    expect(ratio).toBeLessThan(0.27);
  });

  it("still compares when few of many are ready", () => {
    const set = candidates(30);
    const ratio = ratioOf(
      set,
      (candidate) => candidate === set[0],
      () => {
        set[1].inFlight = 5;
        for (const candidate of set.slice(2)) candidate.isReady = false;
      },
    );
    expect(ratio).toBe(1);
  });

  it("leaves a new candidate with one call in flight until one has succeeded", () => {
    const set = candidates(6);
    const bench = new Bench(set, { slowStartMs: 0 });
    bench.run(200, 1, wellIn(10));
    const fresh = new TestCandidate("fresh");
    bench.balancer.update([...set, fresh]);
    const calls = Array.from({ length: 60 }, () => bench.begin());
    expect(fresh.inFlight).toBe(1);
    bench.end(fresh, "failed", 1);
    for (let call = 0; call < 60; call++) calls.push(bench.begin());
    expect(fresh.inFlight).toBe(1);
    bench.end(fresh, "ok", 10);
    for (let call = 0; call < 60; call++) bench.begin();
    expect(fresh.inFlight).toBeGreaterThan(1);
  });

  it("spreads calls evenly while no candidate is known", () => {
    const set = candidates(3);
    const bench = new Bench(set);
    for (let call = 0; call < 30; call++) bench.begin();
    for (const candidate of set) expect(candidate.inFlight).toBeGreaterThan(7);
  });

  it("lets a newcomer's share grow over its slow start", () => {
    const set = candidates(9);
    const bench = new Bench(set);
    bench.run(2000, 5, wellIn(5));
    const fresh = new TestCandidate("fresh");
    bench.balancer.update([...set, fresh]);
    const shareOf = (): number => (bench.run(300, 5, wellIn(5)).get(fresh) ?? 0) / 30;
    expect(shareOf()).toBeLessThan(0.2);
    bench.run(600, 5, wellIn(5));
    expect(bench.clock.time).toBeGreaterThan(28_000);
    expect(shareOf()).toBeGreaterThan(0.4);
  });

  it("starts nothing slowly when more than half of the set is new", () => {
    const bench = new Bench(candidates(2));
    bench.run(2000, 5, wellIn(5));
    const fresh = candidates(8);
    bench.balancer.update(fresh);
    const counts = bench.run(800, 1, wellIn(5));
    for (const candidate of fresh) expect(counts.get(candidate)).toBeGreaterThan(30);
  });

  it("turns away from a candidate that stopped answering before any of its calls has ended", () => {
    const set = candidates(3);
    const bench = new Bench(set);
    bench.run(300, 1, wellIn(10));
    const held = set.map(() => bench.begin());
    expect(new Set(held).size).toBe(3);
    for (const candidate of set.slice(1)) bench.end(candidate, "ok", 10);
    bench.clock.time += 100;
    // Without the time that its call has waited, one call in flight each would make them equal.
    set[1].inFlight = 2;
    set[2].inFlight = 2;
    for (let call = 0; call < 20; call++) expect(bench.balancer.pick(null)).not.toBe(set[0]);
    set[1].inFlight = 0;
    set[2].inFlight = 0;
  });

  it("counts a stall from the first call after all others are gone", () => {
    const set = candidates(1);
    const bench = new Bench(set);
    bench.end(bench.begin(), "timeout", 1000);
    bench.clock.time += 5000;
    bench.begin();
    expect(stats(set[0]).unansweredSince).toBe(5000);
  });

  it("forgives one pause: a sample counts five times the usual at most", () => {
    const set = candidates(3);
    const bench = new Bench(set);
    bench.run(300, 10, wellIn(10));
    const candidate = bench.begin();
    bench.clock.time += 500;
    bench.end(candidate, "ok", 500);
    expect(stats(candidate).latencyMs).toBeGreaterThan(20);
    expect(stats(candidate).latencyMs).toBeLessThan(23);
  });

  it("takes timeouts for failures and for latency, overload for neither, and cancelled calls for what they lasted", () => {
    const set = candidates(1);
    const bench = new Bench(set);
    const [candidate] = set;
    const endAs = (result: AttemptResult, elapsedMs: number): { success: number; latencyMs: number } => {
      bench.run(400, 10, wellIn(10));
      bench.begin();
      bench.clock.time += elapsedMs;
      bench.end(candidate, result, elapsedMs);
      const { success, latencyMs } = stats(candidate);
      return { success: Math.round(success * 100) / 100, latencyMs: Math.round(latencyMs) };
    };
    expect(endAs("timeout", 300)).toEqual({ success: 0.8, latencyMs: 50 });
    expect(endAs("failed", 300)).toEqual({ success: 0.8, latencyMs: 10 });
    expect(endAs("overload", 300)).toEqual({ success: 1, latencyMs: 10 });
    expect(endAs("cancelled", 3)).toEqual({ success: 1, latencyMs: 10 });
    expect(endAs("cancelled", 300)).toEqual({ success: 1, latencyMs: 22 });
  });

  it("sends next to nothing to a candidate that fails, however fast it does", () => {
    const set = candidates(10);
    const bench = new Bench(set);
    bench.run(1000, 1, wellIn(10));
    const broken = (candidate: TestCandidate): [AttemptResult, number] =>
      candidate === set[0] ? ["failed", 1] : ["ok", 10];
    const counts = bench.run(1000, 1, broken);
    expect(counts.get(set[0])).toBeLessThan(25);
  });

  it("looks at everyone when what it drew is broken", () => {
    const set = candidates(10);
    const bench = new Bench(set);
    bench.run(1000, 1, wellIn(10));
    const onlyLast = (candidate: TestCandidate): [AttemptResult, number] =>
      candidate === set[9] ? ["ok", 10] : ["failed", 1];
    bench.run(2000, 1, onlyLast);
    const counts = bench.run(200, 1, onlyLast);
    expect(counts.get(set[9])).toBeGreaterThan(190);
  });

  it("still picks, and spreads, when everything is broken", () => {
    const set = candidates(10);
    const bench = new Bench(set);
    bench.run(3000, 1, () => ["failed", 1]);
    const counts = bench.run(1000, 1, () => ["failed", 1]);
    for (const candidate of set) expect(counts.get(candidate)).toBeGreaterThan(30);
  });

  it.each([2, 3, 10])("gives traffic back to one of %i that was slow or failed and is well again", (count) => {
    for (const fault of [
      ["failed", 1],
      ["ok", 300],
      ["timeout", 1000],
    ] as [AttemptResult, number][]) {
      const set = candidates(count);
      const bench = new Bench(set);
      bench.run(100 * count, 5, wellIn(10));
      const during = bench.run(200 * count, 5, (candidate) => (candidate === set[0] ? fault : ["ok", 10]));
      expect(during.get(set[0]), String(fault)).toBeLessThan(60);
      const endOfFault = bench.clock.time;
      while (bench.clock.time < endOfFault + 20_000) bench.run(20, 5, wellIn(10));
      const after = bench.run(200 * count, 5, wellIn(10));
      expect(after.get(set[0]), String(fault)).toBeGreaterThan(100);
    }
  });

  it("retests a dead candidate ever more rarely, never with the second try of a call", () => {
    const set = candidates(4);
    const bench = new Bench(set);
    bench.run(1000, 5, wellIn(5));
    const dead = (candidate: TestCandidate): [AttemptResult, number] =>
      candidate === set[0] ? ["timeout", 100] : ["ok", 5];
    bench.run(500, 5, dead);
    const tries: number[] = [];
    for (let call = 0; call < 40_000; call++) {
      const from = bench.clock.time;
      if (bench.run(1, 5, dead).has(set[0])) tries.push(from);
    }
    const gaps = tries.slice(1).map((at, index) => at - tries[index]);
    expect(gaps.length).toBeGreaterThan(4);
    expect(gaps.length).toBeLessThan(14);
    expect(Math.max(...gaps)).toBeGreaterThan(50_000);
    expect(Math.max(...gaps)).toBeLessThan(110_000);

    bench.clock.time += 200_000;
    for (let call = 0; call < 100; call++) expect(bench.balancer.pick(set[1])).not.toBe(set[0]);
  });

  it("sends one call, not many, to a candidate that is due for a retest", () => {
    const set = candidates(4);
    const bench = new Bench(set);
    bench.run(1000, 5, wellIn(5));
    stats(set[0]).success = 0.2;
    bench.clock.time += 7000;
    for (const candidate of set.slice(1)) bench.balancer.done(candidate, "ok", 5);
    for (let call = 0; call < 100; call++) bench.begin();
    expect(set[0].inFlight).toBe(1);
  });

  it.each([2, 10])("retests one of %i whose first call is a stream that says nothing", (count) => {
    const set = candidates(count);
    const bench = new Bench(set);
    const silent = bench.begin();
    bench.run(100, 5, wellIn(5));
    for (const candidate of set) if (candidate !== silent) candidate.inFlight = 8;
    expect(bench.run(100, 5, wellIn(5)).has(silent)).toBe(false);
    bench.clock.time += 5000;
    // A large set does not draw it each time.
    expect(bench.run(100, 5, wellIn(5)).get(silent)).toBeGreaterThan(count === 2 ? 98 : 20);
  });

  it("sends one call a retest, not more, to a candidate that has answered none", () => {
    const set = candidates(4);
    const bench = new Bench(set);
    const silent = bench.begin();
    const inFlightUnderLoad = (): number => {
      const others = Array.from({ length: 100 }, () => bench.begin()).filter((picked) => picked !== silent);
      for (const picked of others) bench.end(picked, "ok", 5);
      return silent.inFlight;
    };
    bench.run(100, 5, wellIn(5));
    expect(inFlightUnderLoad()).toBe(1);
    for (let retests = 1; retests < 4; retests++) {
      bench.clock.time += 6300;
      expect(inFlightUnderLoad()).toBe(1 + retests);
    }
  });

  it("retests a broken candidate of a large set soon, though all others look better", () => {
    const set = candidates(30);
    const bench = new Bench(set);
    bench.run(3000, 1, wellIn(5));
    stats(set[0]).success = 0.2;
    stats(set[0]).retestAt = bench.clock.time;
    const counts = bench.run(200, 1, wellIn(5));
    expect(counts.get(set[0])).toBeGreaterThan(0);
  });

  it("does not take a quiet client's silence for trouble", () => {
    const set = candidates(2);
    const bench = new Bench(set);
    bench.run(100, 10_000, wellIn(10));
    expect(stats(set[0]).gapMs).toBeGreaterThan(10_000);
    expect(stats(set[0]).retestAt).toBeGreaterThan(bench.clock.time + 20_000);
  });

  it("takes over candidates that another balancer has left its state on", () => {
    const set = candidates(2);
    set[0].state = { fromElsewhere: true };
    const bench = new Bench(set);
    expect(bench.run(10, 1, wellIn(1)).size).toBe(2);
  });

  it("names the option that is out of range", () => {
    expect(() => p2c({ latencyTauMs: 0 })).toThrow(/latencyTauMs of p2c must be a finite number of ms above 0, not 0/);
    expect(() => p2c({ slowStartMs: -1 })).toThrow(/slowStartMs/);
    expect(() => p2c({ retestMs: Number.NaN })).toThrow(/retestMs/);
    expect(() => p2c({ slowStartMs: 0 })).not.toThrow();
  });
});
