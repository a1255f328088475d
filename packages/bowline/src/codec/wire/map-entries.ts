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

/**
 * The keys of a map field. What is no plain object is refused: a JavaScript Map has entries but no properties, and would be sent as
 * empty.
 */
export function keysOf(entries: object): string[] {
  if (!isPlainObject(entries)) throw new TypeError("it is no plain object");
  return Object.keys(entries);
}

/** True for objects without a class, those of another realm included; arrays have one, and so have texts and numbers. */
export function isPlainObject(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null || Object.getPrototypeOf(prototype) === null;
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
