import type { ServerStream } from "../grpc/server-stream.ts";
import { statusFields } from "../grpc/wire/status.ts";
import { Code } from "../rpc/code.ts";
import type { Metadata } from "../rpc/metadata.ts";
import { RpcError } from "../rpc/rpc-error.ts";

/** What RFC 9113 §6.5.2 adds to each field's name and value. */
const FIELD_OVERHEAD_BYTES = 32;
/** Fields of our own beside metadata and status, by that count: `:status`, `content-type`, encodings. */
const OWN_FIELDS_BYTES = 512;

/**
 * Takes metadata away that are more than the client accepts (SETTINGS_MAX_HEADER_LIST_SIZE): the block would cost it the call,
 * and beyond another bound of its own the whole connection. The error to end the call with; null when all can be sent.
 */
export function dropExcess(stream: ServerStream, status: RpcError | null): RpcError | null {
  const max = stream.connection.peer.maxHeaderListBytes - OWN_FIELDS_BYTES;
  const header = stream.hasBegun ? 0 : listBytes(stream.headerMetadata);
  const trailer = listBytes(stream.trailerMetadata) + listBytes(status?.metadataIfAny ?? null);
  const maxTrailer = trailer === 0 ? 0 : max - statusBytes(status);
  const isTrailerTooLarge = trailer > 0 && trailer > maxTrailer;
  if (isTrailerTooLarge) stream.trailerMetadata = null;
  if (header === 0 || header <= max) return isTrailerTooLarge ? tooLarge("trailer", trailer, maxTrailer) : null;
  stream.headerMetadata = null;
  return tooLarge("header", header, max);
}

function listBytes(metadata: Metadata | null): number {
  if (metadata === null) return 0;
  let bytes = 0;
  for (const [name, value] of metadata) {
    bytes += name.length + FIELD_OVERHEAD_BYTES;
    bytes += typeof value === "string" ? value.length : Math.ceil((value.length * 4) / 3);
  }
  return bytes;
}

function statusBytes(status: RpcError | null): number {
  let bytes = 0;
  for (const [name, value] of statusFields(status)) bytes += name.length + value.length + FIELD_OVERHEAD_BYTES;
  return bytes;
}

function tooLarge(which: string, bytes: number, max: number): RpcError {
  const text = `the handler's ${which} metadata take ${bytes} bytes, the client accepts ${Math.max(0, max)}; send less`;
  return new RpcError(Code.INTERNAL, text, { reason: "codec" });
}
