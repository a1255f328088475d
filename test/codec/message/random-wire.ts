import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import type { Chance } from "../chance.ts";
import { enumValue } from "./random-init.ts";
import { mapKey, scalarValue } from "./scalar-value.ts";
import { unknownRecord } from "./unknown-fields.ts";
import { bytesOf, group, key, length, varint } from "./wire.ts";

/**
 * A message as no encoder would write it and every decoder must read it: fields in any order and again and again, singular
 * messages to be merged, oneofs overridden, lists packed and not, map entries with parts missing or doubled, unknown fields
 * between, varints longer than needed.
 */
export function randomWire(chance: Chance, desc: DescMessage, depth = 3): Buffer {
  const few = chance.shuffle(desc.fields).slice(0, chance.int(1, 4));
  const records = chance.list(0, 10, () => {
    const fields = chance.odds(0.6) ? few : desc.fields;
    if (fields.length === 0 || chance.odds(0.12)) return unknownRecord(chance, desc);
    return record(chance, chance.pick(fields), depth);
  });
  return bytesOf(...records);
}

function record(chance: Chance, field: DescField, depth: number): Buffer {
  switch (field.fieldKind) {
    case "scalar":
      return scalarRecord(chance, field.number, field.scalar);
    case "enum":
      return bytesOf(fieldKey(chance, field.number, 0), padded(chance, varint(BigInt(enumValue(chance, field.enum)))));
    case "message":
      return messageRecord(chance, field, field.message, depth);
    case "list":
      return field.listKind === "message"
        ? messageRecord(chance, field, field.message, depth)
        : listRecord(chance, field);
    case "map":
      return mapRecord(chance, field, depth);
  }
}

function messageRecord(chance: Chance, field: DescField, desc: DescMessage, depth: number): Buffer {
  const content = depth > 0 ? randomWire(chance, desc, depth - 1) : Buffer.alloc(0);
  const isGroup = field.fieldKind !== "map" && "delimitedEncoding" in field && field.delimitedEncoding;
  if (isGroup) return group(field.number, content);
  return delimited(chance, field.number, content);
}

function listRecord(chance: Chance, field: DescField & { fieldKind: "list"; listKind: "scalar" | "enum" }): Buffer {
  const type = field.listKind === "enum" ? undefined : field.scalar;
  const element = (): Buffer =>
    field.listKind === "enum"
      ? padded(chance, varint(BigInt(enumValue(chance, field.enum))))
      : scalarBytes(chance, field.scalar);
  const isPackable = type !== ScalarType.STRING && type !== ScalarType.BYTES;
  if (isPackable && chance.odds(0.6)) return delimited(chance, field.number, bytesOf(...chance.list(0, 6, element)));
  if (type !== undefined) return scalarRecord(chance, field.number, type);
  return bytesOf(fieldKey(chance, field.number, 0), element());
}

function mapRecord(chance: Chance, field: DescField & { fieldKind: "map" }, depth: number): Buffer {
  const parts = chance.list(0, 3, () => {
    if (chance.odds(0.5)) return keyRecord(chance, field.mapKey);
    if (field.mapKind === "scalar") return scalarRecord(chance, 2, field.scalar);
    if (field.mapKind === "enum") return bytesOf(key(2, 0), varint(BigInt(enumValue(chance, field.enum))));
    return delimited(chance, 2, depth > 0 ? randomWire(chance, field.message, depth - 1) : Buffer.alloc(0));
  });
  if (chance.odds(0.1)) parts.push(bytesOf(key(chance.int(3, 20), 0), varint(5n)));
  if (chance.odds(0.05)) parts.push(group(chance.int(3, 20), bytesOf(key(1, 0), varint(1n))));
  return delimited(chance, field.number, bytesOf(...chance.shuffle(parts)));
}

/** Keys that a map has already, or that a plain object has, come often. */
function keyRecord(chance: Chance, type: ScalarType): Buffer {
  if (type !== ScalarType.STRING) return scalarRecord(chance, 1, type);
  return delimited(chance, 1, Buffer.from(mapKey(chance, type)));
}

function scalarRecord(chance: Chance, number: number, type: ScalarType): Buffer {
  return bytesOf(fieldKey(chance, number, wireTypeOf(type)), scalarBytes(chance, type));
}

/** The wire type of a scalar that is not packed. */
export function wireTypeOf(type: ScalarType): number {
  switch (type) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return 2;
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return 1;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return 5;
    default:
      return 0;
  }
}

function scalarBytes(chance: Chance, type: ScalarType): Buffer {
  const value = scalarValue(chance, type);
  switch (type) {
    case ScalarType.STRING: {
      const bytes = chance.odds(0.03) ? chance.bytes(chance.int(1, 60)) : Buffer.from(value as string);
      return bytesOf(length(bytes.length), bytes);
    }
    case ScalarType.BYTES:
      return bytesOf(length((value as Uint8Array).length), value as Uint8Array);
    case ScalarType.BOOL:
      return padded(chance, varint(chance.pick([0n, 1n, 2n, 128n, 2n ** 32n, 2n ** 63n])));
    default:
      return wireTypeOf(type) === 0
        ? variableNumber(chance, type, value)
        : Buffer.from(chance.bytes(wireTypeOf(type) === 1 ? 8 : 4));
  }
}

function variableNumber(chance: Chance, type: ScalarType, value: unknown): Buffer {
  const number = BigInt(value as number | bigint);
  const isZigzag = type === ScalarType.SINT32 || type === ScalarType.SINT64;
  const wire = isZigzag ? (number << 1n) ^ (number >> 63n) : number;
  // What does not fit into 32 bits loses its upper ones.
  return padded(chance, varint(chance.odds(0.05) ? wire ^ (0x5an << 35n) : wire));
}

function delimited(chance: Chance, number: number, content: Buffer): Buffer {
  return bytesOf(fieldKey(chance, number, 2), padded(chance, length(content.length)), content);
}

function fieldKey(chance: Chance, number: number, wireType: number): Buffer {
  const plain = key(number, wireType);
  return plain.length < 5 ? padded(chance, plain, 5) : plain;
}

/** Rarely a varint with zeros behind, which say nothing. */
function padded(chance: Chance, plain: Buffer, maxBytes = 10): Buffer {
  if (plain.length >= maxBytes || !chance.odds(0.03)) return plain;
  const bytes = Buffer.alloc(chance.int(plain.length + 1, maxBytes), 0x80);
  plain.copy(bytes);
  bytes[plain.length - 1] = (bytes[plain.length - 1] as number) | 0x80;
  bytes[bytes.length - 1] = 0;
  return bytes;
}
