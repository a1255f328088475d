import { setTimeout as delay } from "node:timers/promises";
import { Code, RpcError } from "bowline";

/** How often a stream is opened again without a message in between. */
const MAX_ATTEMPTS = 5;

/**
 * A stream that outlives the instance behind it: when that is lost, it is opened again, on another one.
 *
 * No framework can do this by itself, since it does not know what was missed. Here nothing is: the streams of this shop begin with the
 * present state. The pause before another try is `pauseMs`, and longer with each.
 */
export async function* resumed<T>(
  open: () => AsyncIterable<T>,
  signal: AbortSignal,
  pauseMs: number = 50,
): AsyncIterable<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      for await (const message of open()) {
        attempt = 1;
        yield message;
      }
      return;
    } catch (error) {
      if (!isLost(error) || attempt === MAX_ATTEMPTS || signal.aborted) throw error;
      await delay(pauseMs * attempt, undefined, { signal });
    }
  }
}

function isLost(error: unknown): boolean {
  return RpcError.is(error) && error.code === Code.UNAVAILABLE;
}
