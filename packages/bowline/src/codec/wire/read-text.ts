/** Buffer's own UTF-8 reader without the checks around it; there on all lines of Node, yet undocumented. */
type ReadUtf8 = (this: Buffer, start: number, end: number) => string;

const native = Buffer.prototype as unknown as { readonly utf8Slice?: ReadUtf8 };

const readUtf8: ReadUtf8 =
  native.utf8Slice ??
  function readPlain(this: Buffer, start: number, end: number): string {
    return this.toString("utf8", start, end);
  };

/** True where text is read from any Uint8Array, not from Buffers alone. */
export const READS_ARRAYS: boolean = native.utf8Slice !== undefined;

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const { fromCharCode } = String;

/** Longer texts are made faster by the runtime. */
export const SHORT_BYTES = 24;

/** Where the units of a text are put together, by their number. */
const unitsOf: readonly number[][] = Array.from({ length: SHORT_BYTES + 1 }, (_, count) =>
  new Array<number>(count).fill(0),
);

/** The text in `source[start, end)`; bytes that are no UTF-8 become U+FFFD. */
export function readLenientText(source: Buffer, start: number, end: number): string {
  return readUtf8.call(source, start, end);
}

/**
 * The text in `source[start, end)`, which must be UTF-8 (proto3, and editions with utf8_validation = VERIFY).
 *
 * @throws Error when it is not
 */
export function readText(source: Buffer, start: number, end: number): string {
  const length = end - start;
  if (length > SHORT_BYTES) return readLongText(source, start, end);
  if (length > 16) return readText24(source, start, end);
  if (length > 8) return readText16(source, start, end);
  if (length > 4) return readText8(source, start, end);
  return length === 0 ? "" : readCode(source, start, length);
}

function readLongText(source: Buffer, start: number, end: number): string {
  const text = readUtf8.call(source, start, end);
  // U+FFFD is what stands for faulty bytes; the text may hold it in its own right.
  if (text.includes("\ufffd")) refuseFaulty(source, start, end);
  return text;
}

function refuseFaulty(source: Buffer, start: number, end: number): void {
  try {
    strict.decode(source.subarray(start, end));
  } catch {
    throw new Error("a string is not UTF-8");
  }
}

/** Text of up to SHORT_BYTES bytes that are not all ASCII: put together here in 50 to 90 ns, where a call into the runtime takes 90 to 130. */
function readWideText(source: Buffer, start: number, end: number): string {
  let count = 0;
  for (let at = start; at < end; at++) if ((source[at] & 0xc0) !== 0x80) count++;
  const units = unitsOf[count];
  let at = start;
  for (let i = 0; i < count; i++) {
    const first = source[at++];
    if (first < 0x80) {
      units[i] = first;
      continue;
    }
    // What is not one unit of two or three bytes is left to the runtime, and so is the error of what is no UTF-8.
    const length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 0;
    if (length === 0 || at + length - 1 > end) return readLongText(source, start, end);
    const second = source[at++];
    let unit = ((first & 0x1f) << 6) | (second & 0x3f);
    let isFaulty = (second & 0xc0) !== 0x80;
    if (length === 3) {
      const third = source[at++];
      unit = (unit << 6) | (third & 0x3f);
      isFaulty ||= (third & 0xc0) !== 0x80 || unit < 0x800 || (unit & 0xf800) === 0xd800;
    }
    if (isFaulty) return readLongText(source, start, end);
    units[i] = unit;
  }
  return at === end ? fromCharCode.apply(undefined, units) : readLongText(source, start, end);
}

/** Places for texts of up to four bytes: currencies, countries, units, states. The next with the same hash takes the place. */
const CODES = 256;
const codeBytes: Int32Array = new Int32Array(CODES);
const codes: string[] = new Array<string>(CODES).fill("");

/** 1 to 4 bytes. They are few and come in every message (measured: orders with 25 of them decode 5 % sooner). */
function readCode(source: Buffer, start: number, length: number): string {
  let code = source[start];
  if (length > 1) code |= source[start + 1] << 8;
  if (length > 2) code |= source[start + 2] << 16;
  if (length > 3) code |= source[start + 3] << 24;
  const place = Math.imul(code, 0x9e37_79b1) >>> 24;
  const text = codes[place];
  // The length, too: a text may end with NUL.
  if (codeBytes[place] === code && text.length === length) return text;
  if ((code & 0x8080_8080) !== 0) return readWideText(source, start, start + length);
  const made = makeCode(code, length);
  codeBytes[place] = code;
  codes[place] = made;
  return made;
}

function makeCode(code: number, length: number): string {
  const a = code & 127;
  const b = (code >> 8) & 127;
  const c = (code >> 16) & 127;
  if (length === 1) return fromCharCode(a);
  if (length === 2) return fromCharCode(a, b);
  return length === 3 ? fromCharCode(a, b, c) : fromCharCode(a, b, c, code >> 24);
}

/*
 * One call of fromCharCode for the whole text: half the time of a call into the runtime, and the text is in one piece. Put together of
 * parts, V8 would keep one of 13 units or more in pieces, and whoever looks at it pays.
 */

/** 5 to 8 bytes. */
function readText8(source: Buffer, start: number, end: number): string {
  switch (end - start) {
    case 5: {
      const a = source[start];
      const b = source[start + 1];
      const c = source[start + 2];
      const d = source[start + 3];
      const e = source[start + 4];
      if ((a | b | c | d | e) > 127) break;
      return fromCharCode(a, b, c, d, e);
    }
    case 6: {
      const a = source[start];
      const b = source[start + 1];
      const c = source[start + 2];
      const d = source[start + 3];
      const e = source[start + 4];
      const f = source[start + 5];
      if ((a | b | c | d | e | f) > 127) break;
      return fromCharCode(a, b, c, d, e, f);
    }
    case 7: {
      const a = source[start];
      const b = source[start + 1];
      const c = source[start + 2];
      const d = source[start + 3];
      const e = source[start + 4];
      const f = source[start + 5];
      const g = source[start + 6];
      if ((a | b | c | d | e | f | g) > 127) break;
      return fromCharCode(a, b, c, d, e, f, g);
    }
    case 8: {
      const a = source[start];
      const b = source[start + 1];
      const c = source[start + 2];
      const d = source[start + 3];
      const e = source[start + 4];
      const f = source[start + 5];
      const g = source[start + 6];
      const h = source[start + 7];
      if ((a | b | c | d | e | f | g | h) > 127) break;
      return fromCharCode(a, b, c, d, e, f, g, h);
    }
  }
  return readWideText(source, start, end);
}

/** 9 to 16 bytes. */
function readText16(source: Buffer, start: number, end: number): string {
  const a = source[start];
  const b = source[start + 1];
  const c = source[start + 2];
  const d = source[start + 3];
  const e = source[start + 4];
  const f = source[start + 5];
  const g = source[start + 6];
  const h = source[start + 7];
  if ((a | b | c | d | e | f | g | h) > 127) return readWideText(source, start, end);
  switch (end - start) {
    case 9: {
      const i = source[start + 8];
      if (i > 127) break;
      return fromCharCode(a, b, c, d, e, f, g, h, i);
    }
    case 10: {
      const i = source[start + 8];
      const j = source[start + 9];
      if ((i | j) > 127) break;
      return fromCharCode(a, b, c, d, e, f, g, h, i, j);
    }
    case 11: {
      const i = source[start + 8];
      const j = source[start + 9];
      const k = source[start + 10];
      if ((i | j | k) > 127) break;
      return fromCharCode(a, b, c, d, e, f, g, h, i, j, k);
    }
    case 12: {
      const i = source[start + 8];
      const j = source[start + 9];
      const k = source[start + 10];
      const l = source[start + 11];
      if ((i | j | k | l) > 127) break;
      return fromCharCode(a, b, c, d, e, f, g, h, i, j, k, l);
    }
    case 13: {
      const i = source[start + 8];
      const j = source[start + 9];
      const k = source[start + 10];
      const l = source[start + 11];
      const m = source[start + 12];
      if ((i | j | k | l | m) > 127) break;
      return fromCharCode(a, b, c, d, e, f, g, h, i, j, k, l, m);
    }
    case 14: {
      const i = source[start + 8];
      const j = source[start + 9];
      const k = source[start + 10];
      const l = source[start + 11];
      const m = source[start + 12];
      const n = source[start + 13];
      if ((i | j | k | l | m | n) > 127) break;
      return fromCharCode(a, b, c, d, e, f, g, h, i, j, k, l, m, n);
    }
    case 15: {
      const i = source[start + 8];
      const j = source[start + 9];
      const k = source[start + 10];
      const l = source[start + 11];
      const m = source[start + 12];
      const n = source[start + 13];
      const o = source[start + 14];
      if ((i | j | k | l | m | n | o) > 127) break;
      return fromCharCode(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o);
    }
    case 16: {
      const i = source[start + 8];
      const j = source[start + 9];
      const k = source[start + 10];
      const l = source[start + 11];
      const m = source[start + 12];
      const n = source[start + 13];
      const o = source[start + 14];
      const p = source[start + 15];
      if ((i | j | k | l | m | n | o | p) > 127) break;
      return fromCharCode(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p);
    }
  }
  return readWideText(source, start, end);
}

/** 17 to 24 bytes. */
function readText24(source: Buffer, start: number, end: number): string {
  const a = source[start];
  const b = source[start + 1];
  const c = source[start + 2];
  const d = source[start + 3];
  const e = source[start + 4];
  const f = source[start + 5];
  const g = source[start + 6];
  const h = source[start + 7];
  const i = source[start + 8];
  const j = source[start + 9];
  const k = source[start + 10];
  const l = source[start + 11];
  const m = source[start + 12];
  const n = source[start + 13];
  const o = source[start + 14];
  const p = source[start + 15];
  if ((a | b | c | d | e | f | g | h | i | j | k | l | m | n | o | p) > 127) return readWideText(source, start, end);
  switch (end - start) {
    case 17: {
      const q = source[start + 16];
      if (q > 127) break;
      return fromCharCode(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q);
    }
    case 18: {
      const q = source[start + 16];
      const r = source[start + 17];
      if ((q | r) > 127) break;
      return fromCharCode(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r);
    }
    case 19: {
      const q = source[start + 16];
      const r = source[start + 17];
      const s = source[start + 18];
      if ((q | r | s) > 127) break;
      return fromCharCode(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s);
    }
    case 20: {
      const q = source[start + 16];
      const r = source[start + 17];
      const s = source[start + 18];
      const t = source[start + 19];
      if ((q | r | s | t) > 127) break;
      return fromCharCode(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t);
    }
    case 21: {
      const q = source[start + 16];
      const r = source[start + 17];
      const s = source[start + 18];
      const t = source[start + 19];
      const u = source[start + 20];
      if ((q | r | s | t | u) > 127) break;
      return fromCharCode(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u);
    }
    case 22: {
      const q = source[start + 16];
      const r = source[start + 17];
      const s = source[start + 18];
      const t = source[start + 19];
      const u = source[start + 20];
      const v = source[start + 21];
      if ((q | r | s | t | u | v) > 127) break;
      return fromCharCode(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v);
    }
    case 23: {
      const q = source[start + 16];
      const r = source[start + 17];
      const s = source[start + 18];
      const t = source[start + 19];
      const u = source[start + 20];
      const v = source[start + 21];
      const w = source[start + 22];
      if ((q | r | s | t | u | v | w) > 127) break;
      return fromCharCode(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w);
    }
    case 24: {
      const q = source[start + 16];
      const r = source[start + 17];
      const s = source[start + 18];
      const t = source[start + 19];
      const u = source[start + 20];
      const v = source[start + 21];
      const w = source[start + 22];
      const x = source[start + 23];
      if ((q | r | s | t | u | v | w | x) > 127) break;
      return fromCharCode(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x);
    }
  }
  return readWideText(source, start, end);
}
