import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { OBJECT_MEMBERS } from "../code-names.ts";
import { isLong, SCALAR, scalarCode } from "./scalar-code.ts";

/** Numbers of google.protobuf.Edition and google.protobuf.FeatureSet.FieldPresence. */
const EDITION = { proto2: 998, proto3: 999 } as const;
const PRESENCE = { implicit: 2, required: 3 } as const;

/** How the value of a message field is held in TypeScript. */
export type MessageForm = "message" | "boxed" | "json";

/**
 * `boxed`: wrappers such as StringValue are what they wrap when they are singular and in no oneof. `json`: Struct is a JSON object, but
 * not within Value. The rules are those of protobuf-es.
 */
export function messageForm(field: DescField): MessageForm {
  const name = field.message?.typeName ?? "";
  if (name === "google.protobuf.Struct" && field.parent.typeName !== "google.protobuf.Value") return "json";
  const isSingular = field.fieldKind === "message" && field.oneof === undefined;
  return isSingular && WRAPPERS.test(name) ? "boxed" : "message";
}

const WRAPPERS = /^google\.protobuf\.(Double|Float|Int64|UInt64|Int32|UInt32|Bool|String|Bytes)Value$/;

/** True for groups and delimited fields: they end with a tag. */
export function isDelimited(field: DescField): boolean {
  if (field.fieldKind === "list") return field.listKind === "message" && field.delimitedEncoding;
  return field.fieldKind === "message" && field.delimitedEncoding;
}

/** Tag of the field as it is written; `packed` lists have that of bytes. */
export function tagOf(field: DescField, wireType: number): number {
  return field.number * 8 + wireType;
}

/** Wire type of one value of the field. */
export function wireTypeOf(field: DescField): number {
  if (field.fieldKind === "map") return 2;
  if (field.message !== undefined) return isDelimited(field) ? 3 : 2;
  return scalarCode(field.scalar).wireType;
}

/** How many bytes a tag takes. */
export function tagBytes(tag: number): number {
  return [0x80, 0x4000, 0x20_0000, 0x1000_0000].filter((limit) => tag >= limit).length + 1;
}

/** True when protobuf-es keeps the fields' defaults on a prototype, so that a default is no sign that a field is set. */
export function hasPrototype(message: DescMessage): boolean {
  const edition: number = message.file.edition;
  if (edition === EDITION.proto3) return false;
  if (edition === EDITION.proto2) return true;
  const tracked = (field: DescField): boolean =>
    (field.presence as number) !== PRESENCE.implicit && field.fieldKind !== "message" && field.oneof === undefined;
  return message.fields.some(tracked);
}

/** True when a field is written only if it is not zero. */
export function isImplicit(field: DescField): boolean {
  return (field.presence as number) === PRESENCE.implicit;
}

/** True when a message without the field is refused (proto2's `required`). */
export function isRequired(field: DescField): boolean {
  return (field.presence as number) === PRESENCE.required;
}

/** What a field without a value reads as, as an expression. */
export function zeroOf(field: DescField): string {
  if (field.enum !== undefined) return String(field.enum.values[0].number);
  if (isLongText(field)) return '"0"';
  return scalarCode(field.scalar).zero;
}

/** The value that an unset field shows because it is on the prototype; undefined when it can't be compared with `===`. */
export function shownDefault(field: DescField): string | undefined {
  const value = field.fieldKind === "scalar" || field.fieldKind === "enum" ? field.getDefaultValue() : undefined;
  if (value === undefined) return (field.scalar as number) === SCALAR.bytes ? undefined : zeroOf(field);
  if (typeof value === "bigint") return isLongText(field) ? JSON.stringify(String(value)) : `${value}n`;
  if (typeof value === "object" || Number.isNaN(value)) return undefined;
  return typeof value === "string" ? textLiteral(value) : String(value);
}

/** What looks like a template's placeholder is no mistake in a .proto's default. */
function textLiteral(text: string): string {
  return JSON.stringify(text).replaceAll("${", "\\u0024{");
}

/** True for 64-bit integers that `jstype = JS_STRING` makes text. */
export function isLongText(field: DescField): boolean {
  const holdsText = (field.fieldKind === "scalar" || field.fieldKind === "list") && "longAsString" in field;
  return holdsText && field.longAsString === true && isLong(field.scalar);
}

/** An expression for a member of the message that it has itself, or as a default. */
export function propertyOf(localName: string): string {
  return /^\d/.test(localName) ? `message[${localName}]` : `message.${localName}`;
}

/** An expression for a member of the message. Names that every object has stand for a value only if the message has them itself. */
export function memberValue(localName: string): string {
  if (!OBJECT_MEMBERS.has(localName)) return propertyOf(localName);
  return `(Object.hasOwn(message, ${JSON.stringify(localName)}) ? ${propertyOf(localName)} : undefined)`;
}

/** An empty Uint8Array. */
export const EMPTY_BYTES = 104;
/** A number in a list. */
export const ELEMENT_BYTES = 8;

/** What an object of this type takes in memory without what its fields hold, about. */
export function objectBytes(message: DescMessage): number {
  let bytes = 32;
  for (const member of message.members) {
    bytes += 8;
    if (member.kind === "oneof") bytes += 40;
    else if (member.fieldKind === "list") bytes += 32;
    else if (member.fieldKind === "map") bytes += 56;
    else if ((member.scalar as number) === SCALAR.bytes && isImplicit(member)) bytes += EMPTY_BYTES;
  }
  return bytes;
}
