import type { DescField, DescMessage, ScalarType } from "@bufbuild/protobuf";
import { wireTypeOf } from "./random-wire.ts";

/**
 * What is to be expected of a decoder.
 *
 * - `sound` the wire is well-formed: what protobuf-es makes of it counts (it may still refuse a string)
 * - `sound-but-lossy` the same, but a closed enum has a value that it does not know: protobuf-es 2.17 forgets that value when the
 *   same message has other unknown fields, so these are left out of the comparison
 * - `broken` it must be refused, also where protobuf-es reads beyond the end of a part
 * - `foreign` a field came with a wire type that is not its own, or a varint is longer than any number: protobuf-es misreads
 *   the first and its limits differ in the second, so only self-consistency is asked for
 */
export type Verdict = "sound" | "sound-but-lossy" | "broken" | "foreign";

/** Judges bytes as a message of this type by the wire format's rules alone. */
export function wireVerdict(desc: DescMessage, bytes: Uint8Array): Verdict {
  const walk = new Walk(bytes);
  try {
    walk.message(desc, bytes.length);
  } catch (error) {
    if (error === BROKEN) return walk.isForeign && walk.isLenient ? "foreign" : "broken";
    throw error;
  }
  if (walk.isForeign) return "foreign";
  return walk.hasUnknownEnumValue ? "sound-but-lossy" : "sound";
}

const BROKEN = new Error("broken");

class Walk {
  isForeign = false;
  /** Set where decoders may go on in different ways: what follows can't be judged. */
  isLenient = false;
  hasUnknownEnumValue = false;
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  message(desc: DescMessage, end: number): void {
    while (this.#at < end) this.#field(desc, this.#key(end), end);
  }

  #field(desc: DescMessage, key: Key, end: number): void {
    const field = desc.fields.find((each) => each.number === key.number);
    if (field === undefined) this.#skip(key, end);
    else if (isPacked(field, key.wireType)) this.#packed(field, end);
    else if (key.wireType !== expectedWireType(field)) this.#foreign(key, end);
    else this.#known(field, key, end);
  }

  #known(field: DescField, key: Key, end: number): void {
    const desc = field.fieldKind === "map" ? undefined : "message" in field ? field.message : undefined;
    if (desc !== undefined && key.wireType === 3) this.#group(desc, key.number, end);
    else if (desc !== undefined) this.message(desc, this.#length(end));
    else if (field.fieldKind === "map") this.#entry(field, this.#length(end));
    else if (field.fieldKind === "enum" && !field.enum.open) this.#closedEnum(field, end);
    else this.#skip(key, end);
  }

  #closedEnum(field: DescField & { fieldKind: "enum" }, end: number): void {
    const value = Number(BigInt.asIntN(32, this.#varint(end)));
    if (!field.enum.values.some((each) => each.number === value)) this.hasUnknownEnumValue = true;
  }

  #group(desc: DescMessage, number: number, end: number): void {
    for (;;) {
      const key = this.#key(end);
      if (key.wireType === 4) {
        if (key.number !== number) throw BROKEN;
        return;
      }
      this.#field(desc, key, end);
    }
  }

  #entry(field: DescField & { fieldKind: "map" }, end: number): void {
    while (this.#at < end) {
      const key = this.#key(end);
      if (key.number > 2) {
        this.#skip(key, end);
        continue;
      }
      const type = field.mapKind === "scalar" ? wireTypeOf(field.scalar) : field.mapKind === "enum" ? 0 : 2;
      const expected = key.number === 1 ? wireTypeOf(field.mapKey) : type;
      if (key.wireType !== expected) this.#foreign(key, end);
      else if (key.number === 2 && field.mapKind === "message") this.message(field.message, this.#length(end));
      else this.#skip(key, end);
    }
  }

  #packed(field: DescField, outer: number): void {
    const end = this.#length(outer);
    const wireType = elementWireType(field);
    while (this.#at < end) this.#skip({ number: field.number, wireType }, end);
  }

  #foreign(key: Key, end: number): void {
    this.isForeign = true;
    this.#skip(key, end);
  }

  #skip(key: Key, end: number): void {
    switch (key.wireType) {
      case 0:
        this.#varint(end);
        return;
      case 1:
        return this.#advance(8, end);
      case 2:
        this.#at = this.#length(end);
        return;
      case 3:
        for (;;) {
          const inner = this.#key(end);
          if (inner.wireType !== 4) this.#skip(inner, end);
          else if (inner.number === key.number) return;
          else throw BROKEN;
        }
      case 5:
        return this.#advance(4, end);
      default:
        throw BROKEN;
    }
  }

  #advance(count: number, end: number): void {
    this.#at += count;
    if (this.#at > end) throw BROKEN;
  }

  #key(end: number): Key {
    const start = this.#at;
    const value = this.#varint(end);
    if (this.#at - start > 5 || value > 0xffffffffn) throw BROKEN;
    const number = Number(value >> 3n);
    const wireType = Number(value & 7n);
    if (number === 0 || wireType > 5) throw BROKEN;
    return { number, wireType };
  }

  /** Where what has this length ends. */
  #length(end: number): number {
    const value = this.#varint(end);
    if (value > 0xffffffffn) {
      this.isForeign = true;
      this.isLenient = true;
      throw BROKEN;
    }
    const to = this.#at + Number(value);
    if (to > end) throw BROKEN;
    return to;
  }

  #varint(end: number): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      if (this.#at >= end) throw BROKEN;
      const byte = this.#bytes[this.#at++] as number;
      if (shift < 64n) value |= BigInt(byte & 127) << shift;
      if (shift >= 70n) {
        this.isForeign = true;
        this.isLenient = true;
      }
      if (byte < 128) return value;
    }
  }
}

interface Key {
  readonly number: number;
  readonly wireType: number;
}

function isPacked(field: DescField, wireType: number): boolean {
  return wireType === 2 && field.fieldKind === "list" && field.listKind !== "message" && elementWireType(field) !== 2;
}

function expectedWireType(field: DescField): number {
  if (field.fieldKind === "map") return 2;
  if (field.fieldKind === "message" || (field.fieldKind === "list" && field.listKind === "message")) {
    return field.delimitedEncoding ? 3 : 2;
  }
  return elementWireType(field);
}

function elementWireType(field: DescField): number {
  return field.scalar === undefined ? 0 : wireTypeOf(field.scalar as ScalarType);
}
