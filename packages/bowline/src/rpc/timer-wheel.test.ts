import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Clock, Timer } from "./clock.ts";
import { TimerNode, TimerWheel } from "./timer-wheel.ts";

const SLOT_MS = 5;

/** A clock with one interval, whose ticks a test makes by moving the time. */
class TickClock implements Clock {
  time = 1000.3;
  intervals = 0;
  #tick: (() => void) | null = null;
  #nextTickAt = 0;

  now(): number {
    return this.time;
  }

  fresh(): number {
    return this.time;
  }

  setTimeout(): Timer {
    throw new Error("a wheel has one interval and no other timers");
  }

  setInterval(callback: () => void, periodMs: number): Timer {
    this.intervals++;
    this.#tick = callback;
    this.#nextTickAt = this.time + periodMs;
    return {
      cancel: () => {
        this.intervals--;
        this.#tick = null;
      },
    };
  }

  /** Moves the time, with a tick each 5 ms. */
  advance(ms: number): void {
    const end = this.time + ms;
    while (this.#tick !== null && this.#nextTickAt <= end) {
      this.time = this.#nextTickAt;
      this.#nextTickAt += SLOT_MS;
      this.#tick();
    }
    this.time = end;
  }

  /** Moves the time with a single tick at its end, as after a long synchronous stretch. */
  stall(ms: number): void {
    this.time += ms;
    this.#nextTickAt = this.time + SLOT_MS;
    this.#tick?.();
  }
}

/** Keeps when it was due. */
class Node extends TimerNode {
  readonly firedAt: number[] = [];
  readonly #clock: Clock;
  readonly #then: (node: Node) => void;

  constructor(clock: Clock, then: (node: Node) => void = () => {}) {
    super();
    this.#clock = clock;
    this.#then = then;
  }

  override onDue(): void {
    this.firedAt.push(this.#clock.fresh());
    this.#then(this);
  }
}

describe("a timer wheel", () => {
  it("fires once, never early and at most a slot and a tick late", () => {
    for (const inMs of [0, 0.1, 4.9, 5, 7, 4999, 5120, 5121, 60_000]) {
      const clock = new TickClock();
      const wheel = new TimerWheel(clock);
      const node = new Node(clock);
      const dueAt = clock.time + inMs;
      wheel.add(node, dueAt);
      clock.advance(inMs + 100);
      expect(node.firedAt, String(inMs)).toHaveLength(1);
      expect(node.firedAt[0] - dueAt).toBeGreaterThanOrEqual(0);
      expect(node.firedAt[0] - dueAt).toBeLessThanOrEqual(2 * SLOT_MS);
      expect(node.timerNext).toBeNull();
    }
  });

  it("fires what is due already at the next tick", () => {
    const clock = new TickClock();
    const wheel = new TimerWheel(clock);
    const node = new Node(clock);
    wheel.add(node, clock.time - 10_000);
    clock.advance(2 * SLOT_MS);
    expect(node.firedAt).toHaveLength(1);
  });

  it("has one interval while something waits and none otherwise", () => {
    const clock = new TickClock();
    const wheel = new TimerWheel(clock);
    expect(clock.intervals).toBe(0);
    const nodes = Array.from({ length: 100 }, () => new Node(clock));
    for (const node of nodes) wheel.add(node, clock.time + 50);
    expect(clock.intervals).toBe(1);
    for (const node of nodes) wheel.remove(node);
    expect(wheel.size).toBe(0);
    clock.advance(2 * SLOT_MS);
    expect(clock.intervals).toBe(0);
    wheel.add(nodes[0], clock.time + 50);
    clock.advance(100);
    expect(nodes[0].firedAt).toHaveLength(1);
    expect(clock.intervals).toBe(0);
  });

  it("moves a timer that is armed again, and forgets one that was removed", () => {
    const clock = new TickClock();
    const wheel = new TimerWheel(clock);
    const moved = new Node(clock);
    const removed = new Node(clock);
    wheel.add(moved, clock.time + 10);
    wheel.add(removed, clock.time + 10);
    wheel.add(moved, clock.time + 200);
    wheel.remove(removed);
    wheel.remove(removed);
    expect(wheel.size).toBe(1);
    clock.advance(150);
    expect(moved.firedAt).toEqual([]);
    clock.advance(100);
    expect(moved.firedAt).toHaveLength(1);
    expect(removed.firedAt).toEqual([]);
  });

  it("lets a timer remove its neighbours of the same slot and arm new ones while it fires", () => {
    const clock = new TickClock();
    const wheel = new TimerWheel(clock);
    const victim = new Node(clock);
    const child = new Node(clock);
    const first = new Node(clock, (node) => {
      wheel.remove(victim);
      wheel.add(child, clock.time + 20);
      if (node.firedAt.length < 2) wheel.add(node, clock.time + SLOT_MS);
    });
    for (const node of [first, victim]) wheel.add(node, clock.time + 50);
    clock.advance(100);
    expect(first.firedAt).toHaveLength(2);
    expect(victim.firedAt).toEqual([]);
    expect(child.firedAt).toHaveLength(1);
    expect(wheel.size).toBe(0);
  });

  it("fires everything that became due while nothing could run, laps included, and nothing else", () => {
    const clock = new TickClock();
    const wheel = new TimerWheel(clock);
    const due = [1, 100, 5000, 5119, 5121, 11_000].map((inMs) => ({ inMs, node: new Node(clock) }));
    const notDue = [11_100, 20_000].map((inMs) => ({ inMs, node: new Node(clock) }));
    const start = clock.time;
    for (const { inMs, node } of [...due, ...notDue]) wheel.add(node, start + inMs);
    clock.stall(11_050);
    clock.advance(SLOT_MS);
    expect(due.map(({ node }) => node.firedAt.length)).toEqual([1, 1, 1, 1, 1, 1]);
    expect(notDue.map(({ node }) => node.firedAt.length)).toEqual([0, 0]);
    clock.advance(10_000);
    expect(notDue.map(({ node }) => node.firedAt.length)).toEqual([1, 1]);
  });

  it("lets input that came during a stall be read before it judges, once", () => {
    const clock = new TickClock();
    const wheel = new TimerWheel(clock);
    const [answered, silent, later] = [new Node(clock), new Node(clock), new Node(clock)];
    for (const node of [answered, silent]) wheel.add(node, clock.time + 100);
    wheel.add(later, clock.time + 600);
    clock.stall(300);
    expect([answered.firedAt.length, silent.firedAt.length]).toEqual([0, 0]);
    wheel.remove(answered);
    // The next tick is late again: a process that always is still keeps time.
    clock.stall(300);
    expect([answered.firedAt.length, silent.firedAt.length]).toEqual([0, 1]);
    clock.stall(300);
    expect(later.firedAt).toHaveLength(0);
    clock.advance(SLOT_MS);
    expect(later.firedAt).toHaveLength(1);
  });

  it("says the same as a list sorted by time, after any arming, disarming and stalling", () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("add" as const), node: fc.nat(9), ms: fc.oneof(fc.nat(50), fc.nat(12_000)) }),
      fc.record({ kind: fc.constant("remove" as const), node: fc.nat(9), ms: fc.constant(0) }),
      fc.record({
        kind: fc.constantFrom("advance" as const, "stall" as const),
        node: fc.constant(0),
        ms: fc.oneof(fc.nat(40), fc.nat(7000)),
      }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const clock = new TickClock();
        const wheel = new TimerWheel(clock);
        const armed = new Map<Node, number>();
        const nodes = Array.from(
          { length: 10 },
          () =>
            new Node(clock, (node) => {
              expect(clock.time).toBeGreaterThanOrEqual(armed.get(node) as number);
              armed.delete(node);
            }),
        );
        for (const { kind, node, ms } of steps) {
          if (kind === "add") {
            wheel.add(nodes[node], clock.time + ms);
            armed.set(nodes[node], clock.time + ms);
          } else if (kind === "remove") {
            wheel.remove(nodes[node]);
            armed.delete(nodes[node]);
          } else if (kind === "advance") {
            clock.advance(ms);
          } else {
            clock.stall(ms);
            clock.advance(SLOT_MS);
          }
          expect(wheel.size).toBe(armed.size);
          if (kind === "stall") for (const dueAt of armed.values()) expect(dueAt).toBeGreaterThan(clock.time - SLOT_MS);
        }
        clock.advance(13_000);
        expect(armed.size).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  it("fires in the next slot what is armed for now or the past while others fire", () => {
    const clock = new TickClock();
    const wheel = new TimerWheel(clock);
    const late = new Node(clock);
    wheel.add(new Node(clock, () => wheel.add(late, clock.time - 3)), clock.time + 20);
    clock.advance(100);
    expect(late.firedAt).toHaveLength(1);
  });
});
