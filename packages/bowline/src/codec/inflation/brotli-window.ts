/** The window of RFC 7932 §9.1 lacks these of a power of two. */
const GAP_BYTES = 16;
/** Windows from here on, as powers of two, have their number in bits 1 to 3 of the first octet, above a bit that is set. */
const BASE_BITS = 17;
const MAX_BITS = 24;

/**
 * The first octet of a `br` message whose window is made no larger than a result of `maxBytes` needs, or than 256 KiB.
 * A decoder fills the window before it gives anything out: 16 MiB for a message of 14 octets.
 *
 * A message that the window can hold means the same as before, since distances end at its beginning and the window
 * never comes in (§4). A larger one becomes another message, or none, after as many bytes as the window has.
 */
export function narrowWindow(first: number, maxBytes: number): number {
  const number = (first & 1) === 0 ? 0 : (first >> 1) & 7;
  const needed = Math.ceil(Math.log2(Math.max(1, maxBytes) + GAP_BYTES)) - BASE_BITS;
  const enough = Math.min(Math.max(1, needed), MAX_BITS - BASE_BITS);
  return number <= enough ? first : (first & ~0b1110) | (enough << 1);
}
