import { type DescEnum, type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { BIGINT_BYTES, DecodeBudgetError, TEXT_BYTES } from "../wire/number-reader.ts";
import { ARRAY_BYTES, ELEMENT_BYTES, ENTRY_BYTES, Reader, UNKNOWN_FIELD_BYTES } from "../wire/reader.ts";
import { objectBytes } from "./object-bytes.ts";

const reader = new Reader();

/**
 * Walks over a message without making any object and counts what they would take.
 *
 * @throws DecodeBudgetError when that is more than `budgetBytes`; other faults of the bytes are left to whoever reads them
 */
export function reckonMessage(schema: DescMessage, bytes: Uint8Array, budgetBytes: number): void {
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    reader.begin(source, source.length, false, budgetBytes);
    walk(schema, 0, source.length);
  } catch (error) {
    if (error instanceof DecodeBudgetError) throw error;
  } finally {
    reader.finish();
  }
}

/** `end` is below 0 within a group, which tells by a tag where it ends. */
function walk(message: DescMessage, start: number, end: number): void {
  const fields = fieldsOf(message);
  let at = start;
  while (at < end || reader.goesOn(at, end)) {
    at = reader.tag(at);
    const field = fields.get(reader.tagRead >>> 3);
    if (field === undefined) at = pass(at, UNKNOWN_FIELD_BYTES, 1);
    else at = field.fieldKind === "map" ? entry(field, at) : value(field, at);
  }
}

/** Where the value ends that begins at `at`, as below. */
function value(field: DescField, at: number): number {
  const { message } = field;
  const tag = reader.tagRead;
  if (field.fieldKind === "list") reader.spend(ELEMENT_BYTES);
  if (message !== undefined && (tag & 7) === 2) return nested(message, at, objectBytes(message));
  if (message !== undefined && (tag & 7) === 3) {
    walk(message, reader.openGroup(at, objectBytes(message)), -(tag + 1));
    return reader.position;
  }
  if (field.scalar === ScalarType.STRING) return pass(at, TEXT_BYTES, 1);
  if (field.scalar === ScalarType.BYTES) return pass(at, ARRAY_BYTES, 1);
  // A packed list: an element may be a byte.
  if ((tag & 7) === 2) return pass(at, 0, perByte(field));
  if (field.enum?.open === false && (tag & 7) === 0) return enumValue(field.enum, at);
  return pass(at, isLong(field) ? BIGINT_BYTES : 0, 0);
}

function nested(message: DescMessage, at: number, bytes: number): number {
  const end = reader.len(at);
  walk(message, reader.open(bytes), end);
  return end;
}

/** A value that a closed enum does not declare is kept as an unknown field. */
function enumValue({ value }: DescEnum, at: number): number {
  const end = reader.varint(at);
  if (value[reader.int32()] === undefined) reader.spend(UNKNOWN_FIELD_BYTES);
  return end;
}

const LONGS: ReadonlySet<ScalarType | undefined> = new Set([
  ScalarType.INT64,
  ScalarType.UINT64,
  ScalarType.SINT64,
  ScalarType.FIXED64,
  ScalarType.SFIXED64,
]);

function isLong({ scalar }: DescField): boolean {
  return LONGS.has(scalar);
}

function perByte(field: DescField): number {
  const { scalar } = field;
  if (scalar === ScalarType.DOUBLE) return 1;
  if (scalar === ScalarType.FLOAT || scalar === ScalarType.FIXED32 || scalar === ScalarType.SFIXED32) return 2;
  if (scalar === ScalarType.FIXED64 || scalar === ScalarType.SFIXED64) return 4;
  return isLong(field) ? ELEMENT_BYTES + BIGINT_BYTES : ELEMENT_BYTES;
}

/** An entry of a map is no object of its own. */
function entry(field: DescField & { fieldKind: "map" }, at: number): number {
  const { message } = field;
  if ((reader.tagRead & 7) !== 2) return pass(at, UNKNOWN_FIELD_BYTES, 1);
  const end = reader.len(at);
  let part = reader.openEntry();
  reader.spend(message === undefined ? ENTRY_BYTES : ENTRY_BYTES + objectBytes(message));
  while (reader.hasMore(part, end)) {
    part = reader.tag(part);
    part = reader.tagRead === 18 && message !== undefined ? nested(message, part, 0) : pass(part, TEXT_BYTES, 1);
  }
  return end;
}

/** Passes over a value and counts what it takes, and for each byte of it. */
function pass(at: number, bytes: number, each: number): number {
  const end = reader.skip(at);
  reader.spend(bytes + each * (end - at));
  return end;
}

const known: WeakMap<DescMessage, ReadonlyMap<number, DescField>> = new WeakMap();

function fieldsOf(message: DescMessage): ReadonlyMap<number, DescField> {
  let fields = known.get(message);
  if (fields === undefined) {
    fields = new Map(message.fields.map((field) => [field.number, field]));
    known.set(message, fields);
  }
  return fields;
}
