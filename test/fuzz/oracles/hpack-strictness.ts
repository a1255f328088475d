/** RFC 7541 section 4.2: the lowest and the final size. */
const MOST_UPDATES = 2;
const MOST_INTEGER_OCTETS = 5;
const LARGEST = 0x7fffffff;

interface Reading {
  readonly block: Buffer;
  at: number;
  problem: string | undefined;
}

/**
 * What a block has that the decoder must refuse although a lenient one, such as that of bowline/testing, need not: size updates behind
 * a field, a third one, one above `tableBytes`, and integers of more than 5 octets or 31 bits. Undefined when there is none, or when
 * the block is broken in another way before.
 */
export function strictness(block: Buffer, tableBytes: number): string | undefined {
  const reading: Reading = { block, at: 0, problem: undefined };
  let updates = 0;
  let fields = 0;
  while (reading.at < block.length && reading.problem === undefined) {
    const kind = block[reading.at];
    if (kind >= 0x80) {
      integer(reading, 7);
      fields++;
    } else if (kind >= 0x40) {
      literal(reading, 6);
      fields++;
    } else if (kind >= 0x20) {
      const size = integer(reading, 5);
      updates++;
      if (fields > 0) return "a size update behind a field";
      if (updates > MOST_UPDATES) return "a third size update";
      if (size > tableBytes) return `a size update to ${size}`;
    } else {
      literal(reading, 4);
      fields++;
    }
  }
  return reading.problem;
}

function literal(reading: Reading, prefixBits: number): void {
  if (integer(reading, prefixBits) === 0) string(reading);
  string(reading);
}

function string(reading: Reading): void {
  if (reading.problem !== undefined) return;
  const length = integer(reading, 7);
  reading.at += length;
}

function integer(reading: Reading, prefixBits: number): number {
  const { block } = reading;
  const most = 2 ** prefixBits - 1;
  let value = block[reading.at++] & most;
  if (value < most) return value;
  for (let octets = 1; reading.at < block.length; octets++) {
    const octet = block[reading.at++];
    value += (octet & 0x7f) * 128 ** (octets - 1);
    if (octets > MOST_INTEGER_OCTETS) reading.problem = "an integer of more than 5 octets";
    else if (value > LARGEST) reading.problem = "an integer of more than 31 bits";
    if (reading.problem !== undefined || octet < 0x80) return value;
  }
  return value;
}
