import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { BIGINT_BYTES, DecodeBudgetError, TEXT_BYTES } from "../wire/number-reader.ts";
import { ARRAY_BYTES, ELEMENT_BYTES, ENTRY_BYTES } from "../wire/reader.ts";
import { objectBytes } from "./object-bytes.ts";

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
 * Counts what a message takes that is made of this JSON. Texts are not counted: the message has the same ones.
 *
 * @throws DecodeBudgetError when that is more than `budgetBytes`
 */
export function reckonJson(schema: DescMessage, json: unknown, budgetBytes: number): void {
  new JsonBudget(budgetBytes).message(schema, json);
}

/** Levels that are looked at: deeper ones are refused by whoever reads them. */
const MAX_DEPTH = 100;
/** They look like no message in JSON; what they hold is made of their own types. */
const FREE = /^google\.protobuf\.(Any|ListValue|Struct|Value)$/;

class JsonBudget {
  #rest: number;
  #depth = 0;

  constructor(budgetBytes: number) {
    this.#rest = budgetBytes;
  }

  message(message: DescMessage, json: unknown): void {
    const bytes = objectBytes(message);
    this.#spend(bytes);
    if (typeof json !== "object" || json === null || this.#depth === MAX_DEPTH) return;
    this.#depth++;
    if (FREE.test(message.typeName)) this.#anything(json, bytes + 2 * ENTRY_BYTES);
    else this.#fields(message, json);
    this.#depth--;
  }

  #fields(message: DescMessage, json: object): void {
    const fields = fieldsOf(message);
    for (const [name, value] of Object.entries(json)) {
      const field = fields.get(name);
      if (field !== undefined) this.#field(field, value);
    }
  }

  #field(field: DescField, value: unknown): void {
    const isMany = field.fieldKind === "list" || field.fieldKind === "map";
    if (!isMany || typeof value !== "object" || value === null) return this.#value(field, value);
    const each = field.fieldKind === "list" ? ELEMENT_BYTES : ENTRY_BYTES;
    for (const item of Object.values(value)) {
      this.#spend(each);
      this.#value(field, item);
    }
  }

  #value(field: DescField, value: unknown): void {
    if (field.message !== undefined) this.message(field.message, value);
    else if (field.scalar !== ScalarType.STRING && typeof value === "string") {
      this.#spend(field.scalar === ScalarType.BYTES ? ARRAY_BYTES + value.length : BIGINT_BYTES);
    }
  }

  #anything(json: object, bytes: number): void {
    if (this.#depth === MAX_DEPTH) return;
    this.#depth++;
    for (const item of Object.values(json)) {
      this.#spend(bytes);
      if (typeof item === "object" && item !== null) this.#anything(item, bytes);
    }
    this.#depth--;
  }

  #spend(bytes: number): void {
    this.#rest -= bytes;
    if (this.#rest < 0) throw new DecodeBudgetError();
  }
}

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
