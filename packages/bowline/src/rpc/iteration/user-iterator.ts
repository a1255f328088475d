/** Messages that a user streams: requests of a client, answers of a handler. */
export type Messages = AsyncIterable<unknown> | Iterable<unknown>;

/** What gives them, one after the other. */
export type MessageIterator = AsyncIterator<unknown> | Iterator<unknown>;

/** True for what messages can be taken from. */
export function isMessages(value: unknown): value is Messages {
  return typeof value === "object" && value !== null && (Symbol.asyncIterator in value || Symbol.iterator in value);
}

/** Begins to read `messages`. Whoever stops before the end calls {@link leaveQuietly}. */
export function iteratorOf(messages: Messages): MessageIterator {
  if (isNodeStream(messages)) return streamIterator(messages);
  return Symbol.asyncIterator in messages ? messages[Symbol.asyncIterator]() : messages[Symbol.iterator]();
}

/** Lets a user's generator run its `finally`, and closes a stream; the call has its status already. */
export async function leaveQuietly(iterator: MessageIterator): Promise<void> {
  try {
    await iterator.return?.();
  } catch {
    // Nobody is left to tell.
  }
}

/** Lets messages go that nobody has begun to read: a stream holds its file or socket until it is told. */
export function leaveUnread(messages: unknown): void {
  if (!isMessages(messages)) return;
  try {
    void leaveQuietly(iteratorOf(messages));
  } catch {
    // As when they are left later.
  }
}

/** What the streams of Node have, and those that are made like them. */
interface NodeStream extends AsyncIterable<unknown> {
  on(event: "error", listener: () => void): unknown;
  destroy(): unknown;
}

function isNodeStream(messages: Messages): messages is NodeStream {
  return Symbol.asyncIterator in messages && "pipe" in messages && "on" in messages && "destroy" in messages;
}

/**
 * A stream holds its file or socket from the beginning, but its iterator closes it only if it was read from, and not while it waits for
 * more. Who leaves it closes it.
 */
function streamIterator(stream: NodeStream): AsyncIterator<unknown> {
  const iterator = stream[Symbol.asyncIterator]();
  return {
    next: () => iterator.next(),
    return: async () => {
      // Nobody else may listen, and a file that could not be opened would end the process.
      stream.on("error", () => {});
      stream.destroy();
      return iterator.return?.() ?? { value: undefined, done: true };
    },
  };
}
