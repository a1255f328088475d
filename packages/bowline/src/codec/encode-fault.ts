import { create, type DescField, type DescMessage, type DescOneof, ScalarType } from "@bufbuild/protobuf";
import { reasonOf } from "./protobuf-message.ts";
import { isMapField, wholeKey } from "./wire/map-entries.ts";
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
  try {
    return messageFault(schema, message, "", 0);
  } catch {
    // Not even its type can be asked for; the encoder's own error tells why.
    return undefined;
  }
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

type Fields = Readonly<Record<string, unknown>>;

function messageFault(schema: DescMessage, message: unknown, path: string, depth: number): string | undefined {
  if (depth > MAX_DEPTH) return `it has more than ${MAX_DEPTH} levels of messages, or one that holds itself`;
  if (typeof message !== "object" || message === null) {
    return at(path, `expected a ${schema.typeName}, got ${shown(message)}`);
  }
  const fields = message as Fields;
  if (fields.$typeName !== undefined && fields.$typeName !== schema.typeName) {
    return at(path, `expected a ${schema.typeName}, got a ${fields.$typeName}`);
  }
  for (const field of schema.fields) {
    const fault = fieldFault(field, fields, path, depth);
    if (fault !== undefined) return fault;
  }
  for (const oneof of schema.oneofs) {
    const fault = caseFault(oneof, fields);
    if (fault !== undefined) return at(join(path, oneof.localName), fault);
  }
  return unknownFault(fields.$unknown, join(path, "$unknown"));
}

function caseFault(oneof: DescOneof, fields: Fields): string | undefined {
  const name = chosenOf(oneof, fields)?.case;
  const names = oneof.fields.map((field) => field.localName);
  if (name === undefined || name === null || names.some((each) => each === name)) return undefined;
  return `it has no case ${shown(name)} (${names.join(", ")})`;
}

function unknownFault(unknown: unknown, place: string): string | undefined {
  if (unknown === undefined) return undefined;
  if (!Array.isArray(unknown)) return at(place, `expected an array, got ${shown(unknown)}`);
  const i = unknown.findIndex((field) => !(field?.data instanceof Uint8Array));
  return i < 0 ? undefined : at(`${place}[${i}]`, "expected an UnknownField, whose data is a Uint8Array");
}

/** What can't be read, because a getter throws, is a fault of that field. */
function fieldFault(field: DescField, fields: Fields, path: string, depth: number): string | undefined {
  const place = join(path, field.localName);
  try {
    return presentFault(field, fields, place, depth);
  } catch (cause) {
    return at(place, `it can't be read: ${reasonOf(cause)}`);
  }
}

function presentFault(field: DescField, fields: Fields, place: string, depth: number): string | undefined {
  if (field.oneof !== undefined) {
    const chosen = chosenOf(field.oneof, fields);
    // Whoever names a case gives its value as well.
    return chosen?.case === field.localName ? valueFault(field, chosen.value, place, depth) : undefined;
  }
  const value = memberOf(fields, field.localName);
  if (value === undefined || value === null || isDefault(field, fields, value)) {
    return isMissing(field) ? at(place, "it is required and not set") : undefined;
  }
  if (field.fieldKind === "list") return listFault(field, value, place, depth);
  if (field.fieldKind === "map") return mapFault(field, value, place, depth);
  return valueFault(field, value, place, depth);
}

/** LEGACY_REQUIRED of google.protobuf.FeatureSet.FieldPresence. */
const REQUIRED = 3;

function isMissing(field: DescField): boolean {
  return (field.presence as number) === REQUIRED;
}

/** A member, also one that a class has as a getter; `hasOwnProperty` and the like are members only if the object has them itself. */
function memberOf(fields: Fields, name: string): unknown {
  return name in Object.prototype && !Object.hasOwn(fields, name) ? undefined : fields[name];
}

function chosenOf(oneof: DescOneof, fields: Fields): { case?: unknown; value?: unknown } | undefined | null {
  return memberOf(fields, oneof.localName) as ReturnType<typeof chosenOf>;
}

/** True for what an unset field shows: protobuf-es keeps the defaults of proto2, and of some editions, on a prototype. */
function isDefault(field: DescField, fields: Fields, value: unknown): boolean {
  if ((field.fieldKind !== "scalar" && field.fieldKind !== "enum") || Object.hasOwn(fields, field.localName))
    return false;
  const defaults = Object.getPrototypeOf(create(field.parent));
  return defaults !== Object.prototype && Object.is(value, defaults[field.localName]);
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
  const entries = Object.entries(value as object);
  if (!isMapField(value, entries.length)) return at(place, `expected a plain object, got ${shown(value)}`);
  for (const [key, each] of entries) {
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
    if (isStruct(field)) return structFault(value, place, depth);
    const wrapped = isBoxed(field) ? field.message.fields[0] : undefined;
    if (wrapped !== undefined) return valueFault(wrapped, value, place, depth);
    return messageFault(field.message, value, place, depth + 1);
  }
  const fault = scalarFault(field.scalar ?? ScalarType.INT32, value);
  return fault === undefined ? undefined : at(place, fault);
}

/** google.protobuf.Struct is a JSON object in protobuf-es, and wrappers of singular fields are what they wrap. */
function isStruct(field: DescField): boolean {
  return field.message?.typeName === "google.protobuf.Struct" && field.parent.typeName !== "google.protobuf.Value";
}

function structFault(value: unknown, place: string, depth: number): string | undefined {
  if (depth > MAX_DEPTH) return at(place, `it has more than ${MAX_DEPTH} levels, or one that holds itself`);
  const entries = Object.entries(value ?? "");
  if (!isMapField(value, entries.length)) return at(place, `expected a JSON object, got ${shown(value)}`);
  for (const [key, each] of entries) {
    const fault = jsonFault(each, `${place}[${JSON.stringify(key)}]`, depth + 1);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function jsonFault(value: unknown, place: string, depth: number): string | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  if (!Array.isArray(value)) return structFault(value, place, depth);
  if (depth > MAX_DEPTH) return at(place, `it has more than ${MAX_DEPTH} levels, or one that holds itself`);
  for (let i = 0; i < value.length; i++) {
    const fault = jsonFault(value[i], `${place}[${i}]`, depth + 1);
    if (fault !== undefined) return fault;
  }
  return undefined;
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

function join(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

function at(path: string, text: string): string {
  return path === "" ? text : `${path}: ${text}`;
}
