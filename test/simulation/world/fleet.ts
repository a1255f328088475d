import { createServer, type Server, silentLogger } from "bowline";
import { Dice } from "../engine/dice.ts";
import type { TappedNetwork } from "../network/tapped-network.ts";
import { type HandlerWorld, knotHandlers } from "./handlers.ts";
import { Knots } from "./knots.ts";

/** What servers need of their world. */
export interface FleetWorld extends HandlerWorld {
  readonly seed: number;
  readonly network: TappedNetwork;
  /** Servers have only faults of their connections: none ends them for their age. */
  readonly isCalm: boolean;
}

/** The servers of a run, one at each address at most. */
export class Fleet {
  readonly addresses: readonly string[];
  /** All that ever ran. */
  readonly servers: Server[] = [];
  readonly #world: FleetWorld;
  readonly #current: Map<string, Server> = new Map();
  readonly #closing: Promise<void>[] = [];

  constructor(world: FleetWorld, servers: number) {
    this.#world = world;
    this.addresses = Array.from({ length: servers }, (_, index) => `knots:${index + 1}`);
  }

  /** Starts a server here, unless one serves. */
  async start(address: string): Promise<void> {
    if (this.#current.has(address)) return;
    const { clock, network, ledger } = this.#world;
    const server = createServer({ ...this.#settings(address), listen: address, network, clock });
    this.servers.push(server);
    this.#current.set(address, server);
    server.add(Knots, knotHandlers(this.#world));
    try {
      await server.start();
    } catch (error) {
      // The one before has not let go of the address yet, or this one was told to stop meanwhile.
      const isExpected = /somebody listens there|close\(\) was called/.test(String(error));
      if (!isExpected) ledger.violation(`a server did not start: ${String(error)}`);
      if (this.#current.get(address) === server) this.#current.delete(address);
    }
  }

  /** Starts a server at each address that has none; those that are stopping are waited for. */
  async startAll(): Promise<void> {
    await Promise.all(this.#closing);
    await Promise.all(this.addresses.map((address) => this.start(address)));
  }

  /** Stops in order: as long as its settings say. */
  stop(address: string): void {
    const server = this.#current.get(address);
    if (server === undefined) return;
    this.#current.delete(address);
    const { ledger } = this.#world;
    this.#closing.push(
      server.close().catch((error: unknown) => ledger.violation(`a server did not stop: ${String(error)}`)),
    );
  }

  /** Ends without a word to anybody: what it had on the network is gone. */
  crash(address: string, isSilent: boolean): void {
    for (const link of this.#world.network.memory.links(address)) {
      if (isSilent) link.lose("server");
      else link.reset();
    }
    this.stop(address);
  }

  /** Stops all and resolves when all have stopped, those before too. */
  async close(): Promise<void> {
    for (const address of this.addresses) this.stop(address);
    await Promise.all(this.#closing);
  }

  #settings(address: string): Parameters<typeof createServer>[0] {
    const { seed, isCalm } = this.#world;
    const dice = new Dice(seed, `server ${address} ${this.servers.length}`);
    const sometimes = (share: number, least: number, most: number): number => {
      const ms = dice.between(least, most);
      return dice.chance(share) && !isCalm ? ms : Number.POSITIVE_INFINITY;
    };
    return {
      random: dice.random,
      logger: silentLogger,
      handleSignals: false,
      // Both are loaded when first used, which takes real time.
      health: false,
      reflection: false,
      drainAcceptMs: dice.whole(0, 300),
      drainTimeoutMs: dice.whole(0, 1500),
      compression: dice.chance(0.3) ? "gzip" : undefined,
      compressFromBytes: 0,
      keepalive: {
        timeMs: sometimes(0.5, 300, 3000),
        timeoutMs: 400,
        minPingMs: 1000,
        maxAgeMs: sometimes(0.4, 200, 8000),
        maxAgeGraceMs: sometimes(0.7, 50, 1000),
        maxIdleMs: sometimes(0.2, 300, 3000),
      },
      limits: {
        maxConcurrentStreams: dice.pick([2, 8, 100]),
        streamWindowBytes: dice.pick([65_535, 262_144]),
        connectionWindowBytes: dice.pick([65_535, 100_000, 1_048_576]),
        maxSendBufferBytes: dice.pick([1024, 65_536]),
        handshakeTimeoutMs: dice.whole(300, 3000),
        stallTimeoutMs: dice.whole(300, 3000),
      },
    };
  }
}
