import { type Codec, SHOWS_BYTES } from "./codec.ts";

/**
 * The same codec without the copies of fields of type bytes: they show what the socket has read. That memory is written to again as soon as
 * any connection reads on, so that they must be used up before the first `await` that waits for anything: in a handler and the interceptors
 * in front of it, behind a call, or for each element of a stream. For services that hash, forward or store large fields at once.
 *
 * The memory is one for all connections. It can't be transferred to a worker; nothing prevents `ArrayBuffer.prototype.transfer`, after which
 * no connection of the process reads on.
 *
 * A codec that copies nothing, or can't do without, is returned as it is.
 */
export function sharedBytes<T>(codec: Codec<T>): Codec<T> {
  const { own } = codec;
  if (own === undefined) return codec;
  const json = codec.as?.bind(codec);
  const bounded = codec.bounded?.bind(codec);
  const shared: Codec<T> & { readonly [SHOWS_BYTES]: true } = {
    [SHOWS_BYTES]: true,
    name: codec.name,
    measure: (message) => codec.measure(message),
    write: (message, target, at) => codec.write(message, target, at),
    attempt: codec.attempt?.bind(codec),
    get likelyBytes() {
      return codec.likelyBytes;
    },
    read: (source, start, end) => own.call(codec, source.subarray(start, end)),
    own: own.bind(codec),
    // What it is to send may be what it has shown: by the time it leaves, that would be written over.
    whole: undefined,
    bounded: bounded && ((maxDecodedBytes) => sharedBytes(bounded(maxDecodedBytes))),
    as: (name) => (name === codec.name ? shared : json?.(name)),
  };
  return shared;
}
