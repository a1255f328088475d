/** The pieces as one Buffer. */
export function bytesOf(...pieces: readonly Uint8Array[]): Buffer {
  return Buffer.concat(pieces);
}

/** A varint; negative values as the ten bytes of their 64-bit form. */
export function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

/** A field's key. */
export function key(number: number, wireType: number): Buffer {
  return varint((BigInt(number) << 3n) | BigInt(wireType));
}

/** A length in front of bytes. */
export function length(bytes: number): Buffer {
  return varint(BigInt(bytes));
}

/** A field of wire type 2. */
export function lengthDelimited(number: number, content: Uint8Array): Buffer {
  return bytesOf(key(number, 2), length(content.length), content);
}

/** A field of groups. */
export function group(number: number, content: Uint8Array): Buffer {
  return bytesOf(key(number, 3), content, key(number, 4));
}
