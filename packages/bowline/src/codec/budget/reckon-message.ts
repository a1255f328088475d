import { type DescEnum, type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { BIGINT_BYTES, DecodeBudgetError, TEXT_BYTES } from "../wire/number-reader.ts";
import { ARRAY_BYTES, ENTRY_BYTES, Reader, UNKNOWN_FIELD_BYTES } from "../wire/reader.ts";
import { ELEMENT_BYTES, objectBytes } from "./object-bytes.ts";

const reader = new Reader();

/**
 * Walks over a message without making any object and counts what they would take.
 *
 * @throws DecodeBudgetError when that is more than `budgetBytes`; other faults of the bytes are left to whoever reads them
 */
export function reckonMessage(schema: DescMessage, bytes: Uint8Array, budgetBytes: number): void {
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    walk(schema, reader.begin(source, 0, source.length, false, budgetBytes));
  } catch (error) {
    if (error instanceof DecodeBudgetError) throw error;
  } finally {
    reader.finish();
  }
}

function walk(message: DescMessage, end: number): void {
  const fields = fieldsOf(message);
  for (let tag = reader.tag(end); tag !== 0; tag = reader.tag(end)) {
    const field = fields.get(tag >>> 3);
    if (field === undefined) pass(tag, UNKNOWN_FIELD_BYTES, 1);
    else if (field.fieldKind === "map") entry(field, tag);
    else value(field, tag);
  }
}

function value(field: DescField, tag: number): void {
  const { message } = field;
  const isList = field.fieldKind === "list";
  if (isList) reader.spend(ELEMENT_BYTES);
  if (message !== undefined && (tag & 7) === 2) walk(message, reader.open(objectBytes(message)));
  else if (message !== undefined && (tag & 7) === 3) walk(message, reader.openGroup(tag, objectBytes(message)));
  else if (field.scalar === ScalarType.STRING) pass(tag, TEXT_BYTES, 1);
  else if (field.scalar === ScalarType.BYTES) pass(tag, ARRAY_BYTES, 1);
  // A packed list: an element may be a byte.
  else if ((tag & 7) === 2) pass(tag, 0, perByte(field));
  else if (field.enum?.open === false && (tag & 7) === 0) enumValue(field.enum);
  else pass(tag, isLong(field) ? BIGINT_BYTES : 0, 0);
}

/** A value that a closed enum does not declare is kept as an unknown field. */
function enumValue({ value }: DescEnum): void {
  if (value[reader.int32()] === undefined) reader.spend(UNKNOWN_FIELD_BYTES);
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
function entry(field: DescField & { fieldKind: "map" }, tag: number): void {
  if ((tag & 7) !== 2) return pass(tag, UNKNOWN_FIELD_BYTES, 1);
  const end = reader.openEntry();
  reader.spend(field.message === undefined ? ENTRY_BYTES : ENTRY_BYTES + objectBytes(field.message));
  for (let part = reader.entryTag(end); part !== 0; part = reader.entryTag(end)) {
    if (part === 18 && field.message !== undefined) walk(field.message, reader.open(0));
    else pass(part, TEXT_BYTES, 1);
  }
}

/** Passes over a value and counts what it takes, and for each byte of it. */
function pass(tag: number, bytes: number, each: number): void {
  const start = reader.position;
  reader.skip(tag);
  reader.spend(bytes + each * (reader.position - start));
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
