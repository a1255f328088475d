import { describe, expect, it } from "vitest";
import { VirtualClock } from "../testing/virtual-clock.ts";
import { AbuseGuard } from "./abuse-guard.ts";
import { type Http2Limits, http2Limits } from "./limits.ts";

function scene(): { clock: VirtualClock; guard: AbuseGuard; limits: Http2Limits } {
  const clock = new VirtualClock(5000);
  const limits = http2Limits({ resetBurst: 10, resetRate: 5, glitchBurst: 20, glitchRate: 10, maxEmptyDataFrames: 3 });
  return { clock, limits, guard: new AbuseGuard(clock, limits) };
}

/** How often `count` can be called before it names a bound. */
function allowance(count: () => string | null): number {
  let allowed = 0;
  while (count() === null) allowed++;
  return allowed;
}

describe("the guard against abuse", () => {
  it("allows a burst of resets and then says which bound was passed", () => {
    const { guard } = scene();
    expect(allowance(() => guard.reset())).toBe(10);
    expect(guard.reset()).toBe("resetBurst");
    expect(allowance(() => guard.glitch())).toBe(20);
    expect(guard.glitch()).toBe("glitchBurst");
  });

  it("takes no offence at a reset of each stream that this side has closed by then", () => {
    const { guard } = scene();
    for (let i = 0; i < 25; i++) guard.streamClosed();
    expect(allowance(() => guard.lateReset())).toBe(25 + 10);
    expect(guard.lateReset()).toBe("resetBurst");
  });

  it("remembers as many of those as may be open at once", () => {
    const { guard, limits } = scene();
    for (let i = 0; i < 5000; i++) guard.streamClosed();
    expect(allowance(() => guard.lateReset())).toBe(limits.maxConcurrentStreams + 10);
  });

  it("refills with time, up to the burst", async () => {
    const { clock, guard } = scene();
    expect(allowance(() => guard.reset())).toBe(10);
    await clock.advance(1000);
    expect(allowance(() => guard.reset())).toBe(5);
    await clock.advance(100);
    expect(allowance(() => guard.reset())).toBe(0);
    await clock.advance(100);
    expect(allowance(() => guard.reset())).toBe(1);
    await clock.advance(3_600_000);
    expect(allowance(() => guard.reset())).toBe(10);
  });

  it("lets a peer go on for ever at the rate", async () => {
    const { clock, guard } = scene();
    for (let i = 0; i < 500; i++) {
      expect(guard.reset()).toBeNull();
      await clock.advance(200);
    }
  });

  it("never allows more than burst and rate together", async () => {
    const { clock, guard } = scene();
    guard.reset();
    await clock.advance(3_600_000);
    expect(allowance(() => guard.reset())).toBeLessThanOrEqual(10);
  });

  it("allows some empty DATA in a row, and counts anew after DATA with content", () => {
    const { guard } = scene();
    expect(allowance(() => guard.emptyData())).toBe(3);
    guard.emptyDataInRow = 0;
    expect(allowance(() => guard.emptyData())).toBe(3);
    expect(guard.emptyData()).toBe("maxEmptyDataFrames");
  });
});
