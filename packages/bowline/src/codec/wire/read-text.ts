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
  return length === 0 ? "" : readText8(source, start, end);
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

/*
 * One call of fromCharCode for the whole text: half the time of a call into the runtime, and the text is in one piece. Put together of
 * parts, V8 would keep one of 13 units or more in pieces, and whoever looks at it pays.
 */

/** 1 to 8 bytes. */
function readText8(source: Buffer, start: number, end: number): string {
  switch (end - start) {
    case 1: {
      const a = source[start];
      if (a > 127) break;
      return fromCharCode(a);
    }
    case 2: {
      const a = source[start];
      const b = source[start + 1];
      if ((a | b) > 127) break;
      return fromCharCode(a, b);
    }
    case 3: {
      const a = source[start];
      const b = source[start + 1];
      const c = source[start + 2];
      if ((a | b | c) > 127) break;
      return fromCharCode(a, b, c);
    }
    case 4: {
      const a = source[start];
      const b = source[start + 1];
      const c = source[start + 2];
      const d = source[start + 3];
      if ((a | b | c | d) > 127) break;
      return fromCharCode(a, b, c, d);
    }
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
  return readLongText(source, start, end);
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
  if ((a | b | c | d | e | f | g | h) > 127) return readLongText(source, start, end);
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
  return readLongText(source, start, end);
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
  if ((a | b | c | d | e | f | g | h | i | j | k | l | m | n | o | p) > 127) return readLongText(source, start, end);
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
  return readLongText(source, start, end);
}
