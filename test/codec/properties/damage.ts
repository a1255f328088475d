import { toBinary } from "@bufbuild/protobuf";
import type { Chance } from "../chance.ts";
import { randomMessage } from "../message/random-init.ts";
import { randomWire } from "../message/random-wire.ts";
import { judge } from "./decoding.ts";
import type { Property, Trial } from "./property.ts";

/** Truncated at every byte when short, else at some. */
export const truncatedMessagesAreRefused: Property = (trial) => {
  const bytes = soundBytes(trial);
  const lengths =
    bytes.length <= 60
      ? Array.from(bytes.keys())
      : Array.from({ length: 20 }, () => trial.chance.int(0, bytes.length - 1));
  for (const length of lengths) judge(trial.type, bytes.subarray(0, length), 0);
};

/** Changed bits and bytes, pieces cut out, doubled, exchanged or taken from elsewhere. */
export const damagedMessagesAreRefusedOrRead: Property = (trial) => {
  for (let count = 0; count < 6; count++) {
    let bytes: Buffer = Buffer.from(soundBytes(trial));
    for (let changes = trial.chance.int(1, 3); changes > 0; changes--) bytes = damage(trial.chance, bytes);
    judge(trial.type, bytes, trial.chance.int(0, 5));
  }
};

/** Bytes that nobody wrote. */
export const randomBytesAreRefusedOrRead: Property = (trial) => {
  const { chance } = trial;
  const { desc } = trial.type;
  for (let count = 0; count < 6; count++) {
    const bytes = Buffer.from(chance.bytes(chance.int(0, 40)));
    const field = desc.fields.length === 0 ? undefined : chance.pick(desc.fields);
    // A key of one of its fields in front leads further in.
    if (field !== undefined && field.number < 16 && bytes.length > 0) bytes[0] = (field.number << 3) | chance.int(0, 5);
    judge(trial.type, bytes, 0);
  }
};

function soundBytes({ type: { desc }, chance }: Trial): Buffer {
  if (chance.odds(0.5)) return randomWire(chance, desc, 2);
  return Buffer.from(toBinary(desc, randomMessage(chance, desc, { depth: 1, created: 0.3, filled: 0.4 })));
}

function damage(chance: Chance, bytes: Buffer): Buffer {
  if (bytes.length === 0) return Buffer.from(chance.bytes(chance.int(1, 4)));
  const at = chance.int(0, bytes.length - 1);
  const size = chance.int(1, Math.min(8, bytes.length - at));
  switch (chance.int(0, 5)) {
    case 0:
      bytes[at] = (bytes[at] as number) ^ (1 << chance.int(0, 7));
      return bytes;
    case 1:
      bytes[at] = chance.pick([0, 1, 0x7f, 0x80, 0xff, chance.int(0, 255)]);
      return bytes;
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + size)]);
    case 3:
      return Buffer.concat([bytes.subarray(0, at + size), bytes.subarray(at)]);
    case 4:
      return Buffer.concat([bytes.subarray(0, at), chance.bytes(chance.int(1, 6)), bytes.subarray(at)]);
    default:
      return Buffer.concat([bytes.subarray(at), bytes.subarray(0, at)]);
  }
}
