import {
  checkSocketAddress,
  formatAddress,
  isUnixAddress,
  parseListenAddress,
  type SocketAddress,
} from "../../net/address.ts";
import type { ListenTarget } from "../../net/listener.ts";
import { checkLineFaults, type LineFaults } from "../link-line.ts";
import type { FaultLink } from "./fault-link.ts";
import type { Acceptor } from "./memory-listener.ts";

/** What a memory network does to the connections of an address; both ways of a link have the same faults, each by itself. */
export interface NetworkFaults extends LineFaults {
  /** Share of new connections that are refused, 0 to 1. Default 0. */
  readonly refusedShare?: number;
  /** Bytes that an end of a new link may have on their way before its `write` returns false. Default 65,536. */
  readonly highWaterBytes?: number;
  /** New links take bytes only when they have arrived, as TLS sockets do. Default false. */
  readonly isSlowToTake?: boolean;
}

/** Hosts that stand for all of a machine. */
const WILDCARDS: readonly string[] = ["", "0.0.0.0", "::"];
/** Where free ports are looked for, as systems do. */
const FIRST_FREE_PORT = 49_152;

/** An address of a memory network: who listens there, and what goes wrong. */
export class Place {
  /** Its one form, such as `users:1`. */
  readonly address: string;
  acceptor: Acceptor | null = null;
  faults: NetworkFaults = {};
  isRefusing = false;
  isCutOff = false;
  readonly links: Set<FaultLink> = new Set();
  /** Attempts to connect that get no answer. */
  readonly unanswered: Set<() => void> = new Set();

  constructor(address: string) {
    this.address = address;
  }
}

/** The places of a memory network, by address. */
export class Places {
  readonly #all: Map<string, Place> = new Map();

  /** All that were ever named. */
  get all(): Iterable<Place> {
    return this.#all.values();
  }

  /** Where somebody listens. */
  get taken(): readonly string[] {
    return [...this.#all.values()].filter(({ acceptor }) => acceptor !== null).map(({ address }) => address);
  }

  /** The place that a connection to `address` leads to: its own, or that of a wildcard with its port. */
  find(address: SocketAddress): Place {
    const own = this.at(address);
    if (own.acceptor !== null || isUnixAddress(address)) return own;
    for (const host of WILDCARDS) {
      const place = this.#all.get(textOf({ host, port: address.port }));
      if (place !== undefined && place.acceptor !== null) return place;
    }
    return own;
  }

  /** The place of exactly this address. */
  at(address: SocketAddress): Place {
    const text = textOf(address);
    let place = this.#all.get(text);
    if (place === undefined) this.#all.set(text, (place = new Place(text)));
    return place;
  }

  /** The address to listen on, with a free port for 0. */
  withPort(address: SocketAddress): SocketAddress {
    if (isUnixAddress(address) || address.port !== 0) return address;
    let port = FIRST_FREE_PORT;
    while (this.find({ host: address.host, port }).acceptor !== null) port++;
    return { host: address.host, port };
  }
}

/** Reads where to listen or whom to control. @throws RangeError that says what is wrong with the text */
export function readPlace(target: ListenTarget): SocketAddress {
  return typeof target === "string" ? parseListenAddress(target) : checkSocketAddress(target);
}

/** @throws RangeError naming the fault that is out of range */
export function checkFaults(faults: NetworkFaults): void {
  checkLineFaults(faults, true);
  const { refusedShare = 0, highWaterBytes = 0 } = faults;
  if (!(refusedShare >= 0 && refusedShare <= 1)) {
    throw new RangeError(`refusedShare must be from 0 to 1, not ${refusedShare}`);
  }
  if (!(highWaterBytes >= 0)) throw new RangeError(`highWaterBytes must be 0 or more, not ${highWaterBytes}`);
}

/** Names in lower case: targets bring them so. */
function textOf(address: SocketAddress): string {
  return isUnixAddress(address) ? formatAddress(address) : formatAddress(address).toLowerCase();
}
