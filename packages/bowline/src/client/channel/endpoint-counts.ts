import type { Endpoint } from "./endpoint.ts";

/** What an endpoint counts as, in bits. */
const WEIGHTED = 1;
const READY = 2;
const FAILED = 4;
const CONNECTING = 8;
const DRAINING = 16;
const UNLISTED = 32;
const ALL_BITS = 63;
/** Tells an endpoint that is none of these from one that is not counted. */
const COUNTED = 64;

/** How many endpoints of a set are what: kept up to date with each change of one, so that nobody has to look at all of them. */
export class EndpointCounts {
  /** By all bits together. */
  readonly #counts: Uint32Array = new Uint32Array(64);

  /** An endpoint is new, or something about it has changed. */
  update(endpoint: Endpoint): void {
    this.#move(endpoint, COUNTED | bitsOf(endpoint));
  }

  /** An endpoint has left. */
  remove(endpoint: Endpoint): void {
    this.#move(endpoint, 0);
  }

  /** Those that have a weight and are connected. */
  get ready(): number {
    return this.#sum(WEIGHTED | READY, 0);
  }

  /** Those that have a weight and whose last attempt to connect failed. */
  get failed(): number {
    return this.#sum(WEIGHTED | FAILED, 0);
  }

  /** Those that have a weight. */
  get weighted(): number {
    return this.#sum(WEIGHTED, 0);
  }

  /** Those that are about to connect. */
  get connecting(): number {
    return this.#sum(CONNECTING, 0);
  }

  get draining(): number {
    return this.#sum(DRAINING, 0);
  }

  /** Those that have a weight, are connected and have not announced their end. */
  get readyStayers(): number {
    return this.#sum(WEIGHTED | READY, DRAINING);
  }

  /** The same, of those that the registry lists. */
  get readyListed(): number {
    return this.#sum(WEIGHTED | READY, DRAINING | UNLISTED);
  }

  #move(endpoint: Endpoint, bits: number): void {
    if (endpoint.countedAs === bits) return;
    if (endpoint.countedAs !== 0) this.#counts[endpoint.countedAs & ALL_BITS]--;
    if (bits !== 0) this.#counts[bits & ALL_BITS]++;
    endpoint.countedAs = bits;
  }

  #sum(all: number, none: number): number {
    let sum = 0;
    for (let bits = 0; bits < this.#counts.length; bits++) {
      if ((bits & all) === all && (bits & none) === 0) sum += this.#counts[bits];
    }
    return sum;
  }
}

function bitsOf(endpoint: Endpoint): number {
  const state = endpoint.connectionState;
  return (
    (endpoint.weight > 0 ? WEIGHTED : 0) |
    (state === "ready" ? READY : 0) |
    (state === "backoff" ? FAILED : 0) |
    (state === "connecting" ? CONNECTING : 0) |
    (endpoint.isDraining ? DRAINING : 0) |
    (endpoint.isListed ? 0 : UNLISTED)
  );
}
