import type { ServerStream } from "../grpc/server-stream.ts";
import { metadataListBytes } from "../grpc/wire/method-headers.ts";
import { listRoom, statusRoom, statusTextBytes } from "../grpc/wire/status.ts";
import { Code } from "../rpc/code.ts";
import { RpcError } from "../rpc/rpc-error.ts";

/**
 * Takes metadata away that are more than the client accepts (SETTINGS_MAX_HEADER_LIST_SIZE): the block would cost it the call,
 * and beyond another bound of its own the whole connection. The error to end the call with; null when all can be sent.
 */
export function dropExcess(stream: ServerStream, status: RpcError | null): RpcError | null {
  const { maxHeaderListBytes } = stream.connection.peer;
  const max = listRoom(maxHeaderListBytes);
  const header = stream.hasBegun ? 0 : metadataListBytes(stream.headerMetadata);
  const trailer = metadataListBytes(stream.trailerMetadata) + metadataListBytes(status?.metadataIfAny ?? null);
  // Details make way for metadata, code and text don't.
  const maxTrailer = trailer === 0 ? 0 : max - statusTextBytes(status, statusRoom(maxHeaderListBytes, 0));
  const isTrailerTooLarge = trailer > 0 && trailer > maxTrailer;
  if (isTrailerTooLarge) stream.trailerMetadata = null;
  if (header === 0 || header <= max) return isTrailerTooLarge ? tooLarge("trailer", trailer, maxTrailer) : null;
  stream.headerMetadata = null;
  return tooLarge("header", header, max);
}

function tooLarge(which: string, bytes: number, max: number): RpcError {
  const text = `the handler's ${which} metadata take ${bytes} bytes, the client accepts ${Math.max(0, max)}; send less`;
  return new RpcError(Code.INTERNAL, text, { reason: "codec" });
}
