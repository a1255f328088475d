import { Code } from "../../rpc/code.ts";
import { isReservedKey, Metadata } from "../../rpc/metadata.ts";
import { RpcError } from "../../rpc/rpc-error.ts";

/**
 * Metadata and status text as header fields, and back (gRPC PROTOCOL-HTTP2.md, "Custom-Metadata", "Status-Message").
 *
 * Budget: what a call received stays a flat array of names and values until somebody asks for its metadata; mostly
 * there is none.
 */

/** Names and values that {@link Metadata} would refuse are not shown either: all that users read they may send on. */
const KEY = /^[0-9a-z_.-]+$/;
const VALUE = /^[\x20-\x7e]*$/;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
const PLAIN = /^(?:[\x21-\x24\x26-\x7e](?:[\x20-\x24\x26-\x7e]*[\x21-\x24\x26-\x7e])?)?$/;
const PERCENT = 0x25;

/**
 * True for names that users don't see in metadata: pseudo headers, `grpc-*`, and what belongs to HTTP. `user-agent` is
 * seen, though it can't be set.
 */
export function isHiddenKey(name: string): boolean {
  return name !== "user-agent" && isReservedKey(name);
}

/**
 * The metadata of received fields, names and values by turns; empty for null.
 *
 * Left out are hidden names, what is valid in HTTP and not in gRPC, and `-bin` values that are no base64: whoever wants
 * to refuse those asks {@link metadataError} first. Values of `-bin` keys that were joined by commas become several
 * again.
 */
export function metadataFromFields(fields: readonly string[] | null): Metadata {
  if (fields === null) return new Metadata();
  const entries: (string | Uint8Array)[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i];
    const value = fields[i + 1];
    if (isHiddenKey(name) || !KEY.test(name)) continue;
    if (name.endsWith("-bin")) {
      for (const part of parts(value)) {
        const bytes = decodeBase64(part);
        if (bytes !== null) entries.push(name, bytes);
      }
    } else if (VALUE.test(value)) {
      entries.push(name, value);
    }
  }
  return Metadata.fromWire(entries);
}

/**
 * INTERNAL, reason `protocol`, when a `-bin` value among received fields is no base64, else null. Such a call fails;
 * the connection and its other calls live on (CVE-2023-32732). Costs nothing to ask when there are no fields.
 */
export function metadataError(fields: readonly string[] | null): RpcError | null {
  if (fields === null) return null;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i];
    if (!name.endsWith("-bin") || isHiddenKey(name)) continue;
    if (!parts(fields[i + 1]).every(isBase64)) {
      return new RpcError(Code.INTERNAL, `the value of metadata "${name}" is not base64`, { reason: "protocol" });
    }
  }
  return null;
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
  return isBase64(text) ? new Uint8Array(Buffer.from(text, "base64")) : null;
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
