import { ScalarType } from "@bufbuild/protobuf";
import type { Chance } from "../chance.ts";

const INT32 = [0, 1, -1, 63, 64, -64, -65, 127, 128, 300, 16383, 16384, 2097151, 2097152, 2147483647, -2147483648];
const UINT32 = [0, 1, 127, 128, 16383, 16384, 2097151, 2097152, 268435455, 268435456, 2147483648, 4294967295];
const DOUBLES = [0, -0, 1, -1.5, Number.NaN, Infinity, -Infinity, Number.MAX_VALUE, Number.MIN_VALUE, 2 ** 53, 0.1];
const FLOATS = [0, -0, 1, -1.5, Number.NaN, Infinity, -Infinity, 3.4028234663852886e38, 2 ** -149, 0.5, 0.1];

/** Where varints grow by a byte, and both ends. */
const INT64: readonly bigint[] = [0n, 1n, -1n, -(2n ** 63n), 2n ** 63n - 1n, ...around()];
const UINT64: readonly bigint[] = [0n, 1n, 2n ** 64n - 1n, 2n ** 63n, ...around()];

function around(): bigint[] {
  const edges = [7n, 14n, 21n, 28n, 31n, 32n, 35n, 42n, 49n, 53n, 56n, 62n];
  return edges.flatMap((bits) => [2n ** bits - 1n, 2n ** bits, 2n ** bits + 1n]);
}

/** Lengths at which encoders change their ways. */
const LENGTHS = [1, 2, 7, 8, 23, 24, 25, 31, 32, 33, 39, 40, 41, 63, 64, 65, 127, 128];
const LONG_LENGTHS = [255, 256, 1000, 16_383, 16_384, 16_385, 40_000];

const CHARACTERS = ["a", "Z", "0", " ", "\0", "\x7f", "\x80", "é", "߿", "ࠀ", "￿", "\ufeff", "日", "🙂", "\u{10ffff}"];
const SURROGATES = ["\ud800", "\udfff", "\udc00\ud800", "x\ud83d", "\ud83dx"];

/** Keys that a plain object could mistake for something of its own. */
const ODD_KEYS = [
  "",
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "0",
  "1",
  "-1",
  "01",
  "4294967295",
  "a.b",
  "é",
];

/** A value of a scalar type as protobuf-es holds it: boundary values more often than others. */
export function scalarValue(chance: Chance, type: ScalarType, longAsString = false): unknown {
  switch (type) {
    case ScalarType.BOOL:
      return chance.odds(0.5);
    case ScalarType.STRING:
      return text(chance);
    case ScalarType.BYTES:
      return chance.bytes(chance.odds(0.2) ? 0 : length(chance));
    case ScalarType.DOUBLE:
      return chance.odds(0.6) ? chance.pick(DOUBLES) : chance.int(-1e9, 1e9) / 1024;
    case ScalarType.FLOAT:
      return chance.odds(0.6) ? chance.pick(FLOATS) : chance.int(-1e9, 1e9) / 1024;
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return chance.odds(0.7) ? chance.pick(UINT32) : chance.int(0, 0xffffffff);
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return chance.odds(0.7) ? chance.pick(INT32) : chance.int(-0x80000000, 0x7fffffff);
    default: {
      const value = long(chance, type === ScalarType.UINT64 || type === ScalarType.FIXED64);
      return longAsString ? value.toString() : value;
    }
  }
}

/** A key of a map of this type, as a property's name. */
export function mapKey(chance: Chance, type: ScalarType): string {
  if (type === ScalarType.STRING) return chance.odds(0.4) ? chance.pick(ODD_KEYS) : text(chance).slice(0, 300);
  return String(scalarValue(chance, type));
}

/** A string, now and then with halves of surrogate pairs or of a length at which encoders change. */
export function text(chance: Chance): string {
  if (chance.odds(0.15)) return "";
  const count = length(chance);
  const kind = chance.int(0, 9);
  if (kind < 5) return "abcdefghijklmnopqrstuvwxyz0123456789".repeat(Math.ceil(count / 36)).slice(0, count);
  if (kind < 7) return "x".repeat(count - 1) + chance.pick(CHARACTERS);
  if (kind === 7) return chance.pick(SURROGATES) + "s".repeat(Math.min(count, 50));
  return Array.from({ length: Math.min(count, 200) }, () => chance.pick(CHARACTERS)).join("");
}

function length(chance: Chance): number {
  if (chance.odds(0.015)) return chance.pick(LONG_LENGTHS);
  return chance.odds(0.4) ? chance.pick(LENGTHS) : chance.int(1, 12);
}

function long(chance: Chance, isUnsigned: boolean): bigint {
  if (chance.odds(0.7)) {
    const value = chance.pick(isUnsigned ? UINT64 : INT64);
    return isUnsigned || value <= 0n || chance.odds(0.5) ? value : -value;
  }
  const value = (BigInt(chance.int(0, 0xffffffff)) << 32n) | BigInt(chance.int(0, 0xffffffff));
  return isUnsigned ? value : BigInt.asIntN(64, value);
}
