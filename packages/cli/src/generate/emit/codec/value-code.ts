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

/** An expression that reads one value of the field's type, behind its tag; `property` is its type where a cast is needed. */
export function readScalar(field: DescField, property: string): string {
  if (field.scalar === SCALAR.string) return field.utf8Validation ? "reader.string()" : "reader.lenientString()";
  const call = `reader.${scalarCode(field.scalar).read}()`;
  if (field.enum !== undefined) return `${call} as ${property}`;
  return isLongText(field) ? `reader.decimal(${call})` : call;
}

/**
 * An expression that reads a message, behind its tag. One that comes again is merged into what there is: `before` is where that would
 * be.
 */
export function readMessage(scope: CodecScope, field: DescField, before?: string): string {
  const message = messageOf(field);
  const form = messageForm(field);
  const end = isDelimited(field)
    ? `reader.openGroup(${tagOf(field, 3)}, ${objectBytes(message)})`
    : `reader.open(${objectBytes(message)})`;
  if (form === "json") return call(runtime(scope, "decodeJsonObject"), end, before);
  const decode = functionOf(scope, message, "decode");
  if (form !== "boxed" || before === undefined) return call(decode, end, before) + (form === "boxed" ? ".value" : "");
  const into = `${createOf(scope)}(${schemaOf(scope, message)}, { value: ${before} })`;
  return `${call(decode, end, `${before} === undefined ? undefined : ${into}`)}.value`;
}

function call(decode: string, end: string, into: string | undefined): string {
  return `${decode}(reader, ${end}${into === undefined ? "" : `, ${into}`})`;
}

/** The local name of protobuf-es's `create`. */
export function createOf(scope: CodecScope): string {
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
  "countKeys",
  "decodeJsonObject",
  "encodeJsonObject",
  "endMessage",
  "endPacked",
  "entryOf",
  "fileDescriptors",
  "messageCodec",
  "putEntry",
  "refuseOther",
  "room",
  "takeKeys",
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
