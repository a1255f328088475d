import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { wholeKey } from "./wire/map-entries.ts";
import {
  notA,
  shown,
  writeBool,
  writeDouble,
  writeFixed32,
  writeFixed64,
  writeFloat,
  writeInt32,
  writeInt64,
  writeSfixed32,
  writeSfixed64,
  writeSint32,
  writeSint64,
  writeUint32,
  writeUint64,
} from "./wire/write-scalar.ts";

/**
 * Why a message can't be encoded, with the path of the field: `lines[3].quantity: 4294967296 is no int32 (…)`. Undefined when the
 * values are all good. Generated encoders throw where they stand; this walk along the descriptor finds the place afterwards.
 */
export function encodeFault(schema: DescMessage, message: unknown): string | undefined {
  return messageFault(schema, message, "", 0);
}

/** Beyond it a message holds itself, or can't be shown. */
const MAX_DEPTH = 200;

type Writer = (out: Buffer, at: number, value: never) => number;

const WRITERS: Partial<Record<ScalarType, Writer>> = {
  [ScalarType.DOUBLE]: writeDouble,
  [ScalarType.FLOAT]: writeFloat,
  [ScalarType.INT64]: writeInt64,
  [ScalarType.UINT64]: writeUint64,
  [ScalarType.INT32]: writeInt32,
  [ScalarType.FIXED64]: writeFixed64,
  [ScalarType.FIXED32]: writeFixed32,
  [ScalarType.BOOL]: writeBool,
  [ScalarType.UINT32]: writeUint32,
  [ScalarType.SFIXED32]: writeSfixed32,
  [ScalarType.SFIXED64]: writeSfixed64,
  [ScalarType.SINT32]: writeSint32,
  [ScalarType.SINT64]: writeSint64,
};

const scratch = Buffer.alloc(16);

function messageFault(schema: DescMessage, message: unknown, path: string, depth: number): string | undefined {
  if (depth > MAX_DEPTH) return `it has more than ${MAX_DEPTH} levels of messages, or one that holds itself`;
  if (typeof message !== "object" || message === null) {
    return at(path, `expected a ${schema.typeName}, got ${shown(message)}`);
  }
  const fields = message as Readonly<Record<string, unknown>>;
  if (fields.$typeName !== undefined && fields.$typeName !== schema.typeName) {
    return at(path, `expected a ${schema.typeName}, got a ${fields.$typeName}`);
  }
  for (const field of schema.fields) {
    const fault = fieldFault(field, fields, path, depth);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function fieldFault(
  field: DescField,
  fields: Readonly<Record<string, unknown>>,
  path: string,
  depth: number,
): string | undefined {
  const place = path === "" ? field.localName : `${path}.${field.localName}`;
  const value = fieldValue(field, fields);
  if (value === undefined || value === null) {
    return isMissing(field) ? at(place, "it is required and not set") : undefined;
  }
  if (field.fieldKind === "list") return listFault(field, value, place, depth);
  if (field.fieldKind === "map") return mapFault(field, value, place, depth);
  return valueFault(field, value, place, depth);
}

/** LEGACY_REQUIRED of google.protobuf.FeatureSet.FieldPresence. */
const REQUIRED = 3;

function isMissing(field: DescField): boolean {
  return field.oneof === undefined && (field.presence as number) === REQUIRED;
}

function fieldValue(field: DescField, fields: Readonly<Record<string, unknown>>): unknown {
  if (field.oneof === undefined) {
    // What a prototype has is a default, or `hasOwnProperty` and the like.
    return Object.hasOwn(fields, field.localName) ? fields[field.localName] : undefined;
  }
  const chosen = fields[field.oneof.localName] as { case?: unknown; value?: unknown } | undefined | null;
  return chosen?.case === field.localName ? chosen.value : undefined;
}

function listFault(
  field: DescField & { fieldKind: "list" },
  value: unknown,
  place: string,
  depth: number,
): string | undefined {
  if (!Array.isArray(value)) return at(place, `expected an array, got ${shown(value)}`);
  for (let i = 0; i < value.length; i++) {
    const fault = valueFault(field, value[i], `${place}[${i}]`, depth);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function mapFault(
  field: DescField & { fieldKind: "map" },
  value: unknown,
  place: string,
  depth: number,
): string | undefined {
  if (typeof value !== "object" || value === null) return at(place, `expected an object, got ${shown(value)}`);
  for (const [key, each] of Object.entries(value)) {
    const fault = keyFault(field.mapKey, key);
    if (fault !== undefined) return at(`${place}[${JSON.stringify(key)}]`, `the key ${fault}`);
    const inner = valueFault(field, each, `${place}[${JSON.stringify(key)}]`, depth);
    if (inner !== undefined) return inner;
  }
  return undefined;
}

function keyFault(type: ScalarType, key: string): string | undefined {
  if (type === ScalarType.STRING) return undefined;
  if (type === ScalarType.BOOL) return key === "true" || key === "false" ? undefined : "is neither true nor false";
  return scalarFault(type, LONG.has(type) ? key : wholeKey(key));
}

const LONG: ReadonlySet<ScalarType> = new Set([
  ScalarType.INT64,
  ScalarType.UINT64,
  ScalarType.FIXED64,
  ScalarType.SFIXED64,
  ScalarType.SINT64,
]);

function valueFault(field: DescField, value: unknown, place: string, depth: number): string | undefined {
  if (field.message !== undefined) {
    if (isPlain(field)) return undefined;
    const wrapped = isBoxed(field) ? field.message.fields[0] : undefined;
    if (wrapped !== undefined) return valueFault(wrapped, value, place, depth);
    return messageFault(field.message, value, place, depth + 1);
  }
  const fault = scalarFault(field.scalar ?? ScalarType.INT32, value);
  return fault === undefined ? undefined : at(place, fault);
}

/** google.protobuf.Struct is a JSON object in protobuf-es, and wrappers of singular fields are what they wrap. */
function isPlain(field: DescField): boolean {
  return field.message?.typeName === "google.protobuf.Struct" && field.parent.typeName !== "google.protobuf.Value";
}

function isBoxed(field: DescField): boolean {
  const name = field.message?.typeName ?? "";
  return field.fieldKind === "message" && field.oneof === undefined && WRAPPER.test(name);
}

const WRAPPER = /^google\.protobuf\.(Double|Float|Int64|UInt64|Int32|UInt32|Bool|String|Bytes)Value$/;

function scalarFault(type: ScalarType, value: unknown): string | undefined {
  if (type === ScalarType.STRING) return typeof value === "string" ? undefined : notA("string", value).message;
  if (type === ScalarType.BYTES) return value instanceof Uint8Array ? undefined : notA("bytes", value).message;
  try {
    WRITERS[type]?.(scratch, 0, value as never);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function at(path: string, text: string): string {
  return path === "" ? text : `${path}: ${text}`;
}
