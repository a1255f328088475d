import { type DescField, type DescMessage, type Registry, ScalarType } from "@bufbuild/protobuf";
import { TEXT_BYTES } from "../wire/number-reader.ts";
import { ENTRY_BYTES, UNKNOWN_FIELD_BYTES } from "../wire/reader.ts";

/*
 * What objects take that protobuf-es makes, measured with 64-bit pointers. It sets their properties one after the other under names that
 * V8 knows at run time only: up to 15 lie behind each other, an object with more of them becomes a table of three words for each place.
 * Objects of generated code have room for what they need, and take less.
 */

/** An object with `$typeName`. */
const OBJECT_BYTES = 56;
const MAX_IN_LINE = 15;
const TABLE_BYTES = 88;
const PLACE_BYTES = 24;

/** Types whose values are a bigint each. */
export const LONGS: ReadonlySet<ScalarType | undefined> = new Set([
  ScalarType.INT64,
  ScalarType.UINT64,
  ScalarType.SINT64,
  ScalarType.FIXED64,
  ScalarType.SFIXED64,
]);

interface Shape {
  /** Properties that the object always has. */
  readonly always: number;
  /** Those that it may have. */
  readonly most: number;
  /** The empty lists, maps and oneofs in it. */
  readonly heldBytes: number;
}

/** What an object of this type takes without what its fields hold, about; `set` of the fields that have presence are set. */
export function objectBytes(message: DescMessage, set: number): number {
  const { always, most, heldBytes } = shapeOf(message);
  return heldBytes + propertyBytes(Math.min(always + set, most));
}

/** True for a field that an object has as a property of its own only if it is set. */
export function hasPresence(field: DescField): boolean {
  return field.oneof === undefined && (field.presence as number) !== IMPLICIT;
}

/** IMPLICIT of google.protobuf.FeatureSet.FieldPresence: lists and maps have it as well. */
const IMPLICIT = 2;

function propertyBytes(count: number): number {
  if (count <= MAX_IN_LINE) return OBJECT_BYTES + 8 * count;
  // A third of the table stays free, and its size is a power of 2.
  return TABLE_BYTES + PLACE_BYTES * 2 ** Math.ceil(Math.log2(1.5 * count));
}

const shapes: WeakMap<DescMessage, Shape> = new WeakMap();

function shapeOf(message: DescMessage): Shape {
  let shape = shapes.get(message);
  if (shape === undefined) {
    let [always, heldBytes] = [0, 0];
    for (const member of message.members) {
      if (member.kind === "oneof") heldBytes += 40;
      else if (member.fieldKind === "list") heldBytes += 32;
      else if (member.fieldKind === "map") heldBytes += 56;
      else if (hasPresence(member)) continue;
      always++;
    }
    // One more for $unknown.
    shape = { always, most: message.members.length + 1, heldBytes };
    shapes.set(message, shape);
  }
  return shape;
}

/** The most that a message of any of these types takes for a byte of JSON: an empty one takes two there. */
export function mostPerByte(types: Registry): number {
  let most = UNKNOWN_FIELD_BYTES;
  for (const type of types) {
    if (type.kind === "message")
      most = Math.max(most, objectBytes(type, type.fields.length) + ENTRY_BYTES + TEXT_BYTES);
  }
  return most / 2;
}
