import { describe, expect, it } from "vitest";
import { systemClock } from "./clock.ts";

/** Keeps the thread busy until the platform's clock has moved. */
function spin(ms: number): void {
  for (const until = performance.now() + ms; performance.now() < until; );
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe("the process's clock", () => {
  it("stands still for a turn of the event loop, its promises included, and not for longer", async () => {
    await nextTurn();
    const before = systemClock.now();
    spin(2);
    expect(systemClock.now()).toBe(before);
    await Promise.resolve();
    await new Promise<void>((resolve) => process.nextTick(resolve));
    expect(systemClock.now()).toBe(before);
    await nextTurn();
    await nextTurn();
    expect(systemClock.now()).toBeGreaterThanOrEqual(before + 2);
  });

  it("tells the real time to who asks for it anew, and to all others of the turn from then on", async () => {
    await nextTurn();
    const before = systemClock.now();
    spin(2);
    const fresh = systemClock.fresh();
    expect(fresh).toBeGreaterThanOrEqual(before + 2);
    expect(systemClock.now()).toBe(fresh);
  });

  it("calls back after a time, and not after a cancellation", async () => {
    let calls = 0;
    const cancelled = systemClock.setTimeout(() => (calls += 100), 0);
    cancelled.cancel();
    await new Promise<void>((resolve) => systemClock.setTimeout(resolve, 1));
    await new Promise<void>((resolve) => {
      const interval = systemClock.setInterval(() => {
        if (++calls < 3) return;
        interval.cancel();
        resolve();
      }, 1);
    });
    expect(calls).toBe(3);
  });

  it("takes times that the platform's timers do not", () => {
    systemClock.setTimeout(() => {}, Number.POSITIVE_INFINITY).cancel();
    systemClock.setTimeout(() => {}, -5).cancel();
    const far = systemClock.setTimeout(() => expect.unreachable("it fired at once"), 2 ** 40);
    far.cancel();
  });
});
