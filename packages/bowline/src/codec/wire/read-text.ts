/** Buffer's own UTF-8 reader without the checks around it; there on all lines of Node, yet undocumented. */
type ReadUtf8 = (this: Buffer, start: number, end: number) => string;

const native = Buffer.prototype as unknown as { readonly utf8Slice?: ReadUtf8 };

const readUtf8: ReadUtf8 =
  native.utf8Slice ??
  function readPlain(this: Buffer, start: number, end: number): string {
    return this.toString("utf8", start, end);
  };

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const { fromCharCode } = String;

/** Longer texts are read faster by the runtime; from 13 units on V8 joins pieces lazily, and whoever looks at them pays. */
const SHORT = 12;

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
  return end - start > SHORT ? readLongText(source, start, end) : readShortText(source, start, end);
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

/** ASCII in groups of eight, four and one. */
function readShortText(source: Buffer, start: number, end: number): string {
  let at = start;
  let text = "";
  if (end - at >= 8) {
    const [a, b, c, d] = [source[at], source[at + 1], source[at + 2], source[at + 3]];
    const [e, f, g, h] = [source[at + 4], source[at + 5], source[at + 6], source[at + 7]];
    if ((a | b | c | d | e | f | g | h) > 127) return readLongText(source, start, end);
    text = fromCharCode(a, b, c, d, e, f, g, h);
    at += 8;
  }
  if (end - at >= 4) {
    const [a, b, c, d] = [source[at], source[at + 1], source[at + 2], source[at + 3]];
    if ((a | b | c | d) > 127) return readLongText(source, start, end);
    text += fromCharCode(a, b, c, d);
    at += 4;
  }
  const rest = end - at;
  if (rest === 0) return text;
  const a = source[at];
  const b = rest > 1 ? source[at + 1] : 0;
  const c = rest > 2 ? source[at + 2] : 0;
  if ((a | b | c) > 127) return readLongText(source, start, end);
  if (rest === 1) return text + fromCharCode(a);
  return rest === 2 ? text + fromCharCode(a, b) : text + fromCharCode(a, b, c);
}
