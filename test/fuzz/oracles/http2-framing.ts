import type { Framing } from "../engine/fuzz-target.ts";

const HEADER_BYTES = 9;

/** Frames of HTTP/2, each with its header of 9 octets. */
export const http2Framing: Framing = {
  split(input) {
    const frames: Buffer[] = [];
    for (let at = 0; at < input.length; ) {
      const length = at + HEADER_BYTES <= input.length ? input.readUIntBE(at, 3) : input.length;
      const to = Math.min(input.length, at + HEADER_BYTES + length);
      frames.push(input.subarray(at, to));
      at = to;
    }
    return frames;
  },
  seal(record) {
    if (record.length < HEADER_BYTES) return record;
    record.writeUIntBE(record.length - HEADER_BYTES, 0, 3);
    return record;
  },
};

/** True when the octets are whole frames and no header block is left open: what comes behind is read as frames again. */
export function endsBetweenFrames(input: Buffer): boolean {
  let isOpen = false;
  let at = 0;
  while (at + HEADER_BYTES <= input.length) {
    const type = input[at + 3];
    if (type === 1 || type === 9) isOpen = (input[at + 4] & 4) === 0;
    at += HEADER_BYTES + input.readUIntBE(at, 3);
  }
  return at === input.length && !isOpen;
}

/** True when one of the frames is HEADERS of this stream. */
export function opensStream(input: Buffer, id: number): boolean {
  return http2Framing
    .split(input)
    .some((frame) => frame.length >= HEADER_BYTES && frame[3] === 1 && (frame.readUInt32BE(5) & 0x7fffffff) === id);
}

/** The octets as the chunks of a link: sizes follow from `pattern`, 0 is one chunk. */
export function cut(input: Buffer, pattern: number): Buffer[] {
  if (pattern === 0) return [input];
  const chunks: Buffer[] = [];
  let size = pattern;
  for (let at = 0; at < input.length; ) {
    size = ((size * 7 + 3) % 61) + 1;
    chunks.push(input.subarray(at, at + size));
    at += size;
  }
  return chunks;
}
