import { describe, expect, it } from "vitest";
import { wallMs } from "../ledger/call-log.ts";
import { LoopWatch, stalledMs } from "./loop-watch.ts";

/** What must come in any case may take this long on a busy machine. */
const SOON = { timeout: 20_000 };

describe("stalls", { timeout: 60_000 }, () => {
  it("count as far as they lie in the time that is asked for", () => {
    const stalls = [
      { fromMs: 10, toMs: 20 },
      { fromMs: 30, toMs: 50 },
    ];
    expect([stalledMs(stalls, 0, 100), stalledMs(stalls, 15, 35), stalledMs(stalls, 21, 29)]).toEqual([30, 10, 0]);
  });

  it("are noticed when the loop is kept", async () => {
    const watch = new LoopWatch();
    const fromMs = wallMs();
    while (wallMs() < fromMs + 60);
    await expect.poll(() => watch.stalledMs(fromMs, wallMs()), SOON).toBeGreaterThan(40);
    expect(watch.longestMs).toBeGreaterThan(40);
  });
});
