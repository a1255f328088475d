import { type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { TEXT_BYTES } from "../wire/number-reader.ts";
import { ENTRY_BYTES, UNKNOWN_FIELD_BYTES } from "../wire/reader.ts";

const known: WeakMap<DescMessage, number> = new WeakMap();

/** What an object of this type takes in memory without what its fields hold, about: what generated code says of it. */
export function objectBytes(message: DescMessage): number {
  let bytes = known.get(message);
  if (bytes === undefined) {
    bytes = 32;
    for (const member of message.members) {
      bytes += 8;
      if (member.kind === "oneof") bytes += 40;
      else if (member.fieldKind === "list") bytes += 32;
      else if (member.fieldKind === "map") bytes += 56;
      else if (member.scalar === ScalarType.BYTES) bytes += 104;
    }
    known.set(message, bytes);
  }
  return bytes;
}

const most: WeakMap<DescMessage, number> = new WeakMap();

/** The most that a message type, or one that it can hold, takes for a byte on the wire: an empty one takes two there. */
export function mostPerByte(message: DescMessage): number {
  let bytes = most.get(message);
  if (bytes === undefined) {
    const met = new Set([message]);
    bytes = UNKNOWN_FIELD_BYTES;
    // A Set's iteration meets what is added while it runs.
    for (const each of met) {
      bytes = Math.max(bytes, objectBytes(each) + ENTRY_BYTES + TEXT_BYTES);
      for (const { message: inner } of each.fields) if (inner !== undefined) met.add(inner);
    }
    most.set(message, bytes);
  }
  return bytes / 2;
}
