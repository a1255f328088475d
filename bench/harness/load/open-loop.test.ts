import { describe, expect, it } from "vitest";
import { OpenLoop, type OpenLoopWorld } from "./open-loop.ts";
import type { Slot } from "./slot.ts";

/** A world in which each turn takes 0.25 ms, and in which what is due later happens at its time. */
class World implements OpenLoopWorld {
  time = 0;
  readonly #due: { at: number; action: () => void }[] = [];

  now(): number {
    return this.time;
  }

  at(at: number, action: () => void): void {
    this.#due.push({ at, action });
  }

  async nextTurn(): Promise<void> {
    this.time += 0.25;
    for (const each of this.#due.splice(0)) {
      if (each.at <= this.time) each.action();
      else this.#due.push(each);
    }
  }
}

describe("OpenLoop", () => {
  it("starts as many calls as the rate says and reports their latency", async () => {
    const world = new World();
    let begun = 0;
    const loop = new OpenLoop((slot: Slot) => world.at(world.time + 2, slot.resolved), world);
    const result = await loop.run(1000, 10, 1, () => begun++);
    expect(begun).toBe(1);
    expect(result).toMatchObject({ errors: 0, seconds: 1 });
    expect(Math.abs(result.calls - 1000)).toBeLessThanOrEqual(2);
    expect(result.p50Ms).toBeGreaterThanOrEqual(1.99);
    expect(result.p99Ms).toBeLessThan(2.6);
  });

  it("shows a stall to all calls that were planned in it", async () => {
    const world = new World();
    const answerAt = (now: number): number => (now >= 400 && now < 800 ? 800 : now);
    const loop = new OpenLoop((slot: Slot) => world.at(answerAt(world.time), slot.resolved), world);
    const result = await loop.run(1000, 10, 1, () => {});
    // Four tenths of all calls wait 200 ms at the middle, 400 at the most, though only ten were in flight.
    expect(result.p99Ms).toBeGreaterThan(380);
    expect(result.p99Ms).toBeLessThan(405);
    expect(result.p50Ms).toBeLessThan(1);
  });

  it("counts the wait of calls that never had a free place", async () => {
    const world = new World();
    const loop = new OpenLoop((slot: Slot) => world.at(1200, slot.resolved), world);
    const result = await loop.run(1000, 1, 1, () => {});
    expect(result.calls).toBe(0);
    expect(result.p50Ms).toBeGreaterThan(480);
    expect(result.p50Ms).toBeLessThan(720);
  });

  it("counts errors apart and keeps the first", async () => {
    const world = new World();
    let started = 0;
    const loop = new OpenLoop((slot: Slot) => world.at(0, () => slot.rejected(new Error(`call ${started++}`))), world);
    const result = await loop.run(1000, 10, 0.1, () => {});
    expect(result).toMatchObject({ calls: 0, firstError: "Error: call 0" });
    expect(result.errors).toBe(started);
  });
});
