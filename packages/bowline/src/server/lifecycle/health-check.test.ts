import { afterEach, describe, expect, it } from "vitest";
import { VirtualClock } from "../../testing/virtual-clock.ts";
import { HealthCheck, type HealthCheckOptions } from "./health-check.ts";

describe("a health check", () => {
  const checks: HealthCheck[] = [];
  afterEach(() => {
    for (const check of checks.splice(0)) check.close();
  });

  function scene(options: Partial<HealthCheckOptions> = {}) {
    const clock = new VirtualClock();
    const state = { answer: (_signal: AbortSignal): unknown => true, hasOthers: true as boolean | null, asked: 0 };
    const events: string[] = [];
    const check = (signal: AbortSignal): unknown => {
      state.asked++;
      return state.answer(signal);
    };
    const owner = {
      hasOthers: () => state.hasOthers,
      leave: (reason: string) => void events.push(`leave: ${reason}`),
      comeBack: (reason: string) => void events.push(`come back: ${reason}`),
      stays: (reason: string) => void events.push(`stays: ${reason}`),
    };
    // No jitter.
    const healthCheck = new HealthCheck({ check, intervalMs: 1000, ...options }, clock, () => 0.5, owner);
    checks.push(healthCheck);
    return { clock, state, events, healthCheck };
  }

  const fails = (): never => {
    throw new Error("no database");
  };

  it("that succeeds changes nothing", async () => {
    const { clock, state, events } = scene();
    await clock.advance(10_000);
    expect([state.asked, events]).toEqual([10, []]);
  });

  it("takes the instance out after 3 failures in a row, and puts it in after 2 successes in a row", async () => {
    const { clock, state, events } = scene();
    state.answer = fails;
    await clock.advance(2000);
    state.answer = () => undefined;
    await clock.advance(1000);
    state.answer = fails;
    await clock.advance(2000);
    expect(events).toEqual(["stays: "]);
    await clock.advance(1000);
    expect(events.splice(0)).toEqual(["stays: ", "leave: the health check failed (no database)"]);
    await clock.advance(5000);
    state.answer = () => true;
    await clock.advance(1000);
    state.answer = fails;
    await clock.advance(1000);
    state.answer = () => true;
    await clock.advance(1000);
    expect(events).toEqual([]);
    await clock.advance(1000);
    expect(events).toEqual(["come back: the health check succeeds again (2 times)"]);
  });

  it.each<[string, (signal: AbortSignal) => unknown, string]>([
    ["false", () => false, "it said false"],
    ["a promise of false", async () => false, "it said false"],
    ["a rejection", () => Promise.reject(new Error("no disk")), "no disk"],
    ["something thrown that is no error", () => Promise.reject("odd"), "odd"],
    ["silence", () => new Promise(() => {}), "no answer within 500 ms"],
  ])("takes %s for a failure", async (_name, answer, text) => {
    const { clock, state, events } = scene({ failuresUntilOut: 1, timeoutMs: 500 });
    state.answer = answer;
    await clock.advance(1500);
    expect(events).toEqual([`leave: the health check failed (${text})`]);
  });

  it("tells a check that its time is over, and runs one at a time", async () => {
    const { clock, state } = scene({ timeoutMs: 3000 });
    const signals: AbortSignal[] = [];
    state.answer = (signal) => {
      signals.push(signal);
      return new Promise(() => {});
    };
    await clock.advance(3999);
    expect([signals.length, signals[0].aborted]).toEqual([1, false]);
    await clock.advance(1);
    expect(signals[0].aborted).toBe(true);
    await clock.advance(1000);
    expect(signals).toHaveLength(2);
  });

  it("keeps the last instance in, and one that knows nothing of others, until others are there", async () => {
    const { clock, state, events } = scene();
    state.answer = fails;
    state.hasOthers = null;
    await clock.advance(3000);
    expect(events.splice(0)).toEqual([
      "stays: the health check failed (no database); it stays, for it is not known whether others take calls",
    ]);
    state.hasOthers = false;
    await clock.advance(1000);
    expect(events.splice(0)).toEqual([
      "stays: the health check failed (no database); it stays, for no other instance takes calls",
    ]);
    state.hasOthers = true;
    await clock.advance(1000);
    expect(events).toEqual(["leave: the health check failed (no database)"]);
  });

  it("brings the instance back when nobody else is there, and lets it leave again when somebody is", async () => {
    const { clock, state, events, healthCheck } = scene();
    state.answer = fails;
    await clock.advance(3000);
    events.length = 0;
    state.hasOthers = null;
    healthCheck.othersChanged();
    expect(events).toEqual([]);
    state.hasOthers = false;
    healthCheck.othersChanged();
    healthCheck.othersChanged();
    expect(events.splice(0)).toEqual([
      "come back: ",
      "stays: the health check failed (no database); it came back, for no other instance takes calls",
    ]);
    state.hasOthers = true;
    healthCheck.othersChanged();
    await clock.advance(1000);
    expect(events).toEqual(["leave: the health check failed (no database)"]);
  });

  it("asks at intervals that differ by 10 % at most", async () => {
    for (const [chance, afterMs] of [
      [0, 900],
      [0.999, 1099.8],
    ]) {
      const clock = new VirtualClock();
      let asked = 0;
      const owner = { hasOthers: () => true, leave() {}, comeBack() {}, stays() {} };
      checks.push(new HealthCheck({ check: () => asked++, intervalMs: 1000 }, clock, () => chance, owner));
      await clock.advance(afterMs - 1);
      expect(asked).toBe(0);
      await clock.advance(2);
      expect(asked).toBe(1);
    }
  });

  it("leaves no timer behind, and says nothing after it was closed", async () => {
    const { clock, state, events, healthCheck } = scene({ failuresUntilOut: 1 });
    const running = Promise.withResolvers<boolean>();
    state.answer = () => running.promise;
    await clock.advance(1000);
    healthCheck.close();
    running.resolve(false);
    await clock.advance(10_000);
    expect([events, clock.pending, state.asked]).toEqual([[], 0, 1]);
  });
});
