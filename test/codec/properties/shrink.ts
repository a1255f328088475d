/** How many attempts a fault may cost before it is shown as it is. */
const MAX_ATTEMPTS = 4000;

/** The smallest init object found for which `fails` still holds: properties and elements are left out one by one. */
export function shrinkInit<T extends object>(init: T, fails: (smaller: T) => boolean): T {
  let best = init;
  let attempts = 0;
  // What did not fail before hardly will when something else is gone: each pass goes on where it found something.
  for (let skipped = 0, isWholePass = true; ; ) {
    const found = nextSmaller(best, skipped, (each) => ++attempts > MAX_ATTEMPTS || fails(each));
    if (attempts > MAX_ATTEMPTS) return best;
    if (found !== undefined) {
      best = found.value;
      skipped = found.index;
      isWholePass &&= skipped === 0;
    } else if (isWholePass) {
      return best;
    } else {
      skipped = 0;
      isWholePass = true;
    }
  }
}

function nextSmaller<T extends object>(
  value: T,
  skipped: number,
  fails: (smaller: T) => boolean,
): { value: T; index: number } | undefined {
  let index = 0;
  for (const candidate of smaller(value)) {
    if (index >= skipped && fails(candidate as T)) return { value: candidate as T, index };
    index++;
  }
  return undefined;
}

function* smaller(value: unknown): Generator<unknown> {
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) yield value.toSpliced(i, 1);
    for (let i = 0; i < value.length; i++) for (const each of smaller(value[i])) yield value.with(i, each);
    return;
  }
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return;
  const isCase = "case" in value && "value" in value;
  const names = Object.keys(value).filter((name) => name !== "$typeName" && !(isCase && name === "case"));
  if (isCase) yield { case: undefined };
  else for (const name of names) if (isOptional(value, name)) yield without(value, name);
  for (const name of names) {
    const before = (value as Record<string, unknown>)[name];
    for (const each of smaller(before)) yield copyWith(value, name, each);
  }
}

/** A message that `create` made must keep its lists, maps and scalars, or it is none any more; an init object may lack anything. */
function isOptional(value: object, name: string): boolean {
  if (!("$typeName" in value) || name === "$unknown") return true;
  const inner = (value as Record<string, unknown>)[name];
  return typeof inner === "object" && inner !== null && "$typeName" in inner;
}

function without(value: object, name: string): object {
  const copy = copyOf(value);
  Reflect.deleteProperty(copy, name);
  return copy;
}

function copyWith(value: object, name: string, inner: unknown): object {
  const copy = copyOf(value);
  Object.defineProperty(copy, name, { value: inner, enumerable: true, configurable: true, writable: true });
  return copy;
}

/** Keeps the prototype: protobuf-es has defaults there. */
function copyOf(value: object): object {
  return Object.create(Object.getPrototypeOf(value), Object.getOwnPropertyDescriptors(value)) as object;
}

/** The shortest bytes found for which `fails` still holds: ranges are cut out, large ones first. */
export function shrinkBytes(bytes: Buffer, fails: (shorter: Buffer) => boolean): Buffer {
  let best = bytes;
  let attempts = 0;
  for (let size = bytes.length >> 1; size >= 1; size >>= 1) {
    for (let at = 0; at + size <= best.length && attempts < MAX_ATTEMPTS; attempts++) {
      const candidate = Buffer.concat([best.subarray(0, at), best.subarray(at + size)]);
      if (fails(candidate)) best = candidate;
      else at += size;
    }
  }
  return best;
}
