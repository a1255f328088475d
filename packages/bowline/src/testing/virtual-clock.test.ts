import { describe, expect, it } from "vitest";
import { TimerNode, TimerWheel } from "../rpc/timer-wheel.ts";
import { settle, VirtualClock } from "./virtual-clock.ts";

describe("VirtualClock", () => {
  it("stands still until it is moved", async () => {
    const clock = new VirtualClock(100);
    await settle();
    expect([clock.now(), clock.fresh()]).toEqual([100, 100]);
    await clock.advance(2.5);
    expect([clock.now(), clock.fresh()]).toEqual([102.5, 102.5]);
  });

  it("fires due timers in the order of their times, those of one time in the order they were set", async () => {
    const clock = new VirtualClock();
    const fired: string[] = [];
    const note = (name: string) => () => void fired.push(`${name}@${clock.now()}`);
    clock.setTimeout(note("late"), 30);
    clock.setTimeout(note("a"), 10);
    clock.setTimeout(note("b"), 10);
    clock.setTimeout(note("at once"), -5);
    await clock.advance(29);
    expect(fired).toEqual(["at once@0", "a@10", "b@10"]);
    await clock.advance(1);
    expect(fired.at(-1)).toBe("late@30");
  });

  it("repeats intervals until they are cancelled, from inside too", async () => {
    const clock = new VirtualClock();
    const fired: number[] = [];
    const timer = clock.setInterval(() => {
      fired.push(clock.now());
      if (fired.length === 3) timer.cancel();
    }, 20);
    await clock.advance(1000);
    expect(fired).toEqual([20, 40, 60]);
    expect(clock.pending).toBe(0);
  });

  it("repeats no more often than each millisecond", async () => {
    const clock = new VirtualClock();
    let fired = 0;
    const timer = clock.setInterval(() => {
      // Without a least period the time would never pass.
      if (++fired === 100) timer.cancel();
    }, 0);
    await clock.advance(3);
    expect(fired).toBe(3);
  });

  it("fires what a timer sets while the time moves on", async () => {
    const clock = new VirtualClock();
    const fired: number[] = [];
    clock.setTimeout(() => {
      clock.setTimeout(() => void fired.push(clock.now()), 5);
    }, 5);
    await clock.advance(10);
    expect(fired).toEqual([10]);
  });

  it("lets promises and immediates run between two timers", async () => {
    const clock = new VirtualClock();
    const order: string[] = [];
    clock.setTimeout(() => {
      setImmediate(() => setImmediate(() => void Promise.resolve().then(() => order.push("chain"))));
    }, 1);
    clock.setTimeout(() => void order.push("second timer"), 2);
    await clock.advance(2);
    expect(order).toEqual(["chain", "second timer"]);
  });

  it("counts the timers that wait", () => {
    const clock = new VirtualClock();
    const timer = clock.setTimeout(() => {}, 10);
    clock.setInterval(() => {}, 10);
    expect(clock.pending).toBe(2);
    timer.cancel();
    timer.cancel();
    expect(clock.pending).toBe(1);
  });

  it("passes on what a timer throws, at the time it threw", async () => {
    const clock = new VirtualClock();
    clock.setTimeout(() => {
      throw new Error("in a timer");
    }, 7);
    await expect(clock.advance(10)).rejects.toThrow("in a timer");
    expect(clock.now()).toBe(7);
    await clock.advance(3);
    expect(clock.now()).toBe(10);
  });

  it("refuses to go back and to be moved twice at once", async () => {
    const clock = new VirtualClock();
    await expect(clock.advance(-1)).rejects.toThrow(RangeError);
    const first = clock.advance(5);
    await expect(clock.advance(5)).rejects.toThrow(/await it/);
    await first;
    expect(clock.now()).toBe(5);
  });

  it("lets a chain of immediates of any length run before the next timer", async () => {
    const clock = new VirtualClock();
    const order: string[] = [];
    const chain = (left: number): void => {
      if (left > 0) setImmediate(() => chain(left - 1));
      else order.push("end of chain");
    };
    clock.setTimeout(() => chain(200), 1);
    clock.setTimeout(() => void order.push("second timer"), 1);
    await clock.advance(1);
    expect(order).toEqual(["end of chain", "second timer"]);
  });

  it("goes on though something runs for ever", async () => {
    const clock = new VirtualClock();
    let isRunning = true;
    const forEver = (): void => void (isRunning && setImmediate(forEver));
    forEver();
    await clock.advance(1);
    isRunning = false;
    expect(clock.now()).toBe(1);
  });

  it("advances until a promise settles, no further", async () => {
    const clock = new VirtualClock();
    const later = new Promise((resolve) => clock.setTimeout(() => resolve("now"), 250));
    clock.setTimeout(() => {}, 251);
    expect(await clock.advanceUntil(later)).toBe("now");
    expect(clock.now()).toBe(250);
    expect(await clock.advanceUntil(Promise.resolve(1))).toBe(1);
    expect(clock.now()).toBe(250);
  });

  it("rejects as the promise does, which nobody else need look at", async () => {
    const clock = new VirtualClock();
    const later = new Promise((_resolve, reject) => clock.setTimeout(() => reject(new Error("too late")), 250));
    await expect(clock.advanceUntil(later)).rejects.toThrow("too late");
    expect(clock.now()).toBe(250);
  });

  it("gives up a promise that time does not settle", async () => {
    const clock = new VirtualClock();
    const never = new Promise(() => {});
    await expect(clock.advanceUntil(never)).rejects.toThrow(/no timer is left/);
    clock.setInterval(() => {}, 10);
    await expect(clock.advanceUntil(never, 1000)).rejects.toThrow(/nothing settled within 1000 ms/);
    expect(clock.now()).toBe(1000);
  });

  it("drives a timer wheel", async () => {
    const clock = new VirtualClock();
    const wheel = new TimerWheel(clock);
    const node = new TimerNode();
    let firedAt = -1;
    node.onDue = () => {
      firedAt = clock.now();
    };
    wheel.add(node, 203);
    await clock.advance(300);
    expect(firedAt).toBe(205);
    expect(clock.pending).toBe(0);
  });
});
