import { type DescEnum, type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { BIGINT_BYTES, TEXT_BYTES } from "../wire/number-reader.ts";
import { ARRAY_BYTES, ELEMENT_BYTES, LIST_ROOM_BYTES, Reader, UNKNOWN_FIELD_BYTES } from "../wire/reader.ts";
import { hasPresence, LONGS, objectBytes } from "./object-bytes.ts";

const reader = new Reader();

/**
 * Walks over a message without making any object and counts what they would take that protobuf-es makes of it.
 *
 * protobuf-es reads a known field as its type says, whatever its wire type is, and goes on behind the end of a message when a
 * field reaches beyond it. So it would meet other objects than this walk in such bytes: they are refused, and what is left is read by
 * both alike.
 *
 * @throws DecodeBudgetError when that is more than `budgetBytes`
 * @throws Error when the bytes are no such message
 */
export function reckonMessage(schema: DescMessage, bytes: Uint8Array, budgetBytes: number): void {
  try {
    // No text is read, for which it would have to be a Buffer.
    reader.begin(bytes as Buffer, bytes.length, false, budgetBytes);
    walk(schema, 0, bytes.length);
  } finally {
    reader.finish();
  }
}

/** A field and the wire type of one value of it. */
interface KnownField {
  readonly field: DescField;
  readonly wireType: number;
  readonly hasPresence: boolean;
  readonly isStruct: boolean;
}

/** A field of type Struct is a JSON object. When it comes again, protobuf-es makes all of it anew, for each byte so much. */
const STRUCT_AGAIN_BYTES = 16;

/** `end` is below 0 within a group, which tells by a tag where it ends. */
function walk(message: DescMessage, start: number, end: number): void {
  const fields = fieldsOf(message);
  let [set, hasUnknown] = [0, 0];
  let before: KnownField | undefined;
  let structs: Map<KnownField, number> | undefined;
  let at = start;
  while (at < end || reader.goesOn(at, end)) {
    at = reader.tag(at);
    const known = fields.get(reader.tagRead >>> 3);
    if (known === undefined) {
      at = pass(at, UNKNOWN_FIELD_BYTES, 1);
      hasUnknown = 1;
      continue;
    }
    if (known.hasPresence) set++;
    // Elements of a list follow each other, mostly.
    if (known !== before && known.field.fieldKind === "list") reader.spend(LIST_ROOM_BYTES);
    if (known.isStruct) structs = again(structs ?? new Map(), known, at);
    at = fieldEnd(known, at);
    before = known;
  }
  reader.spend(objectBytes(message, set + hasUnknown));
}

function again(firsts: Map<KnownField, number>, known: KnownField, at: number): Map<KnownField, number> {
  const first = firsts.get(known);
  if (first === undefined) firsts.set(known, at);
  else reader.spend(STRUCT_AGAIN_BYTES * (at - first));
  return firsts;
}

/** Where the field ends whose value begins at `at`, as below. */
function fieldEnd({ field, wireType }: KnownField, at: number): number {
  const read = reader.tagRead & 7;
  const isPackable = field.fieldKind === "list" && wireType !== 2 && field.message === undefined;
  if (read === 2 && isPackable) return packed(field, wireType, at);
  expectWireType(wireType, field);
  if (field.fieldKind === "map") return entry(field, at);
  if (field.fieldKind === "list") reader.spend(ELEMENT_BYTES);
  if (field.message === undefined) return single(field, at);
  return wireType === 3 ? group(field.message, at) : nested(field.message, at);
}

function expectWireType(wireType: number, { name }: { readonly name: string }): void {
  const read = reader.tagRead & 7;
  if (read !== wireType) throw new Error(`${name} has wire type ${read}, not ${wireType}`);
}

function nested(message: DescMessage, at: number): number {
  const end = reader.len(at);
  walk(message, reader.open(0), end);
  return end;
}

function group(message: DescMessage, at: number): number {
  const end = -(reader.tagRead + 1);
  walk(message, reader.openGroup(at, 0), end);
  return reader.position;
}

function single(field: DescField, at: number): number {
  if (field.fieldKind === "enum" && !field.enum.open) return enumValue(field.enum, at);
  return scalar(field.scalar, at);
}

/** Passes over a value of this type, undefined: an enum. */
function scalar(type: ScalarType | undefined, at: number): number {
  if (type === ScalarType.STRING) return pass(at, TEXT_BYTES, 1);
  if (type === ScalarType.BYTES) return pass(at, ARRAY_BYTES, 1);
  return pass(at, LONGS.has(type) ? BIGINT_BYTES : 0, 0);
}

/** A value that a closed enum does not declare is kept as an unknown field. */
function enumValue({ value }: DescEnum, at: number): number {
  const end = reader.varint(at);
  if (value[reader.int32()] === undefined) reader.spend(UNKNOWN_FIELD_BYTES);
  return end;
}

function packed(field: DescField, wireType: number, start: number): number {
  const end = reader.len(start);
  const bytes = ELEMENT_BYTES + (LONGS.has(field.scalar) ? BIGINT_BYTES : 0);
  let at = reader.openPacked();
  while (reader.hasMore(at, end)) {
    at = wireType === 0 ? reader.varint(at) : wireType === 1 ? reader.i64(at) : reader.i32(at);
    reader.spend(bytes);
  }
  return end;
}

/** An entry of a map is no object of its own; its value is there even if it is not sent. */
function entry(field: DescField & { fieldKind: "map" }, start: number): number {
  const { message } = field;
  const end = reader.len(start);
  const first = reader.openEntry();
  let at = first;
  let hasValue = false;
  while (reader.hasMore(at, end)) {
    at = reader.tag(at);
    const number = reader.tagRead >>> 3;
    if (number === 1) {
      expectWireType(WIRE_TYPES[field.mapKey] ?? 0, KEY);
      at = scalar(field.mapKey, at);
    } else if (number === 2) {
      expectWireType(singleWireType(field), VALUE);
      if (hasValue && isStruct(field)) reader.spend(STRUCT_AGAIN_BYTES * (at - first));
      at = message === undefined ? scalar(field.scalar, at) : nested(message, at);
      hasValue = true;
    } else at = reader.skip(at);
  }
  if (!hasValue) reader.spend(message === undefined ? ARRAY_BYTES : objectBytes(message, 0));
  return end;
}

const KEY = { name: "the key of a map" };
const VALUE = { name: "the value of a map" };

/** Passes over a value and counts what it takes, and for each byte of it. */
function pass(at: number, bytes: number, each: number): number {
  const end = reader.skip(at);
  reader.spend(bytes + each * (end - at));
  return end;
}

/** Those that are no varints. */
const WIRE_TYPES: Partial<Record<ScalarType, number>> = {
  [ScalarType.DOUBLE]: 1,
  [ScalarType.FIXED64]: 1,
  [ScalarType.SFIXED64]: 1,
  [ScalarType.STRING]: 2,
  [ScalarType.BYTES]: 2,
  [ScalarType.FLOAT]: 5,
  [ScalarType.FIXED32]: 5,
  [ScalarType.SFIXED32]: 5,
};

/** Of a value that is no list: of an element, or in an entry of a map. */
function singleWireType(field: DescField): number {
  if (field.message !== undefined) return field.fieldKind !== "map" && field.delimitedEncoding ? 3 : 2;
  return field.scalar === undefined ? 0 : (WIRE_TYPES[field.scalar] ?? 0);
}

const known: WeakMap<DescMessage, ReadonlyMap<number, KnownField>> = new WeakMap();

function fieldsOf(message: DescMessage): ReadonlyMap<number, KnownField> {
  let fields = known.get(message);
  if (fields === undefined) {
    fields = new Map(
      message.fields.map((field) => {
        const wireType = field.fieldKind === "map" ? 2 : singleWireType(field);
        const isSingularStruct = field.fieldKind === "message" && isStruct(field);
        return [field.number, { field, wireType, hasPresence: hasPresence(field), isStruct: isSingularStruct }];
      }),
    );
    known.set(message, fields);
  }
  return fields;
}

function isStruct({ message, parent }: DescField): boolean {
  return message?.typeName === "google.protobuf.Struct" && parent.typeName !== "google.protobuf.Value";
}
