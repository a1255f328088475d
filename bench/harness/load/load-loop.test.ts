import { describe, expect, it } from "vitest";
import { LoadLoop } from "./load-loop.ts";
import type { Slot } from "./slot.ts";

/** So many turns of the event loop for a millisecond, whatever they take. */
async function turns(ms: number): Promise<void> {
  for (let turn = 0; turn < ms; turn++) await new Promise(setImmediate);
}

describe("LoadLoop", () => {
  it("keeps exactly as many calls in flight as asked, and waits for the last to end", async () => {
    let open = 0;
    let most = 0;
    const loop = new LoadLoop((slot) => {
      most = Math.max(most, ++open);
      setImmediate(() => {
        open--;
        slot.resolved();
      });
    }, turns);
    let begun = 0;
    const result = await loop.run(7, 0.05, () => begun++);
    expect(most).toBe(7);
    expect(open).toBe(0);
    expect(begun).toBe(1);
    expect(result.calls).toBeGreaterThan(7);
    expect(result.errors).toBe(0);
    expect(result.p50Ms).toBeGreaterThan(0);
    expect(result.p99Ms).toBeGreaterThanOrEqual(result.p50Ms);
  });

  it("counts errors apart from calls, keeps the first and goes on", async () => {
    let started = 0;
    const loop = new LoadLoop((slot: Slot) => {
      const number = started++;
      queueMicrotask(() => slot.called(new Error(`call ${number}`)));
    }, turns);
    const result = await loop.run(2, 0.05, () => {});
    expect(result).toMatchObject({ calls: 0, firstError: "Error: call 0" });
    expect(result.errors).toBeGreaterThan(2);
  });
});
