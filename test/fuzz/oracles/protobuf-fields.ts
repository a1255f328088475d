import type { Framing } from "../engine/fuzz-target.ts";

/** Position behind the number at `at`, at most 10 octets on. */
function behindVarint(input: Buffer, at: number): number {
  let to = at;
  while (to < input.length && to - at < 9 && input[to] >= 0x80) to++;
  return Math.min(input.length, to + 1);
}

/** Fields of the outermost message: those with a length in front are records whose length is made right. */
export const protobufFields: Framing = {
  split(input) {
    const fields: Buffer[] = [];
    for (let at = 0; at < input.length; ) {
      let to = behindVarint(input, at);
      const wireType = input[at] & 7;
      if (wireType === 2 && to < input.length && input[to] < 0x80) to += 1 + input[to];
      else if (wireType === 0) to = behindVarint(input, to);
      else if (wireType === 5) to += 4;
      else if (wireType === 1) to += 8;
      fields.push(input.subarray(at, Math.min(to, input.length)));
      at = to;
    }
    return fields;
  },
  seal(record) {
    const at = behindVarint(record, 0);
    if (record.length <= at || (record[0] & 7) !== 2 || record.length - at > 128) return record;
    record[at] = record.length - at - 1;
    return record;
  },
};
