import type { Metadata, MetadataInit } from "../rpc/metadata.ts";

/** What may be said of one call; all of it is optional. */
export interface CallOptions {
  /** Time for the whole call, all attempts included, in milliseconds. A shorter deadline of the call that it is part of wins. */
  timeoutMs?: number;
  /** Aborting it ends the call with CANCELLED on both sides. */
  signal?: AbortSignal;
  /** Sent with the request. */
  metadata?: MetadataInit;
  /** True: while no endpoint is usable, wait until the deadline instead of failing at once with UNAVAILABLE. Default false. */
  waitForReady?: boolean;
  /** Called once when the server's metadata arrive, before the first message; not at all when the call fails before. */
  onHeader?(header: Metadata): void;
  /** Called once when the call has ended, with the metadata that followed the last message; empty when there were none. */
  onTrailer?(trailer: Metadata): void;
}
