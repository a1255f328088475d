import { MARGIN_BYTES, noRoom, room } from "./room.ts";
import { notA, writeVarint } from "./write-scalar.ts";

/** Buffer's own UTF-8 writer without the checks around it; there on all lines of Node, yet undocumented. */
type WriteUtf8 = (this: Buffer, text: string, at: number) => number;

const native = Buffer.prototype as unknown as { readonly utf8Write?: WriteUtf8 };

const writeUtf8: WriteUtf8 =
  native.utf8Write ??
  function writePlain(this: Buffer, text: string, at: number): number {
    return this.write(text, at, "utf8");
  };

/** Up to this many UTF-16 units a loop is faster than the call into the runtime. */
const SHORT = 16;
/** Up to this many the length takes one byte, whatever the text: a unit takes three bytes at most. */
const MEDIUM = 42;

/**
 * Writes text as UTF-8 behind its length and returns the position behind it. Lone surrogates become U+FFFD, as in TextEncoder.
 *
 * @throws RangeError when it is no string
 */
export function writeText(out: Buffer, at: number, text: string): number {
  if (typeof text !== "string") throw notA("string", text);
  const units = text.length;
  if (units > MEDIUM) return writeLongText(out, at, text);
  if (at + MARGIN_BYTES > out.length) throw noRoom;
  const first = at + 1;
  if (units > SHORT) {
    const written = writeUtf8.call(out, text, first);
    out[at] = written;
    return first + written;
  }
  for (let i = 0; i < units; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 127) return writeWideText(out, at, text);
    out[first + i] = unit;
  }
  out[at] = units;
  return first + units;
}

/** Short text that is not all ASCII. */
function writeWideText(out: Buffer, at: number, text: string): number {
  let to = at + 1;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) {
      out[to++] = unit;
    } else if (unit < 0x800) {
      out[to++] = 0xc0 | (unit >> 6);
      out[to++] = 0x80 | (unit & 0x3f);
    } else if ((unit & 0xf800) !== 0xd800) {
      out[to++] = 0xe0 | (unit >> 12);
      out[to++] = 0x80 | ((unit >> 6) & 0x3f);
      out[to++] = 0x80 | (unit & 0x3f);
    } else {
      // One half of a pair of surrogates, or a lone one.
      const written = writeUtf8.call(out, text, at + 1);
      out[at] = written;
      return at + 1 + written;
    }
  }
  out[at] = to - at - 1;
  return to;
}

/** The length is guessed as if all were ASCII; other text may have to move by a byte. */
function writeLongText(out: Buffer, at: number, text: string): number {
  const reserved = varintBytes(text.length);
  if (at + reserved + 3 * text.length + MARGIN_BYTES > out.length) room(out, at + 5, Buffer.byteLength(text));
  const written = writeUtf8.call(out, text, at + reserved);
  return endPacked(out, at, reserved, at + reserved + written);
}

/**
 * Writes bytes behind their length and returns the position behind them.
 *
 * @throws RangeError when they are no Uint8Array
 */
export function writeBytes(out: Buffer, at: number, bytes: Uint8Array): number {
  if (!(bytes instanceof Uint8Array)) throw notA("bytes", bytes);
  return writeRaw(out, writeVarint(out, at, bytes.length), bytes);
}

/** Writes bytes as they are and returns the position behind them. */
export function writeRaw(out: Buffer, at: number, bytes: Uint8Array): number {
  const { length } = bytes;
  room(out, at, length);
  if (length <= 32) for (let i = 0; i < length; i++) out[at + i] = bytes[i];
  else out.set(bytes, at);
  return at + length;
}

/** How many bytes a varint takes. */
export function varintBytes(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  return value < 0x1000_0000 ? 4 : 5;
}

/**
 * Puts the length at `at` in front of a message that was written behind one byte left free for it, and returns the position behind the
 * message. A message of 128 bytes or more moves to make room.
 */
export function endMessage(out: Buffer, at: number, end: number): number {
  const length = end - at - 1;
  if (length > 127) return endPacked(out, at, 1, end);
  if (end + MARGIN_BYTES > out.length) throw noRoom;
  out[at] = length;
  return end;
}

/** `endMessage` for what was written behind `reserved` bytes. */
export function endPacked(out: Buffer, at: number, reserved: number, end: number): number {
  const start = at + reserved;
  const length = end - start;
  const needed = varintBytes(length);
  // What was reserved is part of what was measured.
  room(out, end, needed - reserved);
  if (needed !== reserved) out.copyWithin(at + needed, start, end);
  writeVarint(out, at, length);
  return at + needed + length;
}
