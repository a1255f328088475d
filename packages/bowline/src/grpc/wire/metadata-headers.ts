import { Code } from "../../rpc/code.ts";
import { isReservedKey, Metadata, type ReceivedEntries } from "../../rpc/metadata.ts";
import { RpcError } from "../../rpc/rpc-error.ts";

/**
 * Metadata and status text as header fields, and back (gRPC PROTOCOL-HTTP2.md, "Custom-Metadata", "Status-Message").
 *
 * Budget: what a call received stays as the fields that came, also when somebody reads its metadata; mostly there is none.
 */

/** Names and values that {@link Metadata} would refuse are not shown either: all that users read they may send on. */
const KEY = /^[0-9a-z_.-]+$/;
const VALUE = /^[\x20-\x7e]*$/;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
const PLAIN = /^(?:[\x21-\x24\x26-\x7e](?:[\x20-\x24\x26-\x7e]*[\x21-\x24\x26-\x7e])?)?$/;
const PERCENT = 0x25;
/** Where base64 is decoded: in Node's pool each value would spread the buffers that streams keep over one slab more. */
const scratch: Buffer = Buffer.allocUnsafeSlow(4096);

/**
 * True for names that users don't see in metadata: pseudo headers, `grpc-*`, and what belongs to HTTP. `user-agent` is
 * seen, though it can't be set.
 */
export function isHiddenKey(name: string): boolean {
  return name !== "user-agent" && isReservedKey(name);
}

/**
 * Fields that were received and that gRPC has no word for, in order. An indexed field, which costs its sender one octet, is
 * the entry of the HPACK table; any other is two items, name and value.
 */
export type ReceivedFields = readonly (string | IndexedField)[];

/** A field of an HPACK table. */
export interface IndexedField {
  readonly name: string;
  readonly value: string;
}

/**
 * The metadata of received fields; empty for null.
 *
 * Left out are hidden names, what is valid in HTTP and not in gRPC, and `-bin` values that are no base64: whoever wants
 * to refuse those asks {@link metadataError} first. Values of `-bin` keys that were joined by commas become several
 * again.
 */
export function metadataFromFields(fields: ReceivedFields | null): Metadata {
  return fields === null ? new Metadata() : Metadata.received(new MetadataOfFields(fields));
}

/**
 * Reads the fields anew each time that it is asked. Kept would be what is read of them: two places a field, and the bytes of
 * each `-bin` value, for one octet on the wire (CVE-2026-49975).
 */
class MetadataOfFields implements ReceivedEntries {
  readonly #fields: ReceivedFields;

  constructor(fields: ReceivedFields) {
    this.#fields = fields;
  }

  values(key: string): (string | Uint8Array)[] {
    const values: (string | Uint8Array)[] = [];
    eachField(this.#fields, (name, value) => {
      if (name === key) for (const each of shown(name, value)) values.push(each);
    });
    return values;
  }

  flat(): (string | Uint8Array)[] {
    const entries: (string | Uint8Array)[] = [];
    eachField(this.#fields, (name, value) => {
      for (const each of shown(name, value)) entries.push(name, each);
    });
    return entries;
  }
}

function eachField(fields: ReceivedFields, visit: (name: string, value: string) => void): void {
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i];
    if (typeof field === "string") visit(field, fields[++i] as string);
    else visit(field.name, field.value);
  }
}

/** What users see of a field: no value, one, or several. */
function shown(name: string, value: string): readonly (string | Uint8Array)[] {
  if (isHiddenKey(name) || !KEY.test(name)) return [];
  if (!name.endsWith("-bin")) return VALUE.test(value) ? [value] : [];
  return parts(value)
    .map(decodeBase64)
    .filter((bytes) => bytes !== null);
}

/**
 * INTERNAL, reason `protocol`, when a `-bin` value among received fields is no base64, else null. Such a call fails;
 * the connection and its other calls live on (CVE-2023-32732). Costs nothing to ask when there are no fields.
 */
export function metadataError(fields: ReceivedFields | null): RpcError | null {
  let error: RpcError | null = null;
  if (fields === null) return error;
  eachField(fields, (name, value) => {
    if (error !== null || !name.endsWith("-bin") || isHiddenKey(name) || parts(value).every(isBase64)) return;
    error = new RpcError(Code.INTERNAL, `the value of metadata "${name}" is not base64`, { reason: "protocol" });
  });
  return error;
}

/**
 * The values of a `-bin` field. Gaps in a list count for nothing (RFC 9110 §5.6.1), but a field may be one empty value.
 */
function parts(value: string): string[] {
  if (!value.includes(",")) return [value.trim()];
  return value
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

/**
 * The fields to send for `metadata`. Bytes become base64 without padding; spaces around a value are dropped, because
 * RFC 9113 §8.2.1 calls a field with them malformed. What only a peer may set, such as a received `user-agent`, is left
 * out.
 */
export function metadataFields(metadata: Metadata): [string, string][] {
  const fields: [string, string][] = [];
  for (const [name, value] of metadata) {
    if (isReservedKey(name)) continue;
    fields.push([name, typeof value === "string" ? value.trim() : encodeBase64(value)]);
  }
  return fields;
}

/** Base64 without padding, as `-bin` fields are sent. */
export function encodeBase64(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
  return text.endsWith("=") ? text.slice(0, text.indexOf("=")) : text;
}

/**
 * The bytes of base64 (RFC 4648 §4) with or without padding; null when it is none. They share no memory with others.
 */
export function decodeBase64(text: string): Uint8Array | null {
  if (!isBase64(text)) return null;
  if (text.length > scratch.length) return new Uint8Array(Buffer.from(text, "base64"));
  return new Uint8Array(scratch.subarray(0, scratch.write(text, "base64")));
}

function isBase64(text: string): boolean {
  if (!BASE64.test(text)) return false;
  const rest = text.length % 4;
  return text.endsWith("=") ? rest === 0 : rest !== 1;
}

/**
 * The value of `grpc-message` for a text: UTF-8, with all but printable ASCII as `%XX`, and `%` itself. Spaces at both
 * ends are encoded too, because RFC 9113 §8.2.1 forbids values that begin or end with one.
 */
export function encodeMessage(text: string): string {
  if (PLAIN.test(text)) return text;
  const bytes = Buffer.from(text, "utf8");
  const last = bytes.length - 1;
  let encoded = "";
  for (let i = 0; i <= last; i++) {
    const byte = bytes[i];
    const isPlain = byte > 0x20 ? byte < 0x7f && byte !== PERCENT : byte === 0x20 && i > 0 && i < last;
    encoded += isPlain ? String.fromCharCode(byte) : `%${byte < 16 ? "0" : ""}${byte.toString(16).toUpperCase()}`;
  }
  return encoded;
}

/**
 * The text of a received `grpc-message`. What is no `%XX` stays as it is, what is no UTF-8 becomes U+FFFD: a message is
 * never lost. `value` holds a byte of the field in each character.
 */
export function decodeMessage(value: string): string {
  if (PLAIN.test(value)) return value;
  const bytes = Buffer.from(value, "latin1");
  let to = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] === PERCENT ? hexByte(bytes, at + 1) : -1;
    bytes[to++] = byte < 0 ? bytes[at] : byte;
    if (byte >= 0) at += 2;
  }
  return bytes.toString("utf8", 0, to);
}

/** The value of two hexadecimal digits of either case, -1 if there are none. */
function hexByte(bytes: Buffer, at: number): number {
  const high = hexDigit(bytes[at]);
  const low = hexDigit(bytes[at + 1]);
  return high < 0 || low < 0 ? -1 : (high << 4) | low;
}

function hexDigit(character: number | undefined): number {
  if (character === undefined) return -1;
  if (character >= 0x30 && character <= 0x39) return character - 0x30;
  const letter = character | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
