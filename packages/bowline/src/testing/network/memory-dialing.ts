import type { Link } from "../../http2/link.ts";
import { parseAddress, type SocketAddress } from "../../net/address.ts";
import { DEFAULT_CONNECT_TIMEOUT_MS, type DialOptions } from "../../net/dial.ts";
import { DialError, type DialErrorKind } from "../../net/dial-error.ts";
import type { Clock } from "../../rpc/clock.ts";
import type { Random } from "../../rpc/random.ts";
import { inNextTurn } from "../../rpc/turn.ts";
import type { NetworkFaults, Place, Route } from "./place.ts";

/** What an attempt to connect needs of its network. */
export interface DialingNetwork {
  readonly clock: Clock;
  readonly random: Random;
  route(address: SocketAddress): Route;
  /** Of the link to be, drawn once. */
  faultsOf(route: Route): NetworkFaults;
  /** Where somebody listens, for messages. */
  readonly taken: readonly string[];
  /** Makes the link to the place that listens; it gets its end of it. */
  connect(route: Route, listening: Place, faults: NetworkFaults): Link;
}

/** One attempt to connect: under way → (without an answer →) settled. */
export class MemoryDialing {
  readonly #network: DialingNetwork;
  readonly #address: string;
  readonly #options: DialOptions;
  readonly #resolve: (link: Link) => void;
  readonly #reject: (error: DialError) => void;
  #isSettled = false;
  #stop: () => void = () => {};
  #stopWaiting: () => unknown = () => {};
  readonly #aborted = (): void => this.#fail("cancelled", "the caller gave up", this.#options.signal?.reason);

  constructor(
    network: DialingNetwork,
    address: string,
    options: DialOptions,
    resolve: (link: Link) => void,
    reject: (error: DialError) => void,
  ) {
    this.#network = network;
    this.#address = address;
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(): void {
    const { signal, tls } = this.#options;
    if (signal?.aborted === true) return this.#aborted();
    if (tls !== undefined) {
      return this.#fail("tls", "a memory network carries no TLS; leave tls out, or use the network of sockets");
    }
    let target: SocketAddress;
    try {
      target = parseAddress(this.#address);
    } catch (error) {
      return this.#fail("address", error instanceof Error ? error.message : String(error), error);
    }
    const faults = this.#network.faultsOf(this.#network.route(target));
    this.#wait(this.#travel(() => this.#arrived(target, faults), faults));
  }

  /** Waits for what settles it: the answer, the time, or the caller. */
  #wait(cancelTravel: () => void): void {
    const { signal, clock, connectTimeoutMs = DEFAULT_CONNECT_TIMEOUT_MS } = this.#options;
    const why = `no connection; check the address and the firewalls between (gave up after ${connectTimeoutMs} ms)`;
    const timer = clock.setTimeout(() => this.#fail("timeout", why), connectTimeoutMs);
    signal?.addEventListener("abort", this.#aborted, { once: true });
    this.#stop = () => {
      cancelTravel();
      timer.cancel();
      signal?.removeEventListener("abort", this.#aborted);
      this.#stopWaiting();
    };
  }

  /** There and back, as a TCP handshake. */
  #travel(arrived: () => void, { delayMs = 0, jitterMs = 0 }: NetworkFaults): () => void {
    const { clock, random } = this.#network;
    const roundTripMs = 2 * delayMs + (jitterMs === 0 ? 0 : (random() + random()) * jitterMs);
    if (roundTripMs === 0) {
      inNextTurn(arrived);
      return () => {};
    }
    const timer = clock.setTimeout(() => inNextTurn(arrived), roundTripMs);
    return () => timer.cancel();
  }

  #arrived(target: SocketAddress, faults: NetworkFaults): void {
    if (this.#isSettled) return;
    const route = this.#network.route(target);
    const { places, listening } = route;
    const cutOff = places.find(({ isCutOff }) => isCutOff);
    if (cutOff !== undefined) return this.#waitFor(cutOff, () => this.#arrived(target, faults));
    const { refusedShare = 0 } = faults;
    if (places.some(({ isRefusing }) => isRefusing) || (refusedShare > 0 && this.#network.random() < refusedShare)) {
      return this.#fail("refused", "the memory network refuses new connections there");
    }
    if (listening === null) {
      const taken = this.#network.taken.join(", ") || "nobody";
      return this.#fail("refused", `nothing listens there; in this memory network listens ${taken}`);
    }
    this.#settle();
    this.#resolve(this.#network.connect(route, listening, faults));
  }

  /** There is no answer until the place is restored. */
  #waitFor(place: Place, restored: () => void): void {
    const retry = (): void => {
      this.#stopWaiting();
      restored();
    };
    place.unanswered.add(retry);
    this.#stopWaiting = () => place.unanswered.delete(retry);
  }

  #fail(kind: DialErrorKind, why: string, cause?: unknown): void {
    if (this.#isSettled) return;
    this.#settle();
    this.#reject(new DialError(kind, this.#address, why, cause));
  }

  #settle(): void {
    this.#isSettled = true;
    this.#stop();
  }
}
