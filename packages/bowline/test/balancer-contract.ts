import { beforeEach, describe, expect, it } from "vitest";
import type { AttemptResult, Balancer } from "../src/balancer/balancer.ts";
import { type Random, seededRandom } from "../src/rpc/random.ts";
import { candidates, HandClock, TestCandidate } from "./test-candidate.ts";

/** What a balancer is made with. */
export interface BalancerWorld {
  readonly clock: HandClock;
  readonly random: Random;
}

const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
const RESULTS: readonly AttemptResult[] = ["ok", "ok", "ok", "failed", "timeout", "overload", "cancelled"];

interface Running {
  readonly candidate: TestCandidate;
  readonly startedAt: number;
  readonly endsAt: number;
}

/** A closed loop: `depth` calls in flight, each as long as chance says; the picks of each candidate. */
function share(
  balancer: Balancer<TestCandidate>,
  world: BalancerWorld,
  depth: number,
  calls: number,
): Map<TestCandidate, number> {
  const picks = new Map<TestCandidate, number>();
  const running: Running[] = [];
  for (let call = 0; call < calls; call++) {
    if (running.length === depth) {
      running.sort((a, b) => b.endsAt - a.endsAt);
      const { candidate, startedAt, endsAt } = running.pop() as Running;
      world.clock.time = endsAt;
      candidate.inFlight--;
      balancer.done(candidate, "ok", endsAt - startedAt);
    }
    const candidate = balancer.pick(null);
    if (candidate === null) throw new Error("nothing picked");
    candidate.inFlight++;
    picks.set(candidate, (picks.get(candidate) ?? 0) + 1);
    running.push({ candidate, startedAt: world.clock.time, endsAt: world.clock.time + 2 + 6 * world.random() });
  }
  return picks;
}

/** A set of candidates that changes by chance, and what a balancer may answer to it. */
class RandomWalk {
  readonly #balancer: Balancer<TestCandidate>;
  readonly #world: BalancerWorld;
  readonly #running: Running[] = [];
  #set: TestCandidate[] = [];
  #made = 0;

  constructor(balancer: Balancer<TestCandidate>, world: BalancerWorld) {
    this.#balancer = balancer;
    this.#world = world;
  }

  step(): void {
    const chance = this.#chance(100);
    if (chance < 45) this.#pick();
    else if (chance < 85) this.#end();
    else if (chance < 90) this.#world.clock.time += this.#chance(5) === 0 ? 3000 : 7;
    else if (chance < 96) this.#flip();
    else this.#change();
  }

  /** All calls end; nothing is in flight any more. */
  finish(): void {
    while (this.#running.length > 0) this.#end();
    for (const candidate of this.#set) expect(candidate.inFlight).toBe(0);
  }

  #pick(): void {
    const avoid = this.#chance(4) === 0 ? this.#any() : null;
    const usable = this.#set.filter((candidate) => candidate.isReady && candidate.weight > 0);
    const picked = this.#balancer.pick(avoid);
    if (picked === null) {
      expect(usable).toEqual([]);
      return;
    }
    expect(usable).toContain(picked);
    if (picked === avoid) expect(usable).toEqual([avoid]);
    picked.inFlight++;
    this.#running.push({ candidate: picked, startedAt: this.#world.clock.time, endsAt: 0 });
  }

  #end(): void {
    const [call] = this.#running.splice(this.#chance(this.#running.length), 1);
    if (call === undefined) return;
    call.candidate.inFlight--;
    this.#balancer.done(call.candidate, RESULTS[this.#chance(RESULTS.length)], this.#world.clock.time - call.startedAt);
  }

  #flip(): void {
    const candidate = this.#any();
    if (candidate !== null) candidate.isReady = !candidate.isReady;
  }

  #change(): void {
    const kind = this.#chance(4);
    if (kind === 0) this.#set.splice(this.#chance(this.#set.length), 1);
    else if (kind === 1) this.#set.sort(() => this.#world.random() - 0.5);
    else if (this.#set.length < 12) this.#set.push(new TestCandidate(`instance-${this.#made++}`, this.#chance(4)));
    const before = this.#set.map((candidate) => candidate.state);
    this.#balancer.update(this.#set);
    this.#set.forEach((candidate, index) => {
      if (before[index] !== undefined) expect(candidate.state).toBe(before[index]);
    });
  }

  #any(): TestCandidate | null {
    return this.#set[this.#chance(this.#set.length)] ?? null;
  }

  #chance(below: number): number {
    return Math.floor(this.#world.random() * below);
  }
}

/**
 * The promises of `Balancer` (balancer/balancer.ts), for every implementation that spreads load by chance or turn.
 *
 * That `pick` and `done` allocate nothing is not asserted: heap figures of a test run are no measurement.
 */
export function balancerContract(name: string, create: (world: BalancerWorld) => Balancer<TestCandidate>): void {
  describe(`${name} keeps the contract of a balancer`, () => {
    let world: BalancerWorld;
    let balancer: Balancer<TestCandidate>;

    beforeEach(() => {
      world = { clock: new HandClock(), random: seededRandom(42) };
      balancer = create(world);
    });

    it("picks nothing before it was given anything, from nothing, and from none that is ready", () => {
      expect(balancer.pick(null)).toBeNull();
      balancer.update([]);
      expect(balancer.pick(null)).toBeNull();
      const set = candidates(5);
      for (const candidate of set) candidate.isReady = false;
      balancer.update(set);
      expect(balancer.pick(null)).toBeNull();
      expect(balancer.pick(set[0])).toBeNull();
    });

    it("finds the one that is ready, at once, however many are not", () => {
      const set = candidates(200);
      for (const candidate of set) candidate.isReady = false;
      balancer.update(set);
      for (const index of [0, 77, 199]) {
        set[index].isReady = true;
        expect(balancer.pick(null)).toBe(set[index]);
        set[index].isReady = false;
      }
      expect(balancer.pick(null)).toBeNull();
    });

    it("gives nothing to a weight of 0, even when nothing else is ready", () => {
      const set = [new TestCandidate("none", 0), ...candidates(4)];
      balancer.update(set);
      for (let call = 0; call < 200; call++) expect(balancer.pick(null)).not.toBe(set[0]);
      for (const candidate of set.slice(1)) candidate.isReady = false;
      expect(balancer.pick(null)).toBeNull();
      expect(balancer.pick(set[0])).toBeNull();
    });

    it.each([2, 3, 4, 20])("takes the one to avoid of %i only when nothing else is ready", (count) => {
      const set = candidates(count);
      balancer.update(set);
      for (let call = 0; call < 100; call++) expect(balancer.pick(set[call % count])).not.toBe(set[call % count]);
      for (const candidate of set) candidate.isReady = candidate === set[1];
      expect(balancer.pick(set[1])).toBe(set[1]);
    });

    it.each([2, 3, 4, 10, 30])("is fair among %i equal candidates under load", (count) => {
      const set = candidates(count);
      balancer.update(set);
      const picks = share(balancer, world, 2 * count, 600 * count);
      for (const candidate of set) {
        expect(picks.get(candidate)).toBeGreaterThan(450);
        expect(picks.get(candidate)).toBeLessThan(750);
      }
    });

    it.each([2, 3, 10])("leaves none of %i equal candidates idle when calls come one by one", (count) => {
      const set = candidates(count);
      balancer.update(set);
      const picks = share(balancer, world, 1, 600 * count);
      for (const candidate of set) {
        expect(picks.get(candidate)).toBeGreaterThan(300);
        expect(picks.get(candidate)).toBeLessThan(1200);
      }
    });

    it("keeps what it remembers of a candidate over updates, absence included", () => {
      const set = candidates(4);
      balancer.update(set);
      share(balancer, world, 4, 100);
      const states = set.map((candidate) => candidate.state);
      balancer.update([...set].reverse());
      balancer.update(set.slice(2));
      balancer.update([...candidates(3), ...set]);
      expect(set.map((candidate) => candidate.state)).toEqual(states);
      set.forEach((candidate, index) => {
        expect(candidate.state).toBe(states[index]);
      });
    });

    it("takes the end of a call to a candidate that has left", () => {
      const set = candidates(3);
      balancer.update(set);
      const picked = balancer.pick(null) as TestCandidate;
      balancer.update(set.filter((candidate) => candidate !== picked));
      expect(() => balancer.done(picked, "failed", 5)).not.toThrow();
      expect(balancer.pick(null)).not.toBe(picked);
    });

    it.each(SEEDS)("stays right through 5,000 random steps, seed %i", (seed) => {
      const random = seededRandom(seed);
      const clock = new HandClock();
      const walk = new RandomWalk(create({ clock, random }), { clock, random });
      for (let step = 0; step < 5000; step++) walk.step();
      walk.finish();
    });
  });
}
