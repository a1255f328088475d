import type { LinkPeer } from "../http2/link.ts";
import type { Metadata } from "../rpc/metadata.ts";

/** What a handler knows of the call it serves. */
export interface ServerContext {
  /** `/user.v1.UserService/GetUser` */
  readonly method: string;
  /** What the client sent, without the headers that belong to gRPC. */
  readonly metadata: Metadata;
  /** When the caller stops waiting, by this machine's clock; undefined when it set no deadline. */
  readonly deadline: Date | undefined;
  /** Milliseconds until then, 0 when it has passed; undefined without a deadline. */
  readonly timeRemainingMs: number | undefined;
  /** Aborted when the client cancels, the deadline passes or the connection breaks. */
  readonly signal: AbortSignal;
  /** Metadata to send before the first message. Changes after that are lost. */
  readonly header: Metadata;
  /** Metadata to send after the last message, beside the status. */
  readonly trailer: Metadata;
  /** Who called, as far as the connection knows. */
  readonly peer: LinkPeer;
}
