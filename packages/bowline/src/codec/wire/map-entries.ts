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

/** A map whose keys were listed for its bound. */
interface Listed {
  record: object | undefined;
  keys: readonly string[];
}

const listed: readonly Listed[] = Array.from({ length: 4 }, () => ({ record: undefined, keys: [] }));
let next = 0;

/**
 * How many entries a map has whose keys are integers. V8 takes a microsecond to list those, so that the list is kept for `takeKeys`,
 * which the encoder calls right after.
 */
export function countKeys(record: object): number {
  const keys = Object.keys(record);
  const place = listed[next++ & (listed.length - 1)];
  place.record = record;
  place.keys = keys;
  return keys.length;
}

/** The keys of a map: those that `countKeys` has listed, once, or listed anew. */
export function takeKeys(record: object): readonly string[] {
  for (const place of listed) {
    if (place.record !== record) continue;
    place.record = undefined;
    return place.keys;
  }
  return Object.keys(record);
}
