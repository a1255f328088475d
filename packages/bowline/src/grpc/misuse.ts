import { errorCodeName, Http2Error } from "../http2/frames.ts";
import type { RpcError } from "../rpc/rpc-error.ts";

/** Who hears what a peer does wrong. */
export interface MisuseListener {
  /** `kind` comes of a fixed list: the bound that was passed, an error code of HTTP/2, or the kind of mistake. */
  misused(kind: string, text: string): void;
}

/** What the end of a connection says of the peer, as a kind; null when it only went away or could not be reached. */
export function connectionMisuse(error: Error): string | null {
  const { limit, byPeer, code } = error as { limit?: string; byPeer?: boolean; code?: number | string };
  // Errors of the system have a code that is a text: a peer that goes away, or can't be reached, is no news.
  if (byPeer === true || typeof code === "string" || error.name === "DialError") return null;
  return limit ?? (error instanceof Http2Error ? errorCodeName(error.code) : error.name);
}

const OBJECTS = /its objects would take more than/;

/** Tells of a message that could not be taken, if that is the peer's doing. */
export function tellMessageMisuse(error: RpcError, listener: MisuseListener): void {
  // Of a message that is not too long its objects may be, see the generated codec.
  if (error.reason === "limit")
    listener.misused(OBJECTS.test(error.text) ? "decode-memory" : "maxReceiveBytes", error.text);
  else if (error.reason === "codec") listener.misused("undecodable-message", error.text);
  else if (error.reason === "protocol") listener.misused("malformed-message", error.text);
}
