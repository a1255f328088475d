import type { UnknownField } from "@bufbuild/protobuf";
import { writeVarint } from "./write-scalar.ts";
import { varintBytes, writeRaw } from "./write-text.ts";

/** Refuses what is no object, and a message of another type: its fields might by chance have the names of this one's. */
export function refuseOther(message: unknown, typeName: string | undefined): void {
  if (typeName !== undefined || typeof message !== "object") throw new TypeError("it is no such message");
}

/** The most bytes that `writeUnknown` writes. */
export function boundUnknown(fields: readonly UnknownField[]): number {
  let bytes = 0;
  for (const field of fields) bytes += 5 + field.data.length;
  return bytes;
}

/** Writes the fields that a newer peer has sent, and extensions: byte for byte as they came, behind all others. */
export function writeUnknown(fields: readonly UnknownField[], out: Buffer, at: number): number {
  let to = at;
  for (const { no, wireType, data } of fields) {
    to = writeRaw(out, writeVarint(out, to, ((no << 3) | wireType) >>> 0), data);
  }
  return to;
}

/** The most bytes of a text and its length: what it takes is known only when it has been written. */
export function boundText(text: string | undefined | null): number {
  if (text == null) return 0;
  const units = text.length;
  if (units < 1024) return 3 * units + 2;
  return Buffer.byteLength(text) + 5;
}

/** The bytes of a `bytes` field and its length. */
export function boundBytes(bytes: Uint8Array | undefined | null): number {
  return bytes == null ? 0 : bytes.length + varintBytes(bytes.length);
}

/**
 * The list of a repeated field. What is no array is refused: an iterator can be read once, by the bound or by the encoder, and a text
 * would be a list of its characters.
 */
export function listOf<T>(list: readonly T[]): readonly T[] {
  if (!Array.isArray(list)) throw new TypeError("it is no array");
  return list;
}

/** Text of all elements, each behind a tag of `tagBytes`. */
export function boundTexts(texts: readonly string[] | undefined | null, tagBytes: number): number {
  let bytes = 0;
  if (texts != null) for (const text of listOf(texts)) bytes += tagBytes + boundText(text);
  return bytes;
}

/** Bytes of all elements, each behind a tag of `tagBytes`. */
export function boundBytesList(list: readonly Uint8Array[] | undefined | null, tagBytes: number): number {
  let bytes = 0;
  if (list != null) for (const each of listOf(list)) bytes += tagBytes + boundBytes(each);
  return bytes;
}

/** Up to this many values the largest possible size is reserved for each; more of them are measured. */
const MAX_GUESSED = 256;

/** The most bytes of the elements of a packed field whose types are varints of up to `most` bytes. */
export function boundVarints(values: readonly (number | bigint | string)[], most: number): number {
  if (values.length <= MAX_GUESSED) return most * values.length;
  let bytes = 0;
  for (const value of values) bytes += Number(value) >= 0 && Number(value) < 0x20_0000 ? 4 : most;
  return bytes;
}

/** Refuses the case of a oneof that is none of its fields, of which nothing would be sent. */
export function refuseCase(name: unknown): void {
  if (name != null) throw new TypeError("a oneof has no such case");
}

/** The error of a required field that is not set; which one is found out afterwards. */
export function unset(): Error {
  return new TypeError("a required field is not set");
}
