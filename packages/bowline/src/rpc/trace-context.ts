import { cryptoModule } from "./platform.ts";

/**
 * W3C Trace Context: who is at work for whom, across processes. Source: https://www.w3.org/TR/trace-context/ §3.2.
 *
 * Budget: reading makes one object, writing none. Ids are 32-bit integers, signed, because V8 would box a number above
 * 2^31; they become text only when somebody asks.
 */

/** Bytes of a `traceparent` of version 00, and all that is read of later versions. */
export const TRACEPARENT_BYTES = 55;

/** The flag that says that the caller records this trace. */
export const TRACE_SAMPLED = 1;

/**
 * Flags that may be handed on: sampled, and random trace id (level 2 of the specification). All others have to be sent
 * as 0.
 */
const KNOWN_FLAGS = 3;

const ZERO = 48;
const DASH = 45;
const DIGITS = "0123456789abcdef";

/** The value of a lower-case hexadecimal digit by its character; -1 for all others. */
const DIGIT = new Int8Array(256).fill(-1);
/** The two digits of a byte. */
const HIGH_DIGIT = new Uint8Array(256);
const LOW_DIGIT = new Uint8Array(256);
for (let i = 0; i < 16; i++) DIGIT[DIGITS.charCodeAt(i)] = i;
for (let i = 0; i < 256; i++) {
  HIGH_DIGIT[i] = DIGITS.charCodeAt(i >>> 4);
  LOW_DIGIT[i] = DIGITS.charCodeAt(i & 15);
}

/** One byte more than is read, so that the dash behind a later version is seen. */
const SCRATCH: Buffer = Buffer.alloc(TRACEPARENT_BYTES + 1);

/**
 * The ids of one span. Whatever stands for a span (a call, a request) has these fields itself, so that no object is
 * needed for it.
 */
export interface SpanIds {
  /**
   * The trace id, 16 bytes, most significant first, as signed 32-bit integers. All four are 0 when there is no trace.
   */
  traceA: number;
  traceB: number;
  traceC: number;
  traceD: number;
  /** The span id, 8 bytes. */
  spanA: number;
  spanB: number;
  /** 0 to 255. */
  traceFlags: number;
}

/**
 * A span's place in its trace, as read from `traceparent`.
 *
 * Fields are declared and not defined: a definition would store each twice, which is 14 of 65 ns of reading a header.
 */
export class TraceContext implements SpanIds {
  declare traceA: number;
  declare traceB: number;
  declare traceC: number;
  declare traceD: number;
  declare spanA: number;
  declare spanB: number;
  declare traceFlags: number;
  /** The value of `tracestate` as it came, without a look at its members. */
  declare tracestate: string | undefined;

  constructor(a: number, b: number, c: number, d: number, spanA: number, spanB: number, flags: number) {
    this.traceA = a;
    this.traceB = b;
    this.traceC = c;
    this.traceD = d;
    this.spanA = spanA;
    this.spanB = spanB;
    this.traceFlags = flags;
    this.tracestate = undefined;
  }

  /** 32 lower-case hexadecimal digits. */
  get traceIdHex(): string {
    return traceIdHex(this);
  }

  /** 16 lower-case hexadecimal digits. */
  get spanIdHex(): string {
    return spanIdHex(this);
  }

  /** True when the caller records this trace. */
  get isSampled(): boolean {
    return (this.traceFlags & TRACE_SAMPLED) !== 0;
  }

  /** The `traceparent` that names this span. */
  toString(): string {
    return traceparentText(this);
  }
}

/** The trace id as 32 lower-case hexadecimal digits, for logs and exporters. */
export function traceIdHex(span: SpanIds): string {
  return hex8(span.traceA) + hex8(span.traceB) + hex8(span.traceC) + hex8(span.traceD);
}

/** The span id as 16 lower-case hexadecimal digits. */
export function spanIdHex(span: SpanIds): string {
  return hex8(span.spanA) + hex8(span.spanB);
}

/** The `traceparent` that names `span`, as {@link writeSpan} would write it. */
export function traceparentText(span: SpanIds): string {
  // By octets: six numbers as padded text take a microsecond, and each call that is authenticated pays for it.
  return SCRATCH.toString("latin1", 0, writeSpan(SCRATCH, 0, span));
}

/**
 * Reads `traceparent` from `buffer[start, start + length)`; null when it is invalid, which means that a new trace
 * begins.
 *
 * Version 00 has 55 bytes; of later versions the first 55 count, and a dash must follow if anything does. Version ff,
 * upper-case digits and ids of zeros are invalid.
 */
export function parseTraceparent(buffer: Buffer, start: number, length: number): TraceContext | null {
  if (length < TRACEPARENT_BYTES || !isFramed(buffer, start, length)) return null;
  const a = readHex4(buffer, start + 3);
  const b = readHex4(buffer, start + 7);
  const c = readHex4(buffer, start + 11);
  const d = readHex4(buffer, start + 15);
  const e = readHex4(buffer, start + 19);
  const f = readHex4(buffer, start + 23);
  const g = readHex4(buffer, start + 27);
  const h = readHex4(buffer, start + 31);
  const spanA = readHex4(buffer, start + 36);
  const spanB = readHex4(buffer, start + 40);
  const spanC = readHex4(buffer, start + 44);
  const spanD = readHex4(buffer, start + 48);
  const flags = (DIGIT[buffer[start + 53]] << 4) | DIGIT[buffer[start + 54]];
  const trace = a | b | c | d | e | f | g | h;
  const span = spanA | spanB | spanC | spanD;
  if ((trace | span | flags) < 0 || trace === 0 || span === 0) return null;
  return new TraceContext(
    (a << 16) | b,
    (c << 16) | d,
    (e << 16) | f,
    (g << 16) | h,
    (spanA << 16) | spanB,
    (spanC << 16) | spanD,
    flags,
  );
}

/** The same for a value that is a string already, such as one from the header table. */
export function parseTraceparentText(text: string): TraceContext | null {
  const length = Math.min(text.length, SCRATCH.length);
  for (let at = 0; at < length; at++) {
    const code = text.charCodeAt(at);
    if (code > 127) return null;
    SCRATCH[at] = code;
  }
  return parseTraceparent(SCRATCH, 0, length);
}

/**
 * Begins a span under `parent`: same trace and flags, new span id. Without a parent it begins a trace, sampled; who
 * decides otherwise changes `traceFlags` before it is written.
 */
export function startSpan(span: SpanIds, parent: SpanIds | null): void {
  if (!isSeeded) seed();
  if (parent === null) {
    // The generator's state is its last four numbers and never all zero, so this id is not either.
    span.traceA = nextRandom();
    span.traceB = nextRandom();
    span.traceC = nextRandom();
    span.traceD = nextRandom();
    span.traceFlags = TRACE_SAMPLED;
  } else {
    span.traceA = parent.traceA;
    span.traceB = parent.traceB;
    span.traceC = parent.traceC;
    span.traceD = parent.traceD;
    span.traceFlags = parent.traceFlags;
  }
  span.spanA = nextRandom();
  span.spanB = nextRandom();
  if ((span.spanA | span.spanB) === 0) span.spanB = 1;
}

/** Writes the `traceparent` that names `span`, 55 bytes, and returns the position behind them. */
export function writeSpan(target: Buffer, at: number, span: SpanIds): number {
  target[at] = ZERO;
  target[at + 1] = ZERO;
  target[at + 2] = DASH;
  writeHex8(target, at + 3, span.traceA);
  writeHex8(target, at + 11, span.traceB);
  writeHex8(target, at + 19, span.traceC);
  writeHex8(target, at + 27, span.traceD);
  target[at + 35] = DASH;
  writeHex8(target, at + 36, span.spanA);
  writeHex8(target, at + 44, span.spanB);
  target[at + 52] = DASH;
  target[at + 53] = ZERO;
  target[at + 54] = ZERO + (span.traceFlags & KNOWN_FLAGS);
  return at + TRACEPARENT_BYTES;
}

/** {@link startSpan} and {@link writeSpan} in one: `span` remembers the ids that were sent. */
export function writeTraceparent(target: Buffer, at: number, parent: SpanIds | null, span: SpanIds): number {
  startSpan(span, parent);
  return writeSpan(target, at, span);
}

/** Version, length and dashes are right. */
function isFramed(buffer: Buffer, start: number, length: number): boolean {
  if (buffer[start + 2] !== DASH || buffer[start + 35] !== DASH || buffer[start + 52] !== DASH) return false;
  const version = (DIGIT[buffer[start]] << 4) | DIGIT[buffer[start + 1]];
  if (version === 0) return length === TRACEPARENT_BYTES;
  if (version < 0 || version === 0xff) return false;
  return length === TRACEPARENT_BYTES || buffer[start + TRACEPARENT_BYTES] === DASH;
}

/**
 * The value of four digits; negative when one of them is no lower-case hexadecimal digit, because the -1 of the table
 * carries its sign through every shift. Four and not eight, so that the sign is free for that: the check then costs
 * nothing measurable (50 ns a header with and without), while a flag beside the value cost 60 % more.
 */
function readHex4(buffer: Buffer, at: number): number {
  return (
    (DIGIT[buffer[at]] << 12) | (DIGIT[buffer[at + 1]] << 8) | (DIGIT[buffer[at + 2]] << 4) | DIGIT[buffer[at + 3]]
  );
}

function writeHex8(target: Buffer, at: number, value: number): void {
  let byte = value >>> 24;
  target[at] = HIGH_DIGIT[byte];
  target[at + 1] = LOW_DIGIT[byte];
  byte = (value >>> 16) & 255;
  target[at + 2] = HIGH_DIGIT[byte];
  target[at + 3] = LOW_DIGIT[byte];
  byte = (value >>> 8) & 255;
  target[at + 4] = HIGH_DIGIT[byte];
  target[at + 5] = LOW_DIGIT[byte];
  byte = value & 255;
  target[at + 6] = HIGH_DIGIT[byte];
  target[at + 7] = LOW_DIGIT[byte];
}

function hex8(value: number): string {
  return (value >>> 0).toString(16).padStart(8, "0");
}

/** State of a xorshift128 generator (Marsaglia 2003): fast, 2^128 - 1 long, no secret. */
let state0 = 0;
let state1 = 0;
let state2 = 0;
let state3 = 0;
let isSeeded = false;

/** Loaded at first use: node:crypto costs 5 ms at start-up. */
function seed(): void {
  const bytes = cryptoModule().randomBytes(16);
  state0 = bytes.readInt32LE(0);
  state1 = bytes.readInt32LE(4);
  state2 = bytes.readInt32LE(8);
  state3 = bytes.readInt32LE(12) | 1;
  isSeeded = true;
}

function nextRandom(): number {
  let t = state3;
  state3 = state2;
  state2 = state1;
  state1 = state0;
  t ^= t << 11;
  t ^= t >>> 8;
  state0 = t ^ state1 ^ (state1 >>> 19);
  return state0;
}
