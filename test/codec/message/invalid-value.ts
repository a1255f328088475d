import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import type { Chance } from "../chance.ts";
import { type Init, isWrapper, randomInit } from "./random-init.ts";

/** An init object with one value that its field can't have. */
export interface InvalidInit {
  readonly init: Init;
  readonly value: unknown;
  /** What the error must name of the path, in order: type, fields, indexes of lists. */
  readonly path: readonly string[];
}

/** Values that no field of the type can have. What protobuf-es converts silently, such as a number for a string, is here too. */
function invalidValues(field: DescField): readonly unknown[] {
  if (field.fieldKind === "enum" || (field.fieldKind === "list" && field.listKind === "enum")) {
    return [1.5, Number.NaN, 2 ** 31, -(2 ** 31) - 1, "A", {}];
  }
  return field.scalar === undefined ? [] : invalidScalars(field.scalar);
}

function invalidScalars(type: ScalarType): readonly unknown[] {
  switch (type) {
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return [1.5, Number.NaN, Infinity, 2 ** 31, -(2 ** 31) - 1, "x", 5n, {}, true];
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return [1.5, Number.NaN, -1, 2 ** 32, "x", 5n, {}, true];
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return [2n ** 63n, -(2n ** 63n) - 1n, 1.5, "x", {}, Symbol("s")];
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return [2n ** 64n, -1n, 1.5, "x", {}, Symbol("s")];
    case ScalarType.FLOAT:
      return [3.5e38, -Number.MAX_VALUE, "x", 5n, {}, true];
    case ScalarType.DOUBLE:
      return ["x", 5n, {}, Symbol("s")];
    case ScalarType.STRING:
      return [5, {}, true, new Uint8Array(2), Symbol("s"), []];
    case ScalarType.BYTES:
      return [5, {}, "text", true, Symbol("s")];
    case ScalarType.BOOL:
      return [1, "true", {}, Symbol("s")];
  }
}

/** A random init object with an invalid value in some field at some depth; undefined when there was no field for it. */
export function invalidInit(chance: Chance, desc: DescMessage, depth: number): InvalidInit | undefined {
  const init = randomInit(chance, desc, { depth: 1, created: 0.2, filled: 0.3 });
  for (const field of chance.shuffle(desc.fields)) {
    const spoiled = spoiledField(chance, field, depth);
    if (spoiled === undefined) continue;
    const name = field.oneof?.localName ?? field.localName;
    const inner = field.oneof === undefined ? spoiled.inner : { case: field.localName, value: spoiled.inner };
    init[name] = inner;
    return { init, value: spoiled.value, path: spoiled.path };
  }
  return undefined;
}

/** What a field holds, with an invalid value in it. */
interface Spoiled {
  readonly inner: unknown;
  readonly value: unknown;
  readonly path: readonly string[];
}

function spoiledField(chance: Chance, field: DescField, depth: number): Spoiled | undefined {
  if (field.fieldKind === "message" || (field.fieldKind === "list" && field.listKind === "message")) {
    return spoiledMessage(chance, field, depth);
  }
  if (field.fieldKind === "map") return spoiledMap(chance, field, depth);
  const values = invalidValues(field);
  if (values.length === 0) return undefined;
  const value = chance.pick(values);
  if (field.fieldKind !== "list") return { inner: value, value, path: [field.localName] };
  const index = chance.int(0, 3);
  const sound = field.listKind === "enum" ? 0 : soundScalar(field.scalar);
  return { inner: [...Array(index).fill(sound), value], value, path: [`${field.localName}[${index}]`] };
}

function spoiledMessage(chance: Chance, field: DescField, depth: number): Spoiled | undefined {
  const inner = field.message as DescMessage;
  // Well-known types are told apart by how protobuf-es holds them; a test of their codecs looks at them.
  if (depth <= 0 || inner.file.proto.name.startsWith("google/protobuf/") || isWrapper(inner)) return undefined;
  const spoiled = invalidInit(chance, inner, depth - 1);
  if (spoiled === undefined) return undefined;
  if (field.fieldKind !== "list")
    return { inner: spoiled.init, value: spoiled.value, path: [field.localName, ...spoiled.path] };
  const index = chance.int(0, 3);
  const before = Array.from({ length: index }, () => randomInit(chance, inner, { depth: 0, created: 0, filled: 0.2 }));
  return {
    inner: [...before, spoiled.init],
    value: spoiled.value,
    path: [`${field.localName}[${index}]`, ...spoiled.path],
  };
}

function spoiledMap(chance: Chance, field: DescField & { fieldKind: "map" }, depth: number): Spoiled | undefined {
  if (field.mapKind === "message") {
    const spoiled = spoiledMessage(chance, field, depth);
    const key = String(soundKey(field.mapKey));
    if (spoiled === undefined) return undefined;
    return { ...spoiled, inner: { [key]: spoiled.inner }, path: [entryPath(field, key), ...spoiled.path.slice(1)] };
  }
  if (chance.odds(0.4) && field.mapKey !== ScalarType.STRING) {
    const sound = field.mapKind === "enum" ? 0 : soundScalar(field.scalar);
    const key = chance.pick(["x", "1.5", "99999999999999999999999", " 1"]);
    return { inner: { [key]: sound }, value: key, path: [entryPath(field, key)] };
  }
  const value = chance.pick(field.mapKind === "enum" ? [1.5, 2 ** 31, "A"] : invalidScalars(field.scalar));
  const key = String(soundKey(field.mapKey));
  return { inner: { [key]: value }, value, path: [entryPath(field, key)] };
}

function entryPath(field: DescField, key: string): string {
  return `${field.localName}[${JSON.stringify(key)}]`;
}

function soundKey(type: ScalarType): unknown {
  return type === ScalarType.STRING ? "__proto__x" : soundScalar(type);
}

function soundScalar(type: ScalarType): unknown {
  switch (type) {
    case ScalarType.STRING:
      return "";
    case ScalarType.BYTES:
      return new Uint8Array();
    case ScalarType.BOOL:
      return false;
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return 0n;
    default:
      return 0;
  }
}
