/** What a connection wants to hear of its link. All calls come from the event loop, never from inside a call to the link. */
export interface LinkHandler {
  /** Bytes arrived. They are the handler's until it returns; what it keeps beyond that it copies. */
  linkData(chunk: Buffer): void;
  /** All that `write` had refused to call taken is taken now. */
  linkDrain(): void;
  /** The peer will send nothing more. */
  linkEnd(): void;
  /** Gone, once, after everything else. `error` says why unless it was closed in order. */
  linkClosed(error: Error | undefined): void;
}

/** Who is at the other end, as far as the link knows. */
export interface LinkPeer {
  /** `10.0.0.7:41234`, `[::1]:41234`, or `unix:` with the path when there is one. */
  readonly remoteAddress: string;
  readonly localAddress: string;
  /** Set on TLS links. */
  readonly tls?: {
    /** `h2`, or empty when the peer chose nothing. */
    readonly alpn: string;
    /** True when the peer showed a certificate that our authorities vouch for. */
    readonly authorized: boolean;
    /** Subject alternative names of that certificate, as in `DNS:user.internal`, `URI:spiffe://shop/user`. */
    readonly subjectAltNames: readonly string[];
    /** Common name of its subject; empty without one. */
    readonly commonName: string;
  };
}

/**
 * A stream of bytes in both directions: node:net, node:tls, or two ends joined in memory.
 *
 * The link starts paused: nothing is delivered before `start`.
 */
export interface Link {
  readonly peer: LinkPeer;
  /** Begins delivery to `handler`. Called once. */
  start(handler: LinkHandler): void;
  /**
   * Sends bytes. The chunk must not change until `isIdle` is true or `linkDrain` was called.
   * Returns false when the link holds more than it likes: write nothing large before `linkDrain`.
   */
  write(chunk: Uint8Array): boolean;
  /** The same for several chunks, by one system call where possible. */
  writeAll(chunks: readonly Uint8Array[]): boolean;
  /** True when the system has taken all that was written: buffers may be reused. */
  readonly isIdle: boolean;
  /** Stops and starts `linkData`. */
  pause(): void;
  resume(): void;
  /** Sends what is buffered, then closes. */
  end(): void;
  /** Closes at once; buffered bytes may be lost. */
  destroy(error?: Error): void;
}
