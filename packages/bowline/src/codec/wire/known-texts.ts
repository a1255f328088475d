import { readText, SHORT_BYTES } from "./read-text.ts";

/*
 * The same texts come in message after message: currencies, states, names. What has come twice is kept, and given out again when its bytes
 * come once more: no text is made, and none has to be collected. What comes once costs a look and no more: it is not kept.
 *
 * There are few places; each holds what fell to it last, so that an attacker's texts are gone with the next. They take 0.1 MB.
 */

/** Places for texts of 2 to 8 bytes: their bytes are the key. */
const WORDS = 1024;
const MAX_WORD_BYTES = 8;
const wordFirst: Int32Array = new Int32Array(WORDS);
const wordLast: Int32Array = new Int32Array(WORDS);
const wordLength: Uint8Array = new Uint8Array(WORDS);
const words: string[] = new Array<string>(WORDS).fill("");

/** Places for texts that the runtime would make, two for each hash; their bytes lie in `lineBytes`. */
const LINES = 512;
const MAX_LINE_BYTES = 64;
const lineHash: Int32Array = new Int32Array(LINES);
const lineLength: Uint8Array = new Uint8Array(LINES);
const lineBytes: DataView = new DataView(new ArrayBuffer(LINES * MAX_LINE_BYTES));
const lines: string[] = new Array<string>(LINES).fill("");
/** Hashes of what came lately, once: it takes no place from what came twice. */
const SEEN = 1024;
const seen: Int32Array = new Int32Array(SEEN);
/** Which of two places is the next to be taken. */
let turn = 0;

/** Places for the names of properties. */
const KEYS = 1024;
/** Longer keys are seldom the same ones again. */
const MAX_KEY_BYTES = 16;
const keys: string[] = new Array<string>(KEYS).fill("");

/** Is a text of so many bytes one for `readLine`? All others are for `readWord`. */
export function isLine(length: number): boolean {
  return length > SHORT_BYTES && length <= MAX_LINE_BYTES;
}

/**
 * The text in `source[start, end)`, as `readText`; it is kept if it has 2 to 8 bytes.
 *
 * @throws Error when it is not UTF-8
 */
export function readWord(source: Buffer, start: number, end: number): string {
  const length = end - start;
  if (length > MAX_WORD_BYTES || length < 2) return readText(source, start, end);
  let first = source[start] | (source[start + 1] << 8) | (source[end - 1] << 16);
  let last = 0;
  if (length > 3) {
    first = source[start] | (source[start + 1] << 8) | (source[start + 2] << 16) | (source[start + 3] << 24);
    last = source[end - 4] | (source[end - 3] << 8) | (source[end - 2] << 16) | (source[end - 1] << 24);
  }
  const place = mixed(first, last, length) & (WORDS - 1);
  if (wordFirst[place] !== first || wordLast[place] !== last || wordLength[place] !== length) {
    wordFirst[place] = first;
    wordLast[place] = last;
    wordLength[place] = length;
    words[place] = "";
    return readText(source, start, end);
  }
  if (words[place] === "") words[place] = readText(source, start, end);
  return words[place];
}

/**
 * The text in `source[start, end)`, as `readText`, of a length that `isLine` is true for. `view` shows the source.
 *
 * @throws Error when it is not UTF-8
 */
export function readLine(source: Buffer, view: DataView, start: number, end: number): string {
  const length = end - start;
  const middle = start + (length >> 1);
  const hash =
    mixed(view.getInt32(start, true), view.getInt32(end - 4, true), length) ^
    mixed(view.getInt32(middle - 6, true), view.getInt32(middle + 2, true), length);
  let place = hash & (LINES - 2);
  if (lineHash[place] !== hash) place++;
  if (lineHash[place] === hash && lineLength[place] === length && lies(place, view, start, length)) return lines[place];
  const text = readText(source, start, end);
  if (seen[hash & (SEEN - 1)] === hash) keep(text, hash, source, start, length);
  else seen[hash & (SEEN - 1)] = hash;
  return text;
}

/** Are the bytes at `start` those of the line at this place? */
function lies(place: number, view: DataView, start: number, length: number): boolean {
  const from = place * MAX_LINE_BYTES;
  const last = length - 4;
  let difference = view.getInt32(start + last, true) ^ lineBytes.getInt32(from + last, true);
  for (let i = 0; i < last; i += 4) difference |= view.getInt32(start + i, true) ^ lineBytes.getInt32(from + i, true);
  return difference === 0;
}

function keep(text: string, hash: number, source: Buffer, start: number, length: number): void {
  turn ^= 1;
  const place = (hash & (LINES - 2)) + turn;
  lineHash[place] = hash;
  lineLength[place] = length;
  lines[place] = text;
  for (let i = 0; i < length; i++) lineBytes.setUint8(place * MAX_LINE_BYTES + i, source[start + i]);
}

function mixed(first: number, last: number, length: number): number {
  const product = Math.imul(first ^ Math.imul(last ^ length, 0x85ebca6b), 0xc2b2ae35);
  return product ^ (product >>> 15);
}

/**
 * Text that becomes the name of a property: the same keys come in message after message, and the same string object spares V8 the
 * search for its name. What an attacker puts here is gone with the next key.
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
