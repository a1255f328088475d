import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_TIMEOUT_MS, parseTimeout, parseTimeoutText, timeoutBound, writeTimeout } from "./timeout.ts";

function parseBytes(text: string): number {
  const before = "12";
  const buffer = Buffer.from(`${before}${text}34m`, "latin1");
  return parseTimeout(buffer, before.length, text.length);
}

function write(timeoutMs: number): string {
  const target = Buffer.alloc(timeoutBound + 2, 0xee);
  const end = writeTimeout(target, 1, timeoutMs);
  expect(target[0]).toBe(0xee);
  expect(target[end]).toBe(0xee);
  expect(target[1]).toBe(end - 2);
  return target.toString("latin1", 2, end);
}

describe("reading grpc-timeout", () => {
  it.each([
    ["1H", 3_600_000],
    ["2M", 120_000],
    ["30S", 30_000],
    ["250m", 250],
    ["1500u", 1.5],
    ["2500000n", 2.5],
    ["0m", 0],
    ["00000007m", 7],
    ["99999999m", 99_999_999],
    ["99999999u", 99_999.999],
  ])("takes %s as %d ms", (text, timeoutMs) => {
    expect(parseBytes(text)).toBeCloseTo(timeoutMs, 6);
    expect(parseTimeoutText(text)).toBe(parseBytes(text));
  });

  it.each(["99999999H", "99999999M", "99999999S", "2147484S"])("clamps %s to 2^31 - 1 ms", (text) => {
    expect(parseBytes(text)).toBe(MAX_TIMEOUT_MS);
    expect(parseTimeoutText(text)).toBe(MAX_TIMEOUT_MS);
  });

  it.each([
    "",
    "m",
    "5",
    "123456789m",
    "-1m",
    "+1m",
    "1.5S",
    " 1m",
    "1m ",
    "1 m",
    "1s",
    "1h",
    "1ms",
    "0x1m",
    "1e3m",
    "m1",
    "1\0",
    "1\xed",
    "1\xc8",
    "\xb1m",
  ])("refuses %j", (text) => {
    expect(parseBytes(text)).toBe(-1);
    expect(parseTimeoutText(text)).toBe(-1);
  });

  it("refuses characters beyond a byte in a string", () => {
    expect(parseTimeoutText("1\u016d")).toBe(-1);
    expect(parseTimeoutText("\u0131m")).toBe(-1);
  });

  it("gives the same for bytes and text, whatever they are, and never anything outside the bound", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."0123456789HMSmunx -.\xff"), maxLength: 11 }), (text) => {
        const timeoutMs = parseBytes(text);
        expect(parseTimeoutText(text)).toBe(timeoutMs);
        expect(timeoutMs === -1 || (timeoutMs >= 0 && timeoutMs <= MAX_TIMEOUT_MS)).toBe(true);
        expect(timeoutMs !== -1).toBe(/^[0-9]{1,8}[HMSmun]$/.test(text));
      }),
    );
  });
});

describe("writing grpc-timeout", () => {
  it.each([
    [1, "1m"],
    [9, "9m"],
    [10, "10m"],
    [99, "99m"],
    [100, "100m"],
    [1000, "1000m"],
    [54_321, "54321m"],
    [654_321, "654321m"],
    [7_654_321, "7654321m"],
    [99_999_999, "99999999m"],
    [99_999_999.5, "100000S"],
    [100_000_000, "100000S"],
    [100_000_001, "100001S"],
    [MAX_TIMEOUT_MS, "2147484S"],
    [99_999_999_001, "1666667M"],
    [1e15, "99999999H"],
    [Number.POSITIVE_INFINITY, "99999999H"],
  ])("writes %d ms as %s", (timeoutMs, text) => {
    expect(write(timeoutMs)).toBe(text);
  });

  it("never makes 0 of a rest that is positive", () => {
    expect(write(0.000_001)).toBe("1m");
    expect(write(0.5)).toBe("1m");
    expect(write(1.001)).toBe("2m");
  });

  it("never asks for more than was given when the rest is the difference of two times", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1000, max: 1e10, noNaN: true }),
        fc.integer({ min: 1, max: 100_000 }),
        (now, givenMs) => {
          expect(write(now + givenMs - now)).toBe(`${givenMs}m`);
        },
      ),
    );
  });

  it.each([0, -0, -1, -5000.5, Number.NEGATIVE_INFINITY, Number.NaN])(
    "writes %d as a deadline that has passed",
    (timeoutMs) => {
      expect(write(timeoutMs)).toBe("0m");
    },
  );

  it("is read back as the same time, rounded up to the unit", () => {
    const times = fc.oneof(
      fc.double({ min: 0.001, max: 1000, noNaN: true }),
      fc.double({ min: 0.001, max: 2e9, noNaN: true }),
      fc.integer({ min: 1, max: MAX_TIMEOUT_MS }),
    );
    fc.assert(
      fc.property(times, (timeoutMs) => {
        const text = write(timeoutMs);
        expect(text).toMatch(/^[0-9]{1,8}[mSMH]$/);
        const back = parseBytes(text);
        expect(back).toBeGreaterThanOrEqual(timeoutMs - 0.0001);
        expect(back - timeoutMs).toBeLessThan(text.endsWith("m") ? 1 : 1000);
      }),
    );
  });
});
