import {
  checkSocketAddress,
  formatAddress,
  isUnixAddress,
  parseListenAddress,
  type SocketAddress,
} from "../../net/address.ts";
import type { ListenTarget } from "../../net/listener.ts";
import { checkOptions, type OptionSpecs } from "../../rpc/options.ts";
import { checkAtLeast, checkLineFaults, LINE_FAULTS, type LineFaults } from "../link-line.ts";
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
const WILDCARDS: readonly string[] = ["0.0.0.0", "::"];
/** Where free ports are looked for, as systems do. */
const FIRST_FREE_PORT = 49_152;
const LAST_PORT = 65_535;

/**
 * An address of a memory network: who listens there, and what goes wrong. What goes wrong stays with the address, whoever listens there or
 * at a wildcard in its stead.
 */
export class Place {
  /** Its one form, such as `users:1`. */
  readonly address: string;
  acceptor: Acceptor | null = null;
  faults: NetworkFaults = {};
  isRefusing = false;
  isCutOff = false;
  /** Those that were dialled by this address, and those of who listens at it. */
  readonly links: Set<FaultLink> = new Set();
  /** Attempts to connect that get no answer. */
  readonly unanswered: Set<() => void> = new Set();

  constructor(address: string) {
    this.address = address;
  }
}

/** Where a connection leads. */
export interface Route {
  /** The place of the address that is dialled. */
  readonly named: Place;
  /** Who listens there: at the same place, or at a wildcard with its port. */
  readonly listening: Place | null;
  /** Both, or the one that they are. */
  readonly places: readonly Place[];
}

/** The places of a memory network, by address. */
export class Places {
  readonly #all: Map<string, Place> = new Map();
  #nextPort = FIRST_FREE_PORT;

  /** All that were ever named. */
  get all(): Iterable<Place> {
    return this.#all.values();
  }

  /** Where somebody listens. */
  get taken(): readonly string[] {
    return [...this.#all.values()].filter(({ acceptor }) => acceptor !== null).map(({ address }) => address);
  }

  /** Where a connection to `address` leads now. */
  route(address: SocketAddress): Route {
    const named = this.at(address);
    const listening = named.acceptor === null ? this.#wildcard(address) : named;
    return { named, listening, places: listening === null || listening === named ? [named] : [named, listening] };
  }

  /** The place of exactly this address. */
  at(address: SocketAddress): Place {
    const text = textOf(address);
    let place = this.#all.get(text);
    if (place === undefined) this.#all.set(text, (place = new Place(text)));
    return place;
  }

  /** The address to listen on, with a port for 0 that nobody was given before. */
  withPort(address: SocketAddress): SocketAddress {
    if (isUnixAddress(address) || address.port !== 0) return address;
    const { host } = address;
    for (let tries = 0; tries <= LAST_PORT - FIRST_FREE_PORT; tries++) {
      const port = this.#nextPort;
      this.#nextPort = port === LAST_PORT ? FIRST_FREE_PORT : port + 1;
      if (this.route({ host, port }).listening === null) return { host, port };
    }
    throw new RangeError(`no port of ${host} is free; close servers, or give them ports`);
  }

  #wildcard(address: SocketAddress): Place | null {
    if (isUnixAddress(address)) return null;
    const places = WILDCARDS.map((host) => this.#all.get(textOf({ host, port: address.port })));
    return places.find((place) => place !== undefined && place.acceptor !== null) ?? null;
  }
}

/** Reads where to listen or whom to control; no host is `[::]`, as sockets have it. @throws RangeError that says what is wrong with the text */
export function readPlace(target: ListenTarget): SocketAddress {
  const address = typeof target === "string" ? parseListenAddress(target) : checkSocketAddress(target);
  return isUnixAddress(address) || address.host !== "" ? address : { host: "::", port: address.port };
}

const NETWORK_FAULTS: OptionSpecs = {
  ...LINE_FAULTS,
  refusedShare: { kind: "any" },
  highWaterBytes: { kind: "any" },
  isSlowToTake: { kind: "any" },
};

/** @throws RangeError naming the fault that is out of range, TypeError for one that there is not */
export function checkFaults(faults: NetworkFaults): void {
  checkOptions("faults", faults, NETWORK_FAULTS);
  checkLineFaults(faults, true);
  const { refusedShare = 0, highWaterBytes = 0 } = faults;
  if (!(refusedShare >= 0 && refusedShare <= 1)) {
    throw new RangeError(`refusedShare must be from 0 to 1, not ${refusedShare}`);
  }
  checkAtLeast("highWaterBytes", highWaterBytes, 0);
}

/** Those that a link may take on while it is open. */
export function lineFaults(faults: NetworkFaults): LineFaults {
  return Object.fromEntries(Object.entries(faults).filter(([name]) => Object.hasOwn(LINE_FAULTS, name)));
}

/** Names in lower case: targets bring them so. */
function textOf(address: SocketAddress): string {
  return isUnixAddress(address) ? formatAddress(address) : formatAddress(address).toLowerCase();
}
