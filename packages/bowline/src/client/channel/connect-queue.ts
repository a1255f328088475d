import type { Random } from "../../rpc/random.ts";
import type { Endpoint } from "./endpoint.ts";

/**
 * Attempts to connect that are under way at one time in one channel. A set of thousands is connected in portions: file descriptors, handshakes
 * and the servers' queues are finite, and calls need one connection to begin with.
 */
const MAX_CONNECTING = 64;

/** Endpoints that are to be connected, in the order in which they came; a crowd in an order of its own for each client. */
export class ConnectQueue {
  readonly #random: Random;
  readonly #waiting: Set<Endpoint> = new Set();

  constructor(random: Random) {
    this.#random = random;
  }

  /** Endpoints that stand in it already keep their place. */
  add(endpoints: readonly Endpoint[]): void {
    // A thousand clients that learn of the same set together must not begin with the same servers.
    const order = endpoints.length > MAX_CONNECTING ? shuffled(endpoints, this.#random) : endpoints;
    for (const endpoint of order) this.#waiting.add(endpoint);
  }

  delete(endpoint: Endpoint): void {
    this.#waiting.delete(endpoint);
  }

  clear(): void {
    this.#waiting.clear();
  }

  /** Connects as many as may be under way beside the `connecting()` that are. */
  advance(connecting: () => number): void {
    for (const endpoint of this.#waiting) {
      if (connecting() >= MAX_CONNECTING) return;
      this.#waiting.delete(endpoint);
      endpoint.connectNow();
    }
  }
}

/** Fisher and Yates. */
function shuffled<T>(list: readonly T[], random: Random): readonly T[] {
  const result = [...list];
  for (let last = result.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [result[last], result[other]] = [result[other], result[last]];
  }
  return result;
}
