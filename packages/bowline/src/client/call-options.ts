import type { Metadata, MetadataInit } from "../rpc/metadata.ts";

/** What may be said of one call; all of it is optional. */
export interface CallOptions {
  /**
   * Time for the whole call, all attempts included, in milliseconds; 0 = no deadline. Default: the client's. A shorter deadline of the
   * call that it is part of wins.
   */
  timeoutMs?: number;
  /** Aborting it ends the call with CANCELLED on both sides; here with the code of the signal's reason when that is an RpcError. */
  signal?: AbortSignal;
  /** Sent with the request. */
  metadata?: MetadataInit;
  /** True: while no endpoint is usable, wait until the deadline instead of failing at once with UNAVAILABLE. Default false. */
  waitForReady?: boolean;
  /**
   * What the balancer chooses by: with `consistent_hash`, which needs it, calls of one key go to one instance. Others don't look at it.
   * go-zero's `SetHashKey`.
   */
  hashKey?: string;
  /**
   * Compresses the requests of this call: `gzip`, `deflate`, `br`, `zstd`, or `identity` for not at all. Default: the client's. A
   * server that does not know it answers UNIMPLEMENTED.
   */
  compression?: string;
  /**
   * Asked for each request whether to compress it, instead of the client's `compressFromBytes`; not asked in a call without
   * compression. It sees what is sent: a request as interceptors left it. An attempt that is repeated asks again. What it throws ends
   * the call.
   */
  compressIf?(message: unknown): boolean;
  /** Called once when the server's metadata arrive, before the first message; not at all when the call fails before. */
  onHeader?(header: Metadata): void;
  /**
   * Called once when the server or a broken connection has ended the call, with the metadata that followed the last message; empty when
   * there were none; messages of a stream that arrived before may still be unread. Not at all when this side has ended it: cancelled,
   * deadline, nothing sent.
   */
  onTrailer?(trailer: Metadata): void;
}
