import type { DescMessage, Message } from "@bufbuild/protobuf";
import type { Chance } from "../chance.ts";
import { bytesOf, key, length, varint } from "./wire.ts";

/** Gives a message unknown fields of all wire types, as a decoder would have kept them. */
export function addUnknownFields(chance: Chance, desc: DescMessage, message: Message): void {
  message.$unknown = chance.list(1, 4, () => {
    const no = unknownNumber(chance, desc);
    const wireType = chance.pick([0, 1, 2, 3, 5]);
    return { no, wireType, data: new Uint8Array(unknownValue(chance, no, wireType, 2)) };
  });
}

/** A whole unknown field. */
export function unknownRecord(chance: Chance, desc: DescMessage, depth = 2): Buffer {
  const no = unknownNumber(chance, desc);
  const wireType = chance.pick([0, 1, 2, 3, 5]);
  return bytesOf(key(no, wireType), unknownValue(chance, no, wireType, depth));
}

/** A number that is no field of the message. */
function unknownNumber(chance: Chance, desc: DescMessage): number {
  for (;;) {
    const number = chance.pick([1, 2, 15, 16, 2047, 2048, 19_500, 536_870_911, chance.int(1, 1_000_000)]);
    if (!desc.fields.some((field) => field.number === number)) return number;
  }
}

/** What stands behind the key of an unknown field; of a group all up to its end. */
function unknownValue(chance: Chance, no: number, wireType: number, depth: number): Buffer {
  switch (wireType) {
    case 0:
      return varint(BigInt(chance.pick([0, 1, 127, 128, 2 ** 32, 2 ** 53])));
    case 1:
      return Buffer.from(chance.bytes(8));
    case 2: {
      const bytes = chance.bytes(chance.pick([0, 1, 5, 127, 128]));
      return bytesOf(length(bytes.length), bytes);
    }
    case 3: {
      const inner = chance.list(0, 3, () => {
        const each = chance.int(1, 3000);
        const type = chance.pick(depth > 0 ? [0, 1, 2, 3, 5] : [0, 1, 2, 5]);
        return bytesOf(key(each, type), unknownValue(chance, each, type, depth - 1));
      });
      return bytesOf(...inner, key(no, 4));
    }
    default:
      return Buffer.from(chance.bytes(4));
  }
}
