import { describe, expect, it } from "vitest";
import { HTTP2_LIMITS, http2Limits } from "./limits.ts";

describe("the limits", () => {
  it("have defaults within their own ranges, and say what they stop and whose figure it is", () => {
    for (const [name, spec] of Object.entries(HTTP2_LIMITS)) {
      expect(spec.default, name).toBeGreaterThanOrEqual(spec.min);
      expect(spec.default, name).toBeLessThanOrEqual(spec.max);
      expect(spec.meaning, name).toMatch(/^[A-Z].*\.$/);
      expect(spec.source, name).not.toBe("");
    }
  });

  it("take overrides and leave the rest", () => {
    const limits = http2Limits({ maxConcurrentStreams: 5, resetRate: undefined });
    expect(limits).toEqual({ ...http2Limits(), maxConcurrentStreams: 5 });
  });

  it("take blocks as large as the lists that they are told to take", () => {
    expect(http2Limits({ maxHeaderListBytes: 100_000 }).maxHeaderBlockBytes).toBe(100_000);
    expect(http2Limits({ maxHeaderListBytes: 2000 }).maxHeaderBlockBytes).toBe(16_384);
    expect(http2Limits({ maxHeaderListBytes: 100_000, maxHeaderBlockBytes: 5000 }).maxHeaderBlockBytes).toBe(5000);
  });

  it("take the CONTINUATION frames of such blocks, at a client of blocks four times as large", () => {
    const frames = (limits: Parameters<typeof http2Limits>[0]): number => http2Limits(limits).maxContinuationFrames;
    expect(frames({ maxHeaderListBytes: 2000 })).toBe(8);
    expect(frames({ maxHeaderListBytes: 524_288 })).toBe((4 * 524_288) / 16_384);
    expect(frames({ maxHeaderBlockBytes: 100_000 })).toBe(28);
    expect(frames({ maxHeaderListBytes: 524_288, maxContinuationFrames: 3 })).toBe(3);
    expect(frames({ maxHeaderListBytes: HTTP2_LIMITS.maxHeaderListBytes.max })).toBe(
      HTTP2_LIMITS.maxContinuationFrames.max,
    );
  });

  it.each([
    [{ maxHeaderFields: 7 }, "limits.maxHeaderFields is 7: give a whole number of fields from 8 to 10000"],
    [{ resetBurst: 1.5 }, "limits.resetBurst is 1.5: give a whole number of frames from 1 to 1000000"],
    [{ stallTimeoutMs: Number.NaN }, "limits.stallTimeoutMs is NaN: give a whole number of ms from 100 to 3600000"],
    [
      { glitchRate: "5" as unknown as number },
      'limits.glitchRate is "5": give a whole number per second from 1 to 1000000',
    ],
  ])("refuse %j", (overrides, text) => {
    expect(() => http2Limits(overrides)).toThrow(new RangeError(text));
  });

  it("name the known ones for a name that is none", () => {
    expect(() => http2Limits({ bogus: 5 } as object)).toThrow(
      /^limits\.bogus is not a limit; known are maxConcurrentStreams, /,
    );
  });
});
