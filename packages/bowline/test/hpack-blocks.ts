import {
  type DecodeResult,
  type HeaderEntry,
  HpackDecoder,
  type HpackDecoderOptions,
} from "../src/http2/hpack/decoder.ts";
import { writeInteger } from "../src/http2/hpack/encoder.ts";
import { huffmanBytes, huffmanEncode } from "../src/http2/hpack/huffman.ts";

/** A header field as tests write it. */
export type Field = readonly [name: string, value: string];

/** Names that the layer above gives a number. */
export const tokens: ReadonlyMap<string, number> = new Map([
  [":path", 3],
  ["grpc-timeout", 8],
]);

/** Name and value of an entry. */
export function fieldOf({ name, value }: HeaderEntry): Field {
  return [name, value];
}

/** A decoder that keeps the fields of its prefixes. */
export function newDecoder(options: Partial<HpackDecoderOptions> = {}): HpackDecoder {
  return new HpackDecoder({ tokens, derive: (fields) => fields.map(fieldOf), ...options });
}

/** Decodes one block, given in pieces. */
export function decode(decoder: HpackDecoder, ...octets: (number | string | Uint8Array)[]): DecodeResult {
  const block = Buffer.concat(octets.map((part) => (typeof part === "number" ? Buffer.of(part) : Buffer.from(part))));
  return decoder.decode(block, 0, block.length);
}

/** All fields of the block that was decoded last. */
export function list(decoder: HpackDecoder): Field[] {
  const all = decoder.hasPrefix ? [...(decoder.derived as Field[])] : [];
  for (let i = 0; i < decoder.count; i++) all.push([decoder.name(i), decoder.value(i)]);
  return all;
}

/** A string literal in octets. */
export function text(value: string, isCoded = false): Buffer {
  const target = Buffer.alloc(value.length * 4 + 6);
  const length = isCoded ? huffmanBytes(value) : value.length;
  const at = writeInteger(target, 0, isCoded ? 0x80 : 0, 0x7f, length);
  return target.subarray(0, isCoded ? huffmanEncode(value, target, at) : at + target.write(value, at, "latin1"));
}

/** A literal that is inserted into the table. */
export function inserted(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.of(0x40), text(name), text(value)]);
}
