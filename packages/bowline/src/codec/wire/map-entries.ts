import type { Reader } from "./reader.ts";

/** Indices up to here may come in any order. */
const SMALL_INDEX = 16;
/** How far apart two indices may be that come one after the other: at least a third of an array is in use then. */
const INDEX_GAP = 2;
/** V8 makes a table of an array whose next index is 1,024 places behind the room that it has: half as much again as it needs, and 16. */
const FAR_INDEX = 2048;
/** V8 never makes an array again of what has had a greater index (NumberDictionary::requires_slow_elements). */
const MAX_ARRAY_INDEX = 2 ** 29 - 1;
/** No index of an array is greater. */
const MAX_INDEX = 0xffff_fffe;
/** What an array takes with its first element, and how much more for each index up to it. */
const ARRAY_BYTES = 160;
const PLACE_BYTES = 12;
/** What a table takes that has an entry. */
const TABLE_BYTES = 256;

type Entries<T> = { [key: string]: T } | { [key: number]: T };

/** True for keys that are neither `__proto__` nor an index of an array. */
export function isPlainKey(key: string): boolean {
  const first = key.charCodeAt(0);
  return first > 0x39 && (first !== 0x5f || key !== "__proto__");
}

/** Sets an entry of a map field; `__proto__` is a key as any other. `top` and what is given back: see `raiseTop`. */
export function putEntry<T>(reader: Reader, entries: Entries<T>, key: string, value: NoInfer<T>, top: number): number {
  if (key === "__proto__") {
    Object.defineProperty(entries, key, { value, writable: true, enumerable: true, configurable: true });
    return top;
  }
  const index = wholeKey(key);
  const raised = index > top ? raiseTop(reader, entries, index, top) : top;
  (entries as { [key: string]: T })[key] = value;
  return raised;
}

/**
 * Prepares a map field for a key that is an index of an array, and greater than `top`, the greatest before it: -1 if there was none. Gives
 * back the new one.
 *
 * V8 keeps what stands under such keys in an array as long as that is dense enough, else in a table. Keys far from each other, in the
 * right order, turn one into the other again and again, each time as a whole, or cost an array of hundreds of places for one entry. So the
 * first key that leaves a gap makes it a table for good; one that lies twice as far as the one before need not.
 */
export function raiseTop(reader: Reader, entries: object, key: number, top: number): number {
  if (key <= SMALL_INDEX || key - top <= INDEX_GAP) {
    if (top < 0) reader.spend(ARRAY_BYTES + PLACE_BYTES * key);
    return key;
  }
  reader.spend(TABLE_BYTES);
  // So far away it becomes a table by itself, and needs hundreds of entries to be an array again.
  if (key >= 2 * top + FAR_INDEX) return key > MAX_ARRAY_INDEX ? Number.POSITIVE_INFINITY : key;
  const numbered = entries as { [key: number]: unknown };
  if (!(MAX_INDEX in numbered)) {
    numbered[MAX_INDEX] = undefined;
    delete numbered[MAX_INDEX];
  }
  return Number.POSITIVE_INFINITY;
}

/** The keys of a map field. A JavaScript Map has entries but no properties: it would be sent as empty, and so is refused. */
export function keysOf(entries: object): string[] {
  const keys = Object.keys(entries);
  if (!isMapField(entries, keys.length)) throw new TypeError("it is no object with properties for entries");
  return keys;
}

/** True for objects whose properties are the entries of a map field; `count` of them there are. */
export function isMapField(value: unknown, count: number): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  // A Map, a Set, an iterator and their like have none.
  return count > 0 || Object.prototype.toString.call(value) === "[object Object]";
}

/** The value under one of the object's own keys. */
export function entryOf<T>(entries: { readonly [key: string]: T } | { readonly [key: number]: T }, key: string): T {
  return (entries as { readonly [key: string]: T })[key] as T;
}

/** A key as the boolean it stands for; what stands for none is left for the encoder to refuse. */
export function booleanKey(key: string): boolean {
  return key === "true" ? true : key === "false" ? false : (key as unknown as boolean);
}

/** A key as the whole number it stands for; NaN, which every encoder refuses, when it stands for none. */
export function wholeKey(key: string): number {
  const { length } = key;
  let value = 0;
  for (let i = 0; i < length; i++) {
    const digit = key.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9 || i > 8) return longKey(key);
    value = value * 10 + digit;
  }
  return length > 0 ? value : Number.NaN;
}

/** Of more than nine digits, below 0, or no whole number. */
function longKey(key: string): number {
  return /^-?\d+$/.test(key) ? Number(key) : Number.NaN;
}
