import { readText } from "./read-text.ts";

/** Places for keys; each holds the last one that fell to it. */
const PLACES = 1024;
/** Longer keys are seldom the same ones again. */
const MAX_BYTES = 16;
const known: string[] = new Array<string>(PLACES).fill("");

/**
 * Text that becomes the name of a property: the same keys come in message after message, and the same string object spares V8 the
 * search for its name. What an attacker puts here is gone with the next key.
 */
export function readKey(source: Buffer, start: number, end: number): string {
  const length = end - start;
  if (length > MAX_BYTES || length === 0) return readText(source, start, end);
  let hash = length;
  for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + source[at]) | 0;
  const place = (hash ^ (hash >>> 10)) & (PLACES - 1);
  const key = known[place];
  if (key.length === length && isAt(key, source, start)) return key;
  const text = readText(source, start, end);
  known[place] = text;
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
