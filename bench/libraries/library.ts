import type { MessageSet } from "../messages/message-kind.ts";

/** What is timed: messages to bytes, or bytes to messages. */
export type Direction = "encode" | "decode";

/** One way to turn messages into bytes and back, measured in a process of its own. */
export interface Library {
  /** Gets everything ready for the messages of a kind: messages in the library's own form, bytes to decode. */
  prepare(set: MessageSet): Passes;
}

/** Work over all messages of a set, and the same for one of them to see that it is right. */
export interface Passes {
  /** Encodes each message once and gives the sum of the bytes; not given by those that only decode. */
  readonly encode?: () => number;
  /** Decodes each message once and gives the last. */
  readonly decode?: () => unknown;
  /** What the n-th message is encoded to, as protobuf bytes. */
  readonly encoded?: (index: number) => Uint8Array;
  /** What the n-th message is decoded to, as protobuf bytes again. */
  readonly decoded?: (index: number) => Uint8Array;
}

/**
 * A copy of a function of which V8 knows nothing yet: what one kind of messages teaches it about types does not slow down the loop
 * of the next. The function uses its arguments only.
 */
export function freshCopy<F extends (...given: never[]) => unknown>(original: F): F {
  return new Function(`return (${original});`)() as F;
}
