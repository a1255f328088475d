import { type DescEnum, type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import type { Random } from "bowline/testing";

/** How likely a field is set, by the number of messages around its own. Deeper ones have the fields that they must have. */
const LIKELIHOOD: readonly number[] = [0.9, 0.3, 0.1];

/** A message of any type, with values of every size in its fields. */
export function randomMessage(schema: DescMessage, random: Random): Message {
  return fill(schema, random, 0).message;
}

function fill(schema: DescMessage, random: Random, depth: number): ReflectMessage {
  const message = reflect(schema);
  const isLikely = (): boolean => random() < (LIKELIHOOD[depth] ?? 0);
  for (const member of schema.members) {
    if (member.kind !== "oneof") {
      if (isLikely() || member.presence === FeatureSet_FieldPresence.LEGACY_REQUIRED)
        set(message, member, random, depth);
    } else if (isLikely() || schema.typeName === "google.protobuf.Value") {
      // A Value without a kind is no Value; without messages in it, it comes to an end.
      const ends = member.fields.filter((field) => field.fieldKind !== "message");
      set(message, pick(depth < LIKELIHOOD.length || ends.length === 0 ? member.fields : ends, random), random, depth);
    }
  }
  return message;
}

function set(message: ReflectMessage, field: DescField, random: Random, depth: number): void {
  const size = 1 + Math.floor(random() * 3);
  if (field.fieldKind === "list") {
    const list = message.get(field);
    for (let i = 0; i < size; i++) list.add(element(field, field.listKind, random, depth));
  } else if (field.fieldKind === "map") {
    const map = message.get(field);
    for (let i = 0; i < size; i++) {
      map.set(mapKey(field.mapKey, random), element(field, field.mapKind, random, depth));
    }
  } else {
    message.set(field, element(field, field.fieldKind, random, depth));
  }
}

/** A value of a field, or an item of its list or map. */
function element(field: DescField, kind: "scalar" | "enum" | "message", random: Random, depth: number): unknown {
  if (kind === "message" && field.message !== undefined) return fill(field.message, random, depth + 1);
  if (kind === "enum" && field.enum !== undefined) return enumNumber(field.enum, random);
  return scalar(field.scalar ?? ScalarType.STRING, random);
}

function mapKey(type: ScalarType, random: Random): string | number | bigint | boolean {
  return type === ScalarType.STRING ? text(random) : (scalar(type, random) as number | bigint | boolean);
}

function enumNumber(type: DescEnum, random: Random): number {
  return type.open && random() < 0.1 ? 123_456 : pick(type.values, random).number;
}

function scalar(type: ScalarType, random: Random): unknown {
  switch (type) {
    case ScalarType.DOUBLE:
      return pick([0, -0, 1.5, random() * 1e300, -random(), Number.POSITIVE_INFINITY], random);
    case ScalarType.FLOAT:
      return Math.fround(pick([0, -0, 1.5, random() * 1e30, -random(), Number.NEGATIVE_INFINITY], random));
    case ScalarType.BOOL:
      return random() < 0.5;
    case ScalarType.STRING:
      return text(random);
    case ScalarType.BYTES:
      return Uint8Array.from({ length: length(random) }, () => random() * 256);
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return Number(BigInt.asUintN(32, bits(random)));
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return Number(BigInt.asIntN(32, bits(random)));
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return BigInt.asUintN(64, bits(random));
    default:
      return BigInt.asIntN(64, bits(random));
  }
}

/** 64 bits of which the upper ones, by chance, are all clear or all set: varints of each length. */
function bits(random: Random): bigint {
  const all = (BigInt(Math.floor(random() * 2 ** 32)) << 32n) | BigInt(Math.floor(random() * 2 ** 32));
  const short = all >> BigInt(Math.floor(random() * 65));
  return random() < 0.3 ? ~short : short;
}

const LETTERS: readonly string[] = ["a", "Z", "7", " ", "\n", '"', "\u0000", "é", "ß", "漢", "😀", "\uffff"];

function text(random: Random): string {
  return Array.from({ length: length(random) }, () =>
    pick(LETTERS.slice(0, random() < 0.5 ? 3 : undefined), random),
  ).join("");
}

/** Mostly short, now and then so long that its length takes two octets. */
function length(random: Random): number {
  return Math.floor(random() ** 4 * 200);
}

function pick<T>(values: readonly T[], random: Random): T {
  return values[Math.floor(random() * values.length)];
}
