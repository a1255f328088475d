import type { Identity } from "../auth/authenticator.ts";
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
  /** Metadata to send before the first message. Who changes it after that gets an Error. */
  readonly header: Metadata;
  /** Metadata to send after the last message, beside the status. */
  readonly trailer: Metadata;
  /**
   * Sends `header` now instead of with the first answer, so that a client need not wait for that. A second time, or after the first
   * answer, it does nothing.
   *
   * @throws RpcError INTERNAL when they are more than the client accepts
   */
  sendHeader(): void;
  /**
   * How the answers of this call are compressed: `gzip`, `deflate`, `br`, `zstd`, or `identity` for not at all. Default: the
   * server's option. It reads `identity` when the client does not take what was asked for: answers are sent as they are then, as
   * gRPC's compression.md demands. Set it before the first answer: the header that names it is sent with that.
   *
   * @throws TypeError when set to a name that this process does not know; Error when set after the first answer
   */
  compression: string;
  /**
   * Asked for each answer whether to compress it, instead of the server's `compressFromBytes`; null = by size. It sees what is
   * sent: an answer as interceptors left it. May be set at any time. What it throws ends the call like an error of the handler.
   */
  compressIf: ((message: unknown) => boolean) | null;
  /** True when the request message that was read last came compressed. */
  readonly isCompressed: boolean;
  /** Who called, as far as the connection knows. */
  readonly peer: LinkPeer;
  /** Who called, as proven to `ServerOptions.authenticate`; null without that option, and for methods that it exempts. */
  readonly identity: Identity | null;
}
