/**
 * Turns messages of one type into bytes and back.
 *
 * Generated code, protobuf-es and pass-through bytes all fill this interface. On a unary call `measure` is followed at once by
 * `write` of the same message, so an implementation that can't know the size beforehand may encode in `measure` and copy in `write`.
 */
export interface Codec<T> {
  /** Content-subtype on the wire: `proto` in `application/grpc+proto`. */
  readonly name: string;

  /** At least as many bytes as `write` will need. Throws when the message can't be encoded. */
  measure(message: T): number;

  /** Encodes into `target` from `at` on and returns the position behind the last byte. */
  write(message: T, target: Buffer, at: number): number;

  /**
   * Decodes `source[start, end)`. The bytes belong to the connection and are overwritten later: what is kept must be copied.
   * Throws on malformed input; the call then ends with INTERNAL.
   */
  read(source: Buffer, start: number, end: number): T;

  /**
   * The whole encoded message when it exists already as one piece that may be sent without copying (it must not change
   * until the call has ended). Asked only for messages that measure 16 KiB or more.
   */
  whole?(message: T): Uint8Array;
}

/** Messages are bytes already: for proxies, benchmarks and tests. What `read` returns is a copy. */
export const bytesCodec: Codec<Uint8Array> = {
  name: "proto",
  measure: (message) => message.length,
  write: (message, target, at) => {
    target.set(message, at);
    return at + message.length;
  },
  read: (source, start, end) => Uint8Array.prototype.slice.call(source, start, end),
  whole: (message) => message,
};
