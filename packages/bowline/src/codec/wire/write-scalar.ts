import { double, float, HIGH, LOW, signed, unsigned, words } from "./scratch.ts";

/*
 * Each writes one value without its tag into `out` from `at` on and returns the position behind it
 * (protobuf.dev/programming-guides/encoding). Room is the caller's business: the bounds of generated code allow ten bytes for a
 * varint. A value that its type can't hold throws a RangeError that says so; where it stood is found out afterwards.
 */

/** A varint of 32 bits; `value` is one already: lengths, tags, uint32 that were checked. */
export function writeVarint(out: Buffer, at: number, value: number): number {
  let to = at;
  let rest = value;
  while (rest > 127) {
    out[to++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  out[to] = rest;
  return to + 1;
}

/** int32 and enums: negative ones take ten bytes, as if they had 64 bits. */
export function writeInt32(out: Buffer, at: number, value: number): number {
  if ((value | 0) !== value) throw notA("int32", value);
  if (value >= 0) return writeVarint(out, at, value);
  let rest: number = value;
  for (let to = at; to < at + 9; to++) {
    out[to] = (rest & 127) | 128;
    rest >>= 7;
  }
  out[at + 9] = 1;
  return at + 10;
}

/** uint32. */
export function writeUint32(out: Buffer, at: number, value: number): number {
  if (value >>> 0 !== value) throw notA("uint32", value);
  return writeVarint(out, at, value);
}

/** sint32 in ZigZag. */
export function writeSint32(out: Buffer, at: number, value: number): number {
  if ((value | 0) !== value) throw notA("sint32", value);
  return writeVarint(out, at, ((value << 1) ^ (value >> 31)) >>> 0);
}

/** bool. */
export function writeBool(out: Buffer, at: number, value: boolean): number {
  if (typeof value !== "boolean") throw notA("bool", value);
  out[at] = value ? 1 : 0;
  return at + 1;
}

/** int64; numbers and texts that are whole are taken, too. */
export function writeInt64(out: Buffer, at: number, value: bigint | string): number {
  loadSigned("int64", value);
  return writeWords(out, at, words[LOW], words[HIGH]);
}

/** uint64; numbers and texts that are whole are taken, too. */
export function writeUint64(out: Buffer, at: number, value: bigint | string): number {
  loadUnsigned("uint64", value);
  return writeWords(out, at, words[LOW], words[HIGH]);
}

/** sint64 in ZigZag; numbers and texts that are whole are taken, too. */
export function writeSint64(out: Buffer, at: number, value: bigint | string): number {
  loadSigned("sint64", value);
  const low = words[LOW];
  const high = words[HIGH];
  const sign = high >> 31;
  return writeWords(out, at, ((low << 1) ^ sign) >>> 0, (((high << 1) | (low >>> 31)) ^ sign) >>> 0);
}

/** fixed32. */
export function writeFixed32(out: Buffer, at: number, value: number): number {
  if (value >>> 0 !== value) throw notA("fixed32", value);
  return writeWord(out, at, value);
}

/** sfixed32. */
export function writeSfixed32(out: Buffer, at: number, value: number): number {
  if ((value | 0) !== value) throw notA("sfixed32", value);
  return writeWord(out, at, value);
}

/** fixed64; numbers and texts that are whole are taken, too. */
export function writeFixed64(out: Buffer, at: number, value: bigint | string): number {
  loadUnsigned("fixed64", value);
  return writeWord(out, writeWord(out, at, words[LOW]), words[HIGH]);
}

/** sfixed64; numbers and texts that are whole are taken, too. */
export function writeSfixed64(out: Buffer, at: number, value: bigint | string): number {
  loadSigned("sfixed64", value);
  return writeWord(out, writeWord(out, at, words[LOW]), words[HIGH]);
}

/** float: rounded to 32 bits; a finite number beyond ±3.4e38 is refused. */
export function writeFloat(out: Buffer, at: number, value: number): number {
  if (typeof value !== "number") throw notA("float", value);
  float[0] = value;
  if (!Number.isFinite(float[0]) && Number.isFinite(value)) throw notA("float", value);
  return writeWord(out, at, words[0]);
}

/** double. */
export function writeDouble(out: Buffer, at: number, value: number): number {
  if (typeof value !== "number") throw notA("double", value);
  double[0] = value;
  return writeWord(out, writeWord(out, at, words[LOW]), words[HIGH]);
}

function writeWord(out: Buffer, at: number, word: number): number {
  out[at] = word;
  out[at + 1] = word >>> 8;
  out[at + 2] = word >>> 16;
  out[at + 3] = word >>> 24;
  return at + 4;
}

function writeWords(out: Buffer, at: number, low: number, high: number): number {
  let to = at;
  let [rest, upper] = [low, high];
  while (upper !== 0) {
    out[to++] = (rest & 127) | 128;
    rest = ((rest >>> 7) | (upper << 25)) >>> 0;
    upper >>>= 7;
  }
  while (rest > 127) {
    out[to++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  out[to] = rest;
  return to + 1;
}

function loadSigned(type: string, value: bigint | string): void {
  const whole = typeof value === "bigint" ? value : wholeOf(type, value);
  signed[0] = whole;
  if (signed[0] !== whole) throw notA(type, value);
}

function loadUnsigned(type: string, value: bigint | string): void {
  const whole = typeof value === "bigint" ? value : wholeOf(type, value);
  unsigned[0] = whole;
  if (unsigned[0] !== whole) throw notA(type, value);
}

/** Fields with `jstype = JS_STRING` hold text; numbers come from code without types. */
function wholeOf(type: string, value: unknown): bigint {
  if (typeof value === "string" ? /^-?\d+$/.test(value) : Number.isSafeInteger(value)) {
    return BigInt(value as string | number);
  }
  throw notA(type, value);
}

const RANGES: Readonly<Record<string, string>> = {
  int32: "a whole number from -2147483648 to 2147483647",
  sint32: "a whole number from -2147483648 to 2147483647",
  sfixed32: "a whole number from -2147483648 to 2147483647",
  uint32: "a whole number from 0 to 4294967295",
  fixed32: "a whole number from 0 to 4294967295",
  int64: "a bigint from -9223372036854775808 to 9223372036854775807",
  sint64: "a bigint from -9223372036854775808 to 9223372036854775807",
  sfixed64: "a bigint from -9223372036854775808 to 9223372036854775807",
  uint64: "a bigint from 0 to 18446744073709551615",
  fixed64: "a bigint from 0 to 18446744073709551615",
  float: "a number of up to 3.4028234663852886e+38",
  double: "a number",
  bool: "true or false",
  string: "text",
  bytes: "a Uint8Array",
};

/** The error of a value that a field of this type can't hold. */
export function notA(type: string, value: unknown): RangeError {
  return new RangeError(`${shown(value)} is no ${type} (${RANGES[type]})`);
}

/** The value as far as it helps to find it. */
export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "an array" : shownObject(value);
  return typeof value === "function" ? "a function" : String(value);
}

/** With its class if it has one: `an object (Map)`. */
function shownObject(value: object): string {
  const name: unknown = Object.getPrototypeOf(value)?.constructor?.name;
  return typeof name === "string" && name !== "" && name !== "Object" ? `an object (${name})` : "an object";
}
