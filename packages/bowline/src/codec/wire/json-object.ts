import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { isMapField, putEntry } from "./map-entries.ts";
import type { Reader } from "./reader.ts";
import { boundText } from "./write-message.ts";
import { notA, writeDouble } from "./write-scalar.ts";
import { endMessage, writeText } from "./write-text.ts";

/*
 * google.protobuf.Struct as protobuf-es holds it in fields: a JSON object (protobuf.dev/reference/protobuf/google.protobuf).
 * Struct { map<string, Value> fields = 1; }   ListValue { repeated Value values = 1; }
 * Value { oneof kind { NullValue null_value = 1; double number_value = 2; string string_value = 3; bool bool_value = 4;
 *                      Struct struct_value = 5; ListValue list_value = 6; } }
 */

/** The most bytes that `encodeJsonObject` writes. */
export function boundJsonObject(object: JsonObject): number {
  let bytes = 0;
  for (const key of keysOfJson(object)) bytes += 14 + boundText(key) + boundValue(object[key]);
  return bytes;
}

function boundValue(value: JsonValue | undefined): number {
  if (typeof value === "string") return 1 + boundText(value);
  if (Array.isArray(value)) return boundList(value);
  return typeof value === "object" && value !== null ? 6 + boundJsonObject(value) : 9;
}

function boundList(list: readonly JsonValue[]): number {
  let bytes = 6;
  // Holes are written, too.
  for (const each of list) bytes += 6 + boundValue(each);
  return bytes;
}

/** Writes the content of a Struct. What JSON does not know (undefined, functions) becomes an empty Value. */
export function encodeJsonObject(object: JsonObject, out: Buffer, at: number): number {
  let to = at;
  for (const key of keysOfJson(object)) {
    out[to] = 10;
    out[to + 2] = 10;
    const valueAt = writeText(out, to + 3, key);
    out[valueAt] = 18;
    to = endMessage(out, to + 1, endMessage(out, valueAt + 1, encodeValue(object[key], out, valueAt + 2)));
  }
  return to;
}

/** A Map or a Date, which JSON does not know, would be sent as an empty object. */
function keysOfJson(object: JsonObject): string[] {
  const keys = Object.keys(object ?? "");
  if (!isMapField(object, keys.length)) throw notA("JSON object", object);
  return keys;
}

function encodeValue(value: JsonValue | undefined, out: Buffer, at: number): number {
  switch (typeof value) {
    case "string":
      out[at] = 26;
      return writeText(out, at + 1, value);
    case "number":
      out[at] = 17;
      return writeDouble(out, at + 1, value);
    case "boolean":
      out[at] = 32;
      out[at + 1] = value ? 1 : 0;
      return at + 2;
    case "object":
      return encodeObject(value, out, at);
    default:
      return at;
  }
}

function encodeObject(value: JsonObject | readonly JsonValue[] | null, out: Buffer, at: number): number {
  if (value === null) {
    out[at] = 8;
    out[at + 1] = 0;
    return at + 2;
  }
  if (!Array.isArray(value)) {
    out[at] = 42;
    return endMessage(out, at + 1, encodeJsonObject(value as JsonObject, out, at + 2));
  }
  out[at] = 50;
  let to = at + 2;
  for (const each of value) {
    out[to] = 10;
    to = endMessage(out, to + 1, encodeValue(each, out, to + 2));
  }
  return endMessage(out, at + 1, to);
}

/**
 * Reads the content of a Struct in `[start, end)`; one that comes again goes on with `into`. Unknown fields are dropped, for a JSON object
 * has no place for them.
 */
export function decodeJsonObject(reader: Reader, start: number, end: number, into: JsonObject = {}): JsonObject {
  let at = start;
  let top = -1;
  while (at < end || reader.goesOn(at, end)) {
    at = reader.tag(at);
    if (reader.tagRead !== 10) at = reader.skip(at);
    else {
      at = reader.len(at);
      top = readEntry(reader, reader.openEntry(), at, into, top);
    }
  }
  return into;
}

/** Gives back the greatest index among the keys: see `raiseTop`. */
function readEntry(reader: Reader, start: number, end: number, into: JsonObject, top: number): number {
  let key = "";
  let value: JsonValue = null;
  let at = start;
  while (reader.hasMore(at, end)) {
    at = reader.tag(at);
    switch (reader.tagRead) {
      case 10:
        at = reader.len(at);
        key = reader.key(at);
        break;
      case 18:
        at = reader.len(at);
        value = readValue(reader, reader.open(VALUE_BYTES), at, value);
        break;
      default:
        at = reader.skip(at);
    }
  }
  return putEntry(reader, into, key, value, top);
}

/** A property and what it holds, about. */
const VALUE_BYTES = 32;

function readValue(reader: Reader, start: number, end: number, before: JsonValue): JsonValue {
  let value = before;
  let at = start;
  while (at < end || reader.goesOn(at, end)) {
    at = reader.tag(at);
    switch (reader.tagRead) {
      case 8:
        at = reader.varint(at);
        value = null;
        break;
      case 17:
        at = reader.i64(at);
        value = reader.double(at);
        break;
      case 26:
        at = reader.len(at);
        value = reader.string(at);
        break;
      case 32:
        at = reader.varint(at);
        value = reader.bool();
        break;
      case 42:
        at = reader.len(at);
        value = decodeJsonObject(reader, reader.open(VALUE_BYTES), at, isObject(value) ? value : {});
        break;
      case 50:
        at = reader.len(at);
        value = readList(reader, reader.open(VALUE_BYTES), at, Array.isArray(value) ? value : []);
        break;
      default:
        at = reader.skip(at);
    }
  }
  return value;
}

function readList(reader: Reader, start: number, end: number, into: JsonValue[]): JsonValue[] {
  let at = start;
  while (at < end || reader.goesOn(at, end)) {
    at = reader.tag(at);
    if (reader.tagRead !== 10) at = reader.skip(at);
    else {
      at = reader.len(at);
      if (into.push(readValue(reader, reader.open(VALUE_BYTES), at, null)) === 1) reader.openList();
    }
  }
  return into;
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
