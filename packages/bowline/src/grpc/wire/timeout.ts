/**
 * `grpc-timeout` to milliseconds and back (gRPC PROTOCOL-HTTP2.md, "TimeoutValue": at most 8 digits and a unit).
 *
 * Budget: both ways work on bytes, make no string and allocate nothing.
 */

/** Most bytes that {@link writeTimeout} needs: the length, eight digits, the unit. */
export const timeoutBound = 10;

/** Longest time that a peer can ask for, 2^31 - 1 ms (24.8 days): what the platform's timers take. */
export const MAX_TIMEOUT_MS = 0x7fffffff;

const MAX_DIGITS = 8;
const MAX_VALUE = 99_999_999;
const MILLISECOND = 0x6d;

/**
 * What a rest may be above a whole millisecond without counting as another one: it is the difference of two readings of a clock,
 * whose last digits are noise. 2000 ms would be told as 2001 else, more than the caller gave.
 */
const NOISE_MS = 1e-4;

/** Milliseconds of a unit by its character; 0 for every other character. */
const UNIT_MS = new Float64Array(256);
UNIT_MS["H".charCodeAt(0)] = 3_600_000;
UNIT_MS["M".charCodeAt(0)] = 60_000;
UNIT_MS["S".charCodeAt(0)] = 1000;
UNIT_MS["m".charCodeAt(0)] = 1;
UNIT_MS["u".charCodeAt(0)] = 1e-3;
UNIT_MS["n".charCodeAt(0)] = 1e-6;

/**
 * Reads the value of `grpc-timeout` from `buffer[start, start + length)`: milliseconds with a fraction, at most
 * {@link MAX_TIMEOUT_MS}; -1 when it is malformed. 0 is a deadline that has passed already.
 */
export function parseTimeout(buffer: Buffer, start: number, length: number): number {
  if (length < 2 || length > MAX_DIGITS + 1) return -1;
  const unitAt = start + length - 1;
  let value = 0;
  for (let at = start; at < unitAt; at++) {
    const digit = buffer[at] - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  const unitMs = UNIT_MS[buffer[unitAt]];
  if (unitMs === 0) return -1;
  const timeoutMs = value * unitMs;
  return timeoutMs < MAX_TIMEOUT_MS ? timeoutMs : MAX_TIMEOUT_MS;
}

/** The same for a value that is a string already, such as one from the header table. */
export function parseTimeoutText(text: string): number {
  const unitAt = text.length - 1;
  if (unitAt < 1 || unitAt > MAX_DIGITS) return -1;
  let value = 0;
  for (let at = 0; at < unitAt; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  const unit = text.charCodeAt(unitAt);
  const unitMs = unit < 256 ? UNIT_MS[unit] : 0;
  if (unitMs === 0) return -1;
  const timeoutMs = value * unitMs;
  return timeoutMs < MAX_TIMEOUT_MS ? timeoutMs : MAX_TIMEOUT_MS;
}

/**
 * Writes the time as an HPACK string literal without Huffman coding (length, digits, unit) and returns the position
 * behind it; needs up to {@link timeoutBound} bytes.
 *
 * Whole milliseconds while they fit into eight digits (27 hours), then seconds, minutes, hours, always rounded up: a
 * rest that is positive never arrives as 0. What is not positive is written as `0m`; infinity as the most that fits,
 * `99999999H`.
 */
export function writeTimeout(target: Buffer, at: number, timeoutMs: number): number {
  if (timeoutMs > MAX_VALUE) return writeLongTimeout(target, at, timeoutMs);
  const wholeMs = timeoutMs > 0 ? Math.max(1, Math.ceil(timeoutMs - NOISE_MS)) | 0 : 0;
  return writeDigits(target, at, wholeMs, MILLISECOND);
}

function writeLongTimeout(target: Buffer, at: number, timeoutMs: number): number {
  for (const unit of ["S", "M", "H"]) {
    const code = unit.charCodeAt(0);
    const value = Math.ceil(timeoutMs / UNIT_MS[code]);
    if (value <= MAX_VALUE) return writeDigits(target, at, value, code);
  }
  return writeDigits(target, at, MAX_VALUE, "H".charCodeAt(0));
}

function writeDigits(target: Buffer, at: number, value: number, unit: number): number {
  const count = digitCount(value);
  target[at] = count + 1;
  let rest = value;
  for (let digitAt = at + count; digitAt > at; digitAt--) {
    const tenth = (rest / 10) | 0;
    target[digitAt] = 48 + rest - tenth * 10;
    rest = tenth;
  }
  target[at + count + 1] = unit;
  return at + count + 2;
}

function digitCount(value: number): number {
  if (value < 10_000) return value < 100 ? (value < 10 ? 1 : 2) : value < 1000 ? 3 : 4;
  if (value < 1_000_000) return value < 100_000 ? 5 : 6;
  return value < 10_000_000 ? 7 : 8;
}
