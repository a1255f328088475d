import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { seededRandom } from "../rpc/random.ts";
import { ConnectionBackoff, type ConnectionBackoffOptions, retryBackoffMs } from "./backoff.ts";

function delays(count: number, options: ConnectionBackoffOptions): number[] {
  const backoff = new ConnectionBackoff(options);
  return Array.from({ length: count }, () => backoff.next());
}

describe("ConnectionBackoff", () => {
  it("grows by 1.6 from 1 s to 120 s", () => {
    const middle = delays(13, { random: () => 0.5 }).map(Math.round);
    expect(middle.slice(0, 5)).toEqual([1000, 1600, 2560, 4096, 6554]);
    expect(middle.slice(-3)).toEqual([109_951, 120_000, 120_000]);
  });

  it("spreads every delay by a fifth, the first and the longest too", () => {
    expect(delays(2, { random: () => 0 })).toEqual([800, 1280]);
    expect(delays(30, { random: () => 0 }).at(-1)).toBe(96_000);
    const random = seededRandom(1);
    const first = Array.from({ length: 500 }, () => delays(1, { random })[0]);
    expect(Math.min(...first)).toBeLessThan(810);
    expect(Math.max(...first)).toBeGreaterThan(1190);
  });

  it("starts again after a success", () => {
    const backoff = new ConnectionBackoff({ random: () => 0.5 });
    for (let failure = 0; failure < 20; failure++) backoff.next();
    backoff.reset();
    expect(backoff.next()).toBe(1000);
    expect(backoff.next()).toBe(1600);
  });

  it("takes other values", () => {
    const options = { random: () => 1, initialMs: 50, factor: 2, jitter: 0, maxMs: 150 };
    expect(delays(4, options)).toEqual([50, 100, 150, 150]);
  });

  it("names the option that is out of range", () => {
    const make = (options: Partial<ConnectionBackoffOptions>) => () =>
      new ConnectionBackoff({ random: () => 0, ...options });
    expect(make({ initialMs: 0 })).toThrow("initialMs of a connection backoff must be more than 0, not 0");
    expect(make({ factor: 0.5 })).toThrow("factor of a connection backoff must be 1 or more, not 0.5");
    expect(make({ jitter: 1.1 })).toThrow("jitter of a connection backoff must be 0 to 1, not 1.1");
    expect(make({ maxMs: 10 })).toThrow("maxMs of a connection backoff must be 1000 (initialMs) or more, not 10");
    expect(make({ maxMs: Number.NaN })).toThrow(RangeError);
  });
});

describe("retryBackoffMs", () => {
  it("doubles its upper end from 25 ms to 1 s", () => {
    const most = [0, 1, 2, 5, 6, 2000].map((retries) => retryBackoffMs(retries, () => 1));
    expect(most).toEqual([25, 50, 100, 800, 1000, 1000]);
  });

  it("lies anywhere between 0 and its upper end", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 40 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (retries, chance) => {
          const delayMs = retryBackoffMs(retries, () => chance, { baseMs: 10, maxMs: 640 });
          expect(delayMs).toBeCloseTo(chance * Math.min(640, 10 * 2 ** retries), 6);
        },
      ),
    );
    expect(retryBackoffMs(0, () => 0)).toBe(0);
  });
});
