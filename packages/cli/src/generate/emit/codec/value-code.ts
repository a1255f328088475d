import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { type CodecScope, functionOf, RUNTIME, runtime, schemaOf } from "./codec-scope.ts";
import { isDelimited, isLongText, messageForm, objectBytes, tagBytes, tagOf } from "./field-code.ts";
import { SCALAR, scalarCode } from "./scalar-code.ts";

/** Lines that write a tag at `to` and move it. */
export function writeTag(scope: CodecScope, tag: number): string[] {
  if (tagBytes(tag) > 2) return [`to = ${runtime(scope, "writeVarint")}(out, to, ${tag});`];
  if (tag < 128) return [`out[to++] = ${tag};`];
  return [`out[to++] = ${(tag & 127) | 128};`, `out[to++] = ${tag >> 7};`];
}

/** Lines that write one value of the field with its tag at `to` and move it. */
export function writeValue(scope: CodecScope, field: DescField, value: string): string[] {
  if (field.message === undefined) {
    const { write, wireType } = scalarCode(field.scalar);
    return [...writeTag(scope, tagOf(field, wireType)), `to = ${runtime(scope, write)}(out, to, ${value});`];
  }
  if (isDelimited(field)) {
    return [
      ...writeTag(scope, tagOf(field, 3)),
      `to = ${encodeCall(scope, field, value, "to")};`,
      ...writeTag(scope, tagOf(field, 4)),
      `${runtime(scope, "room")}(out, to, 0);`,
    ];
  }
  return [...writeTag(scope, tagOf(field, 2)), `to = ${writeSized(scope, field, value, "to")};`];
}

/** An expression that writes a message behind its length and gives the position behind it. */
export function writeSized(scope: CodecScope, field: DescField, value: string, at: string): string {
  return `${runtime(scope, "endMessage")}(out, ${at}, ${encodeCall(scope, field, value, `${at} + 1`)})`;
}

function encodeCall(scope: CodecScope, field: DescField, value: string, at: string): string {
  const form = messageForm(field);
  if (form === "json") return `${runtime(scope, "encodeJsonObject")}(${value}, out, ${at})`;
  const given = form === "boxed" ? `{ value: ${value} }` : value;
  return `${functionOf(scope, messageOf(field), "encode")}(${given}, out, ${at})`;
}

/** An expression for the most bytes of one message without tag and length. */
export function boundMessage(scope: CodecScope, field: DescField, value: string): string {
  const form = messageForm(field);
  if (form === "json") return `${runtime(scope, "boundJsonObject")}(${value})`;
  return `${functionOf(scope, messageOf(field), "bound")}(${form === "boxed" ? `{ value: ${value} }` : value})`;
}

/** Methods of the reader that take where a value begins and return where it ends, by wire type. */
const WIRE = { 0: "varint", 1: "i64", 2: "len", 5: "i32" } as const;

/** A statement that does something with a value, which is given as an expression. */
export type Use = (value: string) => string;

/** Lines that read one value of the field's type at `at` and move it; `property` is its type where a cast is needed. */
export function readScalar(field: DescField, property: string, use: Use): string[] {
  const { read, wireType } = scalarCode(field.scalar);
  const isLenient = field.scalar === SCALAR.string && !field.utf8Validation;
  const value = readCall(isLenient ? "lenientString" : read, wireType);
  const cast = field.enum === undefined ? value : `${value} as ${property}`;
  return [readTo(wireType), use(isLongText(field) ? `reader.decimal(${cast})` : cast)];
}

/** Lines that read the key of an entry. */
export function readKey(field: DescField & { fieldKind: "map" }, use: Use): string[] {
  const { read, wireType } = scalarCode(field.mapKey);
  if (field.mapKey !== SCALAR.string) return [readTo(wireType), use(readCall(read, wireType))];
  return [readTo(2), use(field.utf8Validation ? "reader.key(at)" : "reader.lenientString(at)")];
}

function readTo(wireType: keyof typeof WIRE): string {
  return `at = reader.${WIRE[wireType]}(at);`;
}

/** Varints are held by the reader, other values lie before `at`. */
function readCall(name: string, wireType: keyof typeof WIRE): string {
  return `reader.${name}(${wireType === 0 ? "" : "at"})`;
}

/**
 * Lines that read a message at `at` and move it. One that comes again is merged into what there is: `before` is where that would be.
 */
export function readMessage(scope: CodecScope, field: DescField, use: Use, before?: string): string[] {
  const bytes = objectBytes(messageOf(field));
  if (!isDelimited(field))
    return ["at = reader.len(at);", use(readAs(scope, field, `reader.open(${bytes}), at`, before))];
  const groupEnd = -(tagOf(field, 3) + 1);
  const value = readAs(scope, field, `reader.openGroup(at, ${bytes}), ${groupEnd}`, before);
  return [use(value), "at = reader.position;"];
}

/** An expression for a message without fields: what is read of no bytes. */
export function readEmpty(scope: CodecScope, field: DescField): string {
  return readAs(scope, field, `reader.openGroup(at, ${objectBytes(messageOf(field))}), at`, undefined);
}

function readAs(scope: CodecScope, field: DescField, place: string, before: string | undefined): string {
  const message = messageOf(field);
  const form = messageForm(field);
  if (form === "json") return call(runtime(scope, "decodeJsonObject"), place, before);
  const decode = functionOf(scope, message, "decode");
  if (form !== "boxed" || before === undefined) return call(decode, place, before) + (form === "boxed" ? ".value" : "");
  const into = `${createOf(scope)}(${schemaOf(scope, message)}, { value: ${before} })`;
  return `${call(decode, place, `${before} === undefined ? undefined : ${into}`)}.value`;
}

function call(decode: string, place: string, into: string | undefined): string {
  return `${decode}(reader, ${place}${into === undefined ? "" : `, ${into}`})`;
}

/** The local name of protobuf-es's `create`. */
function createOf(scope: CodecScope): string {
  return scope.source.value({ name: "create", from: PROTOBUF });
}

const PROTOBUF = "@bufbuild/protobuf";

/** Gives what a field's code may import its local name, before names within functions are given. */
export function reserveNames(scope: CodecScope, field: DescField): void {
  const { message } = field;
  if (message === undefined || messageForm(field) === "json") return;
  const schema = scope.foreign.schema(message);
  scope.source.reserve(schema.from, [schema.name]);
  if (scope.own.has(message)) return;
  const { from, names } = scope.other(message);
  scope.source.reserve(from, [names.bound, names.encode, names.decode]);
}

/** All that generated code may import of the runtime. */
export const RUNTIME_NAMES: readonly string[] = [
  "CallOptions",
  "Codec",
  "Encodable",
  "MessageInit",
  "Reader",
  "ServerContext",
  "Service",
  "blankMessage",
  "booleanKey",
  "boundBytes",
  "boundBytesList",
  "boundJsonObject",
  "boundText",
  "boundTexts",
  "boundUnknown",
  "boundVarints",
  "decodeJsonObject",
  "encodeJsonObject",
  "endMessage",
  "endPacked",
  "entryOf",
  "fileDescriptors",
  "isPlainKey",
  "keysOf",
  "listOf",
  "messageCodec",
  "putEntry",
  "raiseTop",
  "refuseCase",
  "refuseOther",
  "room",
  "unset",
  "varintBytes",
  "wholeKey",
  "writeBool",
  "writeBytes",
  "writeDouble",
  "writeFixed32",
  "writeFixed64",
  "writeFloat",
  "writeInt32",
  "writeInt64",
  "writeSfixed32",
  "writeSfixed64",
  "writeSint32",
  "writeSint64",
  "writeText",
  "writeUint32",
  "writeUint64",
  "writeUnknown",
  "writeVarint",
];

/** Gives the runtime's names their places before any import does. */
export function reserveRuntime(scope: CodecScope): void {
  scope.source.reserve(RUNTIME, RUNTIME_NAMES);
  scope.source.reserve(PROTOBUF, ["UnknownField", "create"]);
}

function messageOf(field: DescField): DescMessage {
  if (field.message === undefined) throw new TypeError(`${field} is no message field`);
  return field.message;
}
