import type { Link } from "../../http2/link.ts";
import { formatAddress, isUnixAddress, type SocketAddress } from "../../net/address.ts";
import type { DialOptions } from "../../net/dial.ts";
import { ListenError } from "../../net/listen-error.ts";
import { DEFAULT_MAX_CONNECTIONS, type Listener, type ListenOptions, type ListenTarget } from "../../net/listener.ts";
import type { Network } from "../../net/network.ts";
import { type Clock, systemClock } from "../../rpc/clock.ts";
import { checkOptions, type OptionSpecs } from "../../rpc/options.ts";
import { type Random, seededRandom } from "../../rpc/random.ts";
import { KeepAlive } from "../keep-alive.ts";
import { memoryLinkPair } from "../memory-link.ts";
import { checkRawPeerOptions, RawPeer, type RawPeerOptions } from "../raw-peer.ts";
import { FaultLink } from "./fault-link.ts";
import { type DialingNetwork, MemoryDialing } from "./memory-dialing.ts";
import { type Acceptor, MemoryListener } from "./memory-listener.ts";
import { checkFaults, lineFaults, type NetworkFaults, type Place, Places, type Route, readPlace } from "./place.ts";
import { RawAcceptor, type RawListener, type RawScript } from "./raw-listener.ts";

/** How a memory network behaves. */
export interface MemoryNetworkOptions {
  /** The clock of delays. Default: real time; with a `VirtualClock` give the same one to servers and clients. */
  readonly clock?: Clock;
  /** The chance of jitter and refusals. Default: `seededRandom(1)`, so that each run is the same. */
  readonly random?: Random;
  /** Of every new connection, unless its address has others; a function is asked for each, by the address that is dialled. Default: none. */
  readonly faults?: NetworkFaults | ((address: string, random: Random) => NetworkFaults);
}

/** Ports of clients begin here. */
const FIRST_CLIENT_PORT = 40_001;
/** What sockets wait at the end of a link: 5 s for its last bytes, 1 s for the other end. */
const LINGER_MS = 6000;

const SPECS: OptionSpecs = {
  clock: { kind: "object", methods: ["now", "fresh", "setTimeout", "setInterval"], example: "a VirtualClock" },
  random: { kind: "function" },
  faults: { kind: "any" },
};

/**
 * A network in memory that joins any number of servers and clients: give it to them as `network`.
 *
 * Addresses are names of your choice with a port, `users:1`; a host in a target is never asked of DNS. It carries no TLS
 * and no HTTP/1. In real time it keeps the process alive while an address is taken or a link is open, as sockets do.
 *
 * Throws a TypeError for an unknown option or fault, a RangeError for a fault out of range.
 */
export function memoryNetwork(options: MemoryNetworkOptions = {}): MemoryNetwork {
  checkOptions("memoryNetwork options", options, SPECS);
  if (typeof options.faults !== "function" && options.faults !== undefined) checkFaults(options.faults);
  return new MemoryNetwork(options);
}

/**
 * Made by {@link memoryNetwork}: what servers and clients use, and what a test does to them.
 *
 * What is done to an address is done to connections that dial it, and to those of who listens at it; it holds before somebody listens there
 * and when another does. The address of a wildcard stands for all connections of its listener.
 */
export class MemoryNetwork implements Network {
  readonly resolvesNames = true;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #faults: NonNullable<MemoryNetworkOptions["faults"]>;
  readonly #places: Places = new Places();
  readonly #links: Set<FaultLink> = new Set();
  readonly #keepAlive: KeepAlive | null;
  readonly #dialing: DialingNetwork;
  #clientPort = FIRST_CLIENT_PORT;

  /** Use {@link memoryNetwork}. */
  constructor({ clock = systemClock, random = seededRandom(1), faults = {} }: MemoryNetworkOptions) {
    this.#clock = clock;
    this.#random = random;
    this.#faults = faults;
    // In virtual time nothing happens by itself: whoever waits for it has a mistake, and the process may end.
    this.#keepAlive = clock === systemClock ? new KeepAlive() : null;
    const places = this.#places;
    this.#dialing = {
      clock,
      random,
      route: (address) => places.route(address),
      faultsOf: (route) => this.#faultsOf(route),
      get taken() {
        return places.taken;
      },
      connect: (route, listening, drawn) => this.#connect(route, listening, drawn),
    };
  }

  // --- Network ---

  /** Takes an address; port 0 takes any free one, and a wildcard (`0.0.0.0`, `[::]` or no host) is reached by any host's name. */
  async listen(target: ListenTarget, options: ListenOptions): Promise<Listener> {
    const { maxConnections = DEFAULT_MAX_CONNECTIONS, tls } = options;
    const text = typeof target === "string" ? target : JSON.stringify(target);
    if (!(Number.isInteger(maxConnections) && maxConnections >= 1)) {
      throw new RangeError(`maxConnections is ${maxConnections}; give a whole number from 1 on`);
    }
    if (tls !== undefined) {
      throw new ListenError("other", text, "a memory network carries no TLS; leave tls out, or use that of sockets");
    }
    return this.#take(target, (address, port, release) => {
      return new MemoryListener(address, port, options, maxConnections, release);
    });
  }

  dial(address: string, options: DialOptions): Promise<Link> {
    return new Promise((resolve, reject) => {
      new MemoryDialing(this.#dialing, address, options, resolve, reject).start();
    });
  }

  // --- scripted peers ---

  /**
   * Plays a server that says what `script` tells it to, on each connection to `address`. SETTINGS and PING are acknowledged
   * unless `options.acknowledges` is false.
   *
   * Throws a ListenError when the address is no address, or taken, and a TypeError for an unknown option.
   */
  listenRaw(address: string, script: RawScript = () => {}, options: Partial<RawPeerOptions> = {}): RawListener {
    checkRawPeerOptions(options);
    return this.#take(address, (bound, _port, release) => new RawAcceptor(bound, script, options, release));
  }

  /**
   * Connects a client that says what the test tells it to. SETTINGS and PING are acknowledged unless
   * `options.acknowledges` is false. Rejects with a DialError, or a TypeError for an unknown option.
   */
  async dialRaw(address: string, options: Partial<RawPeerOptions> = {}): Promise<RawPeer> {
    checkRawPeerOptions(options);
    const link = await this.dial(address, { clock: this.#clock });
    return new RawPeer(link, { acknowledges: true, ...options, role: "client" });
  }

  // --- what a test does ---

  /** The address with a port in place of 0 that nobody was given before; any other as it is. For who must know it before it listens. */
  freeAddress(address: string): string {
    return formatAddress(this.#places.withPort(readPlace(address)));
  }

  /** Links that are open, oldest first: to one address, or all. */
  links(address?: string): readonly FaultLink[] {
    return [...(address === undefined ? this.#links : this.#place(address).links)];
  }

  /** Changes the faults that are given, for all open and all later links to `address`; see `FaultLink` for one link. */
  setFaults(address: string, faults: NetworkFaults): void {
    checkFaults(faults);
    const place = this.#place(address);
    place.faults = { ...place.faults, ...faults };
    for (const link of place.links) link.set(lineFaults(faults));
  }

  /** New connections to `address` are refused; open ones live on. */
  refuse(address: string): void {
    this.#place(address).isRefusing = true;
  }

  /** Ends {@link refuse}. */
  accept(address: string): void {
    this.#place(address).isRefusing = false;
  }

  /** Nothing reaches or leaves `address`, without a word: its links are held up, and who connects gets no answer. */
  cutOff(address: string): void {
    const place = this.#place(address);
    place.isCutOff = true;
    for (const link of place.links) link.hold(place);
  }

  /** Ends {@link cutOff}: what was held up goes on but what a test froze by itself, and who still waits for a connection gets it. */
  restore(address: string): void {
    const place = this.#place(address);
    place.isCutOff = false;
    for (const link of place.links) link.release(place);
    for (const retry of [...place.unanswered]) retry();
  }

  /** Breaks all links and gives all addresses free. */
  close(): void {
    for (const place of this.#places.all) {
      place.acceptor?.stopAccepting();
      place.isCutOff = false;
    }
    for (const link of [...this.#links]) link.reset();
    for (const place of this.#places.all) for (const retry of [...place.unanswered]) retry();
  }

  // --- in detail ---

  #place(address: string): Place {
    return this.#places.at(readPlace(address));
  }

  #take<T extends Acceptor>(target: ListenTarget, make: (address: string, port: number, release: () => void) => T): T {
    let wanted: SocketAddress;
    try {
      wanted = this.#places.withPort(readPlace(target));
    } catch (error) {
      const text = typeof target === "string" ? target : JSON.stringify(target);
      throw new ListenError("address", text, error instanceof Error ? error.message : String(error), error);
    }
    const place = this.#places.at(wanted);
    if (place.acceptor !== null) {
      throw new ListenError("in-use", place.address, "somebody listens there already; close that or use another port");
    }
    const release = (): void => {
      place.acceptor = null;
      this.#keepAlive?.release();
    };
    const acceptor = make(place.address, isUnixAddress(wanted) ? 0 : wanted.port, release);
    place.acceptor = acceptor;
    this.#keepAlive?.hold();
    return acceptor;
  }

  #faultsOf({ named, listening }: Route): NetworkFaults {
    const general = typeof this.#faults === "function" ? this.#faults(named.address, this.#random) : this.#faults;
    checkFaults(general);
    return { ...general, ...listening?.faults, ...named.faults };
  }

  #connect({ places, named: { address } }: Route, listening: Place, faults: NetworkFaults): Link {
    // As with sockets, the file of a Unix socket is the name of one end only.
    const clientAddress = address.startsWith("unix:") ? "unix:" : `127.0.0.1:${this.#clientPort++}`;
    const { refusedShare: _, ...rest } = faults;
    const [client, server] = memoryLinkPair({
      ...rest,
      clock: this.#clock,
      random: this.#random,
      lingerMs: LINGER_MS,
      peers: [
        { remoteAddress: address, localAddress: clientAddress },
        { remoteAddress: clientAddress, localAddress: address },
      ],
    });
    const link = new FaultLink(listening.address, client, server);
    const holders = [this.#links, ...places.map(({ links }) => links)];
    for (const links of holders) links.add(link);
    this.#keepAlive?.hold();
    void link.closed.then(() => {
      for (const links of holders) links.delete(link);
      this.#keepAlive?.release();
    });
    listening.acceptor?.accept(server);
    return client;
  }
}
