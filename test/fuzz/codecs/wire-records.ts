import type { DescField, DescMessage } from "@bufbuild/protobuf";

const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const GROUP = 3;
const END_GROUP = 4;
const FIXED32 = 5;
/** What is no field: octets that end a message too early. */
const REST = -1;

/** A field on the wire. */
export interface WireRecord {
  /** 0 when it can't be read. */
  readonly number: number;
  /** -1: octets that are no field. */
  readonly wireType: number;
  /** What is within: the octets behind the length, those of a group, or the value. */
  readonly content: Buffer;
  /** Octets of number and wire type; 0 when they have no end. */
  readonly tagOctets: number;
  /** Octets of the length; 0 for other wire types. */
  readonly lengthOctets: number;
  /** All octets. */
  readonly bytes: Buffer;
}

/** The fields of a message, as far as they can be told apart; what is left is the last. All octets are in one of them. */
export function recordsOf(message: Buffer): WireRecord[] {
  const records: WireRecord[] = [];
  for (let at = 0; at < message.length; ) {
    const record = recordAt(message, at) ?? restAt(message, at);
    records.push(record);
    at += record.bytes.length;
  }
  return records;
}

/** The record, and all within it that the schema knows as messages, entries of maps too; each with its field, if it is known. */
export function* within(
  record: WireRecord,
  desc: Pick<DescMessage, "fields">,
): Generator<readonly [record: WireRecord, field: DescField | undefined]> {
  const field = desc.fields.find(({ number }) => number === record.number);
  yield [record, field];
  const isGroup = record.wireType === GROUP;
  const inner = field?.fieldKind === "map" || (field === undefined && isGroup) ? { fields: [] } : field?.message;
  if (inner === undefined || (record.wireType !== DELIMITED && !isGroup)) return;
  for (const each of recordsOf(record.content)) {
    const value = field?.fieldKind === "map" && each.number === 2 ? field.message : undefined;
    if (value === undefined) yield* within(each, inner);
    else {
      yield [each, undefined];
      for (const deeper of recordsOf(each.content)) yield* within(deeper, value);
    }
  }
}

function recordAt(bytes: Buffer, from: number): WireRecord | undefined {
  const tagTo = behindVarint(bytes, from);
  if (tagTo === undefined) return undefined;
  const tag = varintAt(bytes, from);
  const [number, wireType] = [Number(tag >> 3n), Number(tag & 7n)];
  const span = spanOf(bytes, tagTo, wireType, number);
  if (span === undefined || span.to > bytes.length) return undefined;
  const { start, end, to, lengthOctets } = span;
  const tagOctets = tagTo - from;
  return {
    number,
    wireType,
    content: bytes.subarray(start, end),
    tagOctets,
    lengthOctets,
    bytes: bytes.subarray(from, to),
  };
}

interface Span {
  readonly start: number;
  readonly end: number;
  readonly to: number;
  readonly lengthOctets: number;
}

function spanOf(bytes: Buffer, at: number, wireType: number, number: number): Span | undefined {
  const plain = (to: number): Span => ({ start: at, end: to, to, lengthOctets: 0 });
  switch (wireType) {
    case VARINT: {
      const to = behindVarint(bytes, at);
      return to === undefined ? undefined : plain(to);
    }
    case FIXED64:
      return plain(at + 8);
    case FIXED32:
      return plain(at + 4);
    case DELIMITED: {
      const start = behindVarint(bytes, at);
      if (start === undefined) return undefined;
      const end = start + Number(varintAt(bytes, at));
      return { start, end, to: end, lengthOctets: start - at };
    }
    case GROUP:
      return groupAt(bytes, at, number);
    default:
      return undefined;
  }
}

function groupAt(bytes: Buffer, start: number, number: number): Span | undefined {
  for (let at = start; at < bytes.length; ) {
    const to = behindVarint(bytes, at);
    const tag = to === undefined ? 0n : varintAt(bytes, at);
    if (to !== undefined && Number(tag & 7n) === END_GROUP) {
      return Number(tag >> 3n) === number ? { start, end: at, to, lengthOctets: 0 } : undefined;
    }
    const inner = recordAt(bytes, at);
    if (inner === undefined) return undefined;
    at += inner.bytes.length;
  }
  return undefined;
}

function restAt(bytes: Buffer, from: number): WireRecord {
  const rest = bytes.subarray(from);
  const tagTo = behindVarint(bytes, from);
  const number = tagTo === undefined ? 0 : Number(varintAt(bytes, from) >> 3n);
  return { number, wireType: REST, content: rest, tagOctets: (tagTo ?? from) - from, lengthOctets: 0, bytes: rest };
}

/** Position behind the number at `at`; undefined when it has no end within 10 octets. */
export function behindVarint(bytes: Buffer, at: number): number | undefined {
  for (let to = at; to < Math.min(bytes.length, at + 10); to++) if (bytes[to] < 0x80) return to + 1;
  return undefined;
}

/** The number at a place where {@link behindVarint} finds one; 64 bits of it. */
export function varintAt(bytes: Buffer, from: number): bigint {
  let value = 0n;
  for (let at = from, shift = 0n; ; at++, shift += 7n) {
    value |= BigInt(bytes[at] & 0x7f) << shift;
    if (bytes[at] < 0x80) return BigInt.asUintN(64, value);
  }
}
