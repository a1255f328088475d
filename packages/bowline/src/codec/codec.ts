/**
 * Turns messages of one type into bytes and back.
 *
 * Generated code, protobuf-es and pass-through bytes all fill this interface. On a unary call `measure` is followed at once by
 * `write` of the same message, so an implementation that can't know the size beforehand may encode in `measure` and copy in `write`.
 */
export interface Codec<T> {
  /** Content-subtype on the wire, in lower case: `proto` in `application/grpc+proto`. */
  readonly name: string;

  /** At least as many bytes as `write` will need. Throws when the message can't be encoded. */
  measure(message: T): number;

  /** Encodes into `target` from `at` on and returns the position behind the last byte. */
  write(message: T, target: Buffer, at: number): number;

  /**
   * Encodes like `write`, but nobody has measured the message: a position behind the end of `target` says that it did not fit, and
   * what lies there then is of no use. For codecs to whom measuring costs as much as writing.
   */
  attempt?(message: T, target: Buffer, at: number): number;

  /** The room that `attempt` needs behind `at`, as far as the messages before tell: so much is made for it, in bytes. */
  readonly likelyBytes?: number;

  /**
   * Decodes `source[start, end)`. The bytes belong to the connection and are overwritten later: what is kept must be copied.
   * Throws on malformed input; the call then ends with INTERNAL.
   */
  read(source: Buffer, start: number, end: number): T;

  /**
   * Like `read` of all of `bytes`, which were gathered for this message alone: it may keep them and show parts of them. Asked for
   * messages of 16 KiB or more, where `read` would copy once more than is needed.
   */
  own?(bytes: Buffer): T;

  /**
   * The whole encoded message when it exists already as one piece that may be sent without copying (it must not change
   * until the call has ended). Asked only for messages that measure 16 KiB or more.
   */
  whole?(message: T): Uint8Array;

  /**
   * The same codec for messages whose objects may take at most so many bytes of memory, about: what `maxDecodedBytes` of a client or a
   * server asks for, once for each method. `read` and `own` of that codec throw an `RpcError` RESOURCE_EXHAUSTED, reason `limit`, for larger
   * ones. Codecs without it are used as they are.
   */
  bounded?(maxDecodedBytes: number): Codec<T>;

  /**
   * The codec of the same messages under another content-subtype, such as `json`; undefined when there is none. The same object
   * each time. Asked with whatever name a peer sends: it must not throw, and keep nothing for names that it does not know.
   */
  as?(name: string): Codec<T> | undefined;
}

/** Marks codecs whose `own` takes any Uint8Array: to make a Buffer of one costs as much as to read a small message. */
export const OWNS_ARRAYS: unique symbol = Symbol("own takes any Uint8Array");

/** Marks codecs whose `read` shows parts of the bytes that it was given: they must stay until what was read has been used. */
export const SHOWS_BYTES: unique symbol = Symbol("read shows parts of its source");

/** An array of up to 64 bytes lies in V8's own heap. A larger one has memory of its own, which costs 0.3 µs: a piece of Buffer's pool is better. */
const MAX_HEAP_BYTES = 64;

/** Messages are bytes already: for proxies, benchmarks and tests. What `read` returns is a copy. */
export const bytesCodec: Codec<Uint8Array> = {
  name: "proto",
  measure: (message) => {
    // A text has a length, too, and would go out as zeros.
    if (message instanceof Uint8Array) return message.length;
    throw new TypeError(`a message of this method is a Uint8Array, not ${message === null ? "null" : typeof message}`);
  },
  write: (message, target, at) => {
    target.set(message, at);
    return at + message.length;
  },
  read: (source, start, end) => {
    if (end - start > MAX_HEAP_BYTES) return Buffer.from(source.subarray(start, end));
    const copy = new Uint8Array(end - start);
    for (let i = 0; i < copy.length; i++) copy[i] = source[start + i];
    return copy;
  },
  own: (bytes) => bytes,
  whole: (message) => message,
};

/** The codec for messages of up to `maxDecodedBytes` of objects if it has one, and if that is asked for. */
export function boundedCodec<T>(codec: Codec<T>, maxDecodedBytes: number | undefined): Codec<T> {
  return maxDecodedBytes === undefined ? codec : (codec.bounded?.(maxDecodedBytes) ?? codec);
}

/** Smaller ones may lie in a pool with others, and a copy costs little. */
const OWN_FROM_BYTES = 16_384;

/** Decodes `source[start, end)`; `isOwned` tells that the bytes were gathered for this message alone. */
export function decode<T>(codec: Codec<T>, source: Buffer, start: number, end: number, isOwned: boolean): T {
  if (!isOwned || end - start < OWN_FROM_BYTES || codec.own === undefined) return codec.read(source, start, end);
  return codec.own(source.subarray(start, end));
}
