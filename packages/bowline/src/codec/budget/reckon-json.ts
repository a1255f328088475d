import { type DescExtension, type DescField, type DescMessage, type Registry, ScalarType } from "@bufbuild/protobuf";
import { hasCustomJsonRepresentation, isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { BIGINT_BYTES, DecodeBudgetError, TEXT_BYTES } from "../wire/number-reader.ts";
import { ARRAY_BYTES, ELEMENT_BYTES, ENTRY_BYTES, LIST_ROOM_BYTES, UNKNOWN_FIELD_BYTES } from "../wire/reader.ts";
import { hasPresence, LONGS, objectBytes } from "./object-bytes.ts";

/** What JSON.parse makes of a bracket, with the room that it leaves. */
const OBJECT_BYTES = 64;
const LIST_BYTES = 48;
/** A property or an element; names of properties are mostly known already. */
const MEMBER_BYTES = 16;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COSTS: Uint8Array = new Uint8Array(256);
COSTS[0x7b] = OBJECT_BYTES;
COSTS[0x5b] = LIST_BYTES;
COSTS[0x2c] = MEMBER_BYTES;
COSTS[0x3a] = MEMBER_BYTES;

/**
 * Counts what the values take that JSON.parse makes of this text.
 *
 * @throws DecodeBudgetError when that is more than `budgetBytes`
 */
export function reckonJsonText(text: Buffer, budgetBytes: number): void {
  let rest = budgetBytes - text.length;
  let isText = false;
  for (let at = 0; at < text.length; at++) {
    const byte = text[at];
    if (byte === QUOTE) {
      isText = !isText;
      if (isText) rest -= TEXT_BYTES;
    } else if (!isText) rest -= COSTS[byte];
    else if (byte === BACKSLASH) at++;
    if (rest < 0) throw new DecodeBudgetError();
  }
}

/**
 * Counts what a message takes that protobuf-es makes of this JSON; `registry` has the types of Any and the extensions.
 *
 * @throws DecodeBudgetError when that is more than `budgetBytes`
 */
export function reckonJson(schema: DescMessage, json: unknown, registry: Registry, budgetBytes: number): void {
  new JsonBudget(registry, budgetBytes).message(schema, json);
}

/** Levels that are looked at: deeper ones are refused by whoever reads them. */
const MAX_DEPTH = 100;
/** A value of a Struct or a ListValue: a message with a oneof. */
const VALUE_BYTES = 128;
/** A Struct or a ListValue in it, with a map or a list. */
const HOLDER_BYTES = 160;

class JsonBudget {
  readonly #registry: Registry;
  #rest: number;
  #depth = 0;

  constructor(registry: Registry, budgetBytes: number) {
    this.#registry = registry;
    this.#rest = budgetBytes;
  }

  message(message: DescMessage, json: unknown): void {
    if (this.#depth === MAX_DEPTH) return;
    this.#depth++;
    if (VALUES.test(message.typeName)) this.#values(json);
    else if (isWrapperDesc(message)) this.#wrapper(message, json);
    else if (typeof json === "object" && json !== null) this.#object(message, json);
    else this.#text(message, json);
    this.#depth--;
  }

  #object(message: DescMessage, json: object): void {
    if (message.typeName === "google.protobuf.Any") this.#any(message, json);
    else this.#fields(message, json);
  }

  #fields(message: DescMessage, json: object): void {
    const fields = fieldsOf(message);
    let set = 0;
    for (const [name, value] of Object.entries(json)) {
      const field = fields.get(name);
      if (field === undefined) this.#extension(message, name, value);
      else {
        this.#field(field, value);
        if (hasPresence(field)) set++;
      }
    }
    this.#spend(objectBytes(message, set));
  }

  #field(field: DescField | DescExtension, value: unknown): void {
    if (field.fieldKind === "list" && Array.isArray(value)) this.#list(field, value);
    else if (field.fieldKind === "map" && typeof value === "object" && value !== null) {
      for (const [key, item] of Object.entries(value)) {
        this.#spend(ENTRY_BYTES + textBytes(key));
        this.#value(field, item);
      }
    } else this.#value(field, value);
  }

  #list(field: DescField | DescExtension, items: readonly unknown[]): void {
    if (items.length > 0) this.#spend(LIST_ROOM_BYTES + ELEMENT_BYTES * items.length);
    for (const item of items) this.#value(field, item);
  }

  #value(field: DescField | DescExtension, value: unknown): void {
    if (field.message !== undefined) this.message(field.message, value);
    else if (field.scalar === ScalarType.STRING) this.#spend(textBytes(value));
    else if (field.scalar === ScalarType.BYTES) this.#spend(ARRAY_BYTES + textBytes(value));
    else if (LONGS.has(field.scalar)) this.#spend(BIGINT_BYTES);
  }

  /** It is read as a field is, and then kept as unknown fields, one for each element. */
  #extension(message: DescMessage, name: string, value: unknown): void {
    if (!name.startsWith("[") || !name.endsWith("]")) return;
    const extension = this.#registry.getExtension(name.slice(1, -1));
    if (extension?.extendee.typeName !== message.typeName) return;
    this.#field(extension, value);
    this.#spend(UNKNOWN_FIELD_BYTES * (Array.isArray(value) ? value.length : 1));
  }

  /** What is in it is made as a message, and then encoded. */
  #any(any: DescMessage, json: object): void {
    this.#spend(objectBytes(any, 0) + ARRAY_BYTES);
    const { "@type": url, value } = json as { "@type"?: unknown; value?: unknown };
    const inner = typeof url === "string" ? this.#registry.getMessage(url.slice(url.lastIndexOf("/") + 1)) : undefined;
    if (inner === undefined) return;
    this.message(inner, hasCustomJsonRepresentation(inner) && Object.hasOwn(json, "value") ? value : json);
  }

  #wrapper(message: DescMessage, json: unknown): void {
    this.#spend(objectBytes(message, 0));
    this.#value(message.fields[0], json);
  }

  /** Timestamp, Duration, FieldMask, or no message at all. */
  #text(message: DescMessage, json: unknown): void {
    this.#spend(objectBytes(message, 0));
    if (message.typeName !== "google.protobuf.FieldMask" || typeof json !== "string") return;
    const paths = json.split(",", this.#rest / TEXT_BYTES).length;
    this.#spend(LIST_ROOM_BYTES + (TEXT_BYTES + ELEMENT_BYTES) * paths);
  }

  #values(json: unknown): void {
    this.#spend(VALUE_BYTES + textBytes(json));
    if (typeof json !== "object" || json === null || this.#depth === MAX_DEPTH) return;
    this.#depth++;
    const items = Object.values(json);
    this.#spend(HOLDER_BYTES + (items.length === 0 ? 0 : LIST_ROOM_BYTES));
    for (const item of items) this.#values(item);
    this.#depth--;
  }

  #spend(bytes: number): void {
    this.#rest -= bytes;
    if (this.#rest < 0) throw new DecodeBudgetError();
  }
}

function textBytes(json: unknown): number {
  return typeof json === "string" ? TEXT_BYTES + json.length : 0;
}

/** They look like no message in JSON. */
const VALUES = /^google\.protobuf\.(ListValue|Struct|Value)$/;

const known: WeakMap<DescMessage, ReadonlyMap<string, DescField>> = new WeakMap();

/** By both names that ProtoJSON takes. */
function fieldsOf(message: DescMessage): ReadonlyMap<string, DescField> {
  let fields = known.get(message);
  if (fields === undefined) {
    fields = new Map(message.fields.flatMap((field) => [field.jsonName, field.name].map((name) => [name, field])));
    known.set(message, fields);
  }
  return fields;
}
