/** Words that can't be a variable, and names of the language that generated code must not hide. */
const RESERVED: ReadonlySet<string> = new Set(
  // ECMAScript 2024 reserved words, strict mode and modules included.
  (
    "arguments await break case catch class const continue debugger default delete do else enum eval export extends false " +
    "finally for function if implements import in instanceof interface let new null package private protected public return " +
    "static super switch this throw true try typeof var void while with yield " +
    // Names of types in TypeScript.
    "any async bigint boolean declare never number object string symbol type undefined unknown " +
    // Globals of ECMAScript 2024 and the types of its library that generated code may name.
    "AggregateError Array ArrayBuffer AsyncIterable AsyncIterator Atomics BigInt BigInt64Array BigUint64Array Boolean Buffer " +
    "DataView Date Error EvalError Extract FinalizationRegistry Float32Array Float64Array Function Infinity Int16Array Int32Array " +
    "Int8Array Intl Iterable Iterator JSON Map Math NaN Number Object Partial Promise Proxy RangeError Readonly Record " +
    "ReferenceError Reflect RegExp Set SharedArrayBuffer String Symbol SyntaxError TypeError URIError Uint16Array " +
    "Uint32Array Uint8Array Uint8ClampedArray WeakMap WeakRef WeakSet globalThis isFinite isNaN parseFloat parseInt"
  ).split(" "),
);

/** What every object has already. */
export const OBJECT_MEMBERS: ReadonlySet<string> = new Set(
  (
    "constructor hasOwnProperty isPrototypeOf propertyIsEnumerable toJSON toLocaleString toString valueOf " +
    "__defineGetter__ __defineSetter__ __lookupGetter__ __lookupSetter__ __proto__"
  ).split(" "),
);

/**
 * Gives each thing in a file a name of its own: the one it should have, or that name with `$`, `$1`, `$2`… behind it. A number, which a
 * property may be called and nothing else, gets a `_` in front.
 */
export class CodeNames {
  readonly #taken = new Set<string>();
  readonly #outer: CodeNames | undefined;

  /** `outer` has the names around these, which must not be hidden. */
  constructor(outer?: CodeNames) {
    this.#outer = outer;
  }

  /** The first name like `wanted` that is free; it is taken from then on. */
  take(wanted: string): string {
    const plain = /^\d/.test(wanted) ? `_${wanted}` : wanted;
    let name = plain;
    for (let i = 0; this.#isTaken(name); i++) name = `${plain}$${i === 0 ? "" : i}`;
    this.#taken.add(name);
    return name;
  }

  #isTaken(name: string): boolean {
    const isTakenHere = RESERVED.has(name) || OBJECT_MEMBERS.has(name) || this.#taken.has(name);
    return isTakenHere || (this.#outer === undefined ? false : this.#outer.#isTaken(name));
  }
}

/** Name of a method in TypeScript: that of the .proto with a small first letter, and a `$` behind it if objects have it already. */
export function methodName(name: string): string {
  const plain = plainMethodName(name);
  // A client with a method `then` would be a promise to `await`.
  return OBJECT_MEMBERS.has(plain) || plain === "then" ? `${plain}$` : plain;
}

/** The name that the method would have if JavaScript had not given it a meaning. */
export function plainMethodName(name: string): string {
  return name.slice(0, 1).toLowerCase() + name.slice(1);
}
