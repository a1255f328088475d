/** Sets an entry of a map field; `__proto__` is a key as any other. */
export function putEntry<T>(
  entries: { [key: string]: T } | { [key: number]: T },
  key: string | number,
  value: NoInfer<T>,
): void {
  if (key === "__proto__") {
    Object.defineProperty(entries, key, { value, writable: true, enumerable: true, configurable: true });
  } else {
    (entries as { [key: string]: T })[key] = value;
  }
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
