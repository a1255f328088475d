import { atEndOfTurn } from "../rpc/turn.ts";

/**
 * What `measure` encoded and nobody has fetched yet: one message for the whole process, because `write` follows at once.
 * Any other order only costs encoding again. Large bytes that nobody fetches are let go when the turn ends.
 */
const kept: { codec: unknown; message: unknown; bytes: Uint8Array | undefined } = {
  codec: undefined,
  message: undefined,
  bytes: undefined,
};

/** Up to this size it does no harm that the last message measured stays in memory until the next one. */
const MAX_KEPT_BYTES = 16 * 1024;

/** For `measure` of a codec: keeps the message's encoded form for `takeEncoded`. */
export function keepEncoded(codec: unknown, message: unknown, bytes: Uint8Array): void {
  kept.codec = codec;
  kept.message = message;
  kept.bytes = bytes;
  if (bytes.length > MAX_KEPT_BYTES) {
    atEndOfTurn(() => {
      if (kept.bytes === bytes) forget();
    });
  }
}

/** For `write` of a codec: what it kept of this message last, once; undefined when it must encode anew. */
export function takeEncoded(codec: unknown, message: unknown): Uint8Array | undefined {
  if (kept.message !== message || kept.codec !== codec) return undefined;
  const bytes = kept.bytes;
  forget();
  return bytes;
}

function forget(): void {
  kept.codec = undefined;
  kept.message = undefined;
  kept.bytes = undefined;
}
