import { readText, SHORT_BYTES } from "./read-text.ts";

/*
 * The same texts come in message after message: names, titles, addresses. What comes for the third time is kept, and given out again when
 * all its bytes come once more: no text is made, and none has to be collected. Texts that come once take no place of those.
 *
 * Shorter texts than `isLine` asks for are made as fast as they would be found. An attacker's texts are gone with the next in their places.
 */

/** Places for texts that the runtime would make, two for each hash; their bytes lie in `lineBytes`: 0.1 MB with the texts. */
const LINES = 512;
const MAX_LINE_BYTES = 64;
const lineHash: Int32Array = new Int32Array(LINES);
const lineLength: Uint8Array = new Uint8Array(LINES);
const lineBytes: Buffer = Buffer.alloc(LINES * MAX_LINE_BYTES);
const lineView: DataView = new DataView(lineBytes.buffer, lineBytes.byteOffset, lineBytes.length);
const lines: string[] = new Array<string>(LINES).fill("");
/** Hashes of what came lately, of some of its bytes; and of all bytes where such a hash came before. */
const seen: Int32Array = new Int32Array(1024);
const seenWhole: Int32Array = new Int32Array(1024);
/** Which of two places is the next to be taken. */
let turn = 0;

/** Places for the names of properties. */
const KEYS = 1024;
/** Longer keys are seldom the same ones again. */
const MAX_KEY_BYTES = 16;
const keys: string[] = new Array<string>(KEYS).fill("");

/** Is a text of so many bytes one for `readLine`? */
export function isLine(length: number): boolean {
  return length > SHORT_BYTES && length <= MAX_LINE_BYTES;
}

/**
 * The text in `source[start, end)`, as `readText`, of a length that `isLine` is true for. `view` shows the source.
 *
 * @throws Error when it is not UTF-8
 */
export function readLine(source: Buffer, view: DataView, start: number, end: number): string {
  const length = end - start;
  const middle = start + (length >> 1);
  let hash = mixed(length, view.getInt32(start, true));
  hash = mixed(hash, view.getInt32(middle - 6, true));
  hash = mixed(hash, view.getInt32(middle + 2, true));
  hash = mixed(hash, view.getInt32(end - 4, true));
  const place = (hash >>> 24) * 2;
  if (isKept(place, hash, view, start, length)) return lines[place];
  if (isKept(place + 1, hash, view, start, length)) return lines[place + 1];
  if (seen[hash >>> 22] === hash) {
    const whole = wholeHash(view, start, length);
    if (seenWhole[whole >>> 22] === whole) return keep(hash, source, start, length);
    seenWhole[whole >>> 22] = whole;
  } else {
    seen[hash >>> 22] = hash;
  }
  return readText(source, start, end);
}

/** Is the text at `start` the line at this place? */
function isKept(place: number, hash: number, view: DataView, start: number, length: number): boolean {
  return lineHash[place] === hash && lineLength[place] === length && lies(place, view, start, length);
}

/** Are the bytes at `start` those of the line at this place? */
function lies(place: number, view: DataView, start: number, length: number): boolean {
  const from = place * MAX_LINE_BYTES;
  const last = length - 4;
  let difference = view.getInt32(start + last, true) ^ lineView.getInt32(from + last, true);
  for (let i = 0; i < last; i += 4) difference |= view.getInt32(start + i, true) ^ lineView.getInt32(from + i, true);
  return difference === 0;
}

/** A hash of all bytes: it tells texts apart that are alike where `readLine` looks, such as points in time. */
function wholeHash(view: DataView, start: number, length: number): number {
  const last = length - 4;
  let hash = length;
  for (let i = 0; i < last; i += 4) hash = Math.imul(hash ^ view.getInt32(start + i, true), 0x9e37_79b1);
  return mixed(hash, view.getInt32(start + last, true));
}

/** Makes the text of the bytes that are kept, not of those at `start`: others may write there meanwhile, in memory that threads share. */
function keep(hash: number, source: Buffer, start: number, length: number): string {
  turn ^= 1;
  const place = (hash >>> 24) * 2 + turn;
  const from = place * MAX_LINE_BYTES;
  lineLength[place] = 0;
  for (let i = 0; i < length; i++) lineBytes[from + i] = source[start + i];
  const text = readText(lineBytes, from, from + length);
  lineHash[place] = hash;
  lineLength[place] = length;
  lines[place] = text;
  return text;
}

/** A step of a hash whose upper bits depend on all that went in. */
function mixed(hash: number, word: number): number {
  const product = Math.imul(hash ^ word, 0x9e37_79b1);
  return product ^ (product >>> 15);
}

/**
 * Text that becomes the name of a property: the same keys come in message after message, and the same string object spares V8 the
 * search for its name. What an attacker puts here is gone with the next key of its place.
 */
export function readKey(source: Buffer, start: number, end: number): string {
  const length = end - start;
  if (length > MAX_KEY_BYTES || length === 0) return readText(source, start, end);
  let hash = length;
  for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + source[at]) | 0;
  const place = (hash ^ (hash >>> 10)) & (KEYS - 1);
  const key = keys[place];
  if (key.length === length && isAt(key, source, start)) return key;
  const text = readText(source, start, end);
  keys[place] = text;
  return text;
}

function isAt(key: string, source: Buffer, start: number): boolean {
  for (let i = 0; i < key.length; i++) {
    const byte = source[start + i];
    // A byte of text beyond ASCII is no character by itself.
    if (byte > 127 || key.charCodeAt(i) !== byte) return false;
  }
  return true;
}
