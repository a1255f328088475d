import { describe, expect, it } from "vitest";
import { Bench, stats, wellIn } from "../../test/balancer-bench.ts";
import { candidates } from "../../test/test-candidate.ts";

describe("p2c", () => {
  it("counts a stream that has answered for an eighth of a call, and spreads streams all the same", () => {
    const set = candidates(2);
    const [watched] = set;
    const bench = new Bench(set);
    bench.run(100, 1, wellIn(10));
    const shareOfWatched = (): number => (bench.run(2000, 1, wellIn(10)).get(watched) ?? 0) / 2000;
    watched.inFlight = 1;
    // As a call it keeps all others away, but for a retest each 5 s.
    expect(shareOfWatched()).toBeLessThan(0.01);
    watched.streaming = 1;
    expect(shareOfWatched()).toBeGreaterThan(0.3);
    expect(shareOfWatched()).toBeLessThan(0.4);
    for (let stream = 1; stream < 200; stream++) {
      const picked = bench.begin();
      picked.streaming++;
      bench.balancer.done(picked, "ok", 10);
      bench.clock.time += 10;
    }
    expect(watched.streaming).toBeGreaterThan(85);
    expect(watched.streaming).toBeLessThan(115);
  });

  it("does not take a stream for a call that waits", () => {
    const set = candidates(2);
    const [watched] = set;
    const bench = new Bench(set);
    bench.run(100, 1, wellIn(10));
    watched.inFlight = 1;
    watched.streaming = 1;
    // A call that times out leaves nothing behind that could stall.
    watched.inFlight++;
    stats(watched).unansweredSince = bench.clock.time;
    bench.clock.time += 1000;
    bench.end(watched, "timeout", 1000);
    stats(watched).success = 1;
    stats(watched).latencyMs = 10;
    bench.balancer.update(set);
    expect((bench.run(1000, 1, wellIn(10)).get(watched) ?? 0) / 1000).toBeGreaterThan(0.25);
  });
});
