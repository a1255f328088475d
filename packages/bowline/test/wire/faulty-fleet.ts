import { connectionLifetime, pingPolicy, serverKeepalive } from "../../src/grpc/keepalive.ts";
import { serverHeaders } from "../../src/grpc/server-headers.ts";
import { type ServerRoute, ServerTransport, type ServerTransportOptions } from "../../src/grpc/server-transport.ts";
import { http2Limits } from "../../src/http2/limits.ts";
import type { Link } from "../../src/http2/link.ts";
import { silentLogger } from "../../src/observe/logger.ts";
import type { Clock } from "../../src/rpc/clock.ts";
import type { Random } from "../../src/rpc/random.ts";
import { TimerWheel } from "../../src/rpc/timer-wheel.ts";
import { type Handler, MethodServer } from "../../src/server/method-server.ts";
import { serverPipeline } from "../../src/server/pipeline.ts";
import { Router } from "../../src/server/router.ts";
import { type MemoryLink, memoryLinkPair } from "../../src/testing/memory-link.ts";
import { WIRE, type WireHandlers } from "./wire-service.ts";

/** One connection of a fleet: both ends of its link, and the server's half. */
export interface FleetConnection {
  readonly client: MemoryLink;
  readonly server: MemoryLink;
  readonly transport: ServerTransport;
}

/** Bounds that bring every kind of waiting about within a few hundred milliseconds. */
export const tightLimits = {
  maxConcurrentStreams: 8,
  streamWindowBytes: 65_535,
  connectionWindowBytes: 65_535,
  handshakeTimeoutMs: 150,
  stallTimeoutMs: 200,
  maxSendBufferBytes: 2048,
} as const;

/**
 * Servers of the service WIRE behind a network that goes wrong by chance: dialing is refused or takes long, links cut chunks at any
 * octet, delay, freeze and break, and servers send GOAWAY at any moment. All of it follows from `random`.
 */
export class FaultyFleet {
  readonly connections: FleetConnection[] = [];
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #options: ServerTransportOptions;

  constructor(handlers: WireHandlers, clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
    const router = new Router();
    router.add(WIRE, handlers);
    const pipeline = serverPipeline({ clock, wheel: new TimerWheel(clock), interceptors: [], without: [] });
    const common = { clock, pipeline, logger: silentLogger, propagate: [], compression: null, compressFromBytes: 1024 };
    router.build((method, handler: Handler) => new MethodServer(method, handler, common));
    const route = (path: string): ServerRoute | null => router.route(path);
    this.#options = {
      clock,
      random,
      limits: http2Limits(tightLimits),
      keepalive: serverKeepalive(),
      pings: pingPolicy(),
      lifetime: connectionLifetime(),
      maxReceiveBytes: 100_000,
      route,
      unknown: (path) => router.unknown(path),
      headers: serverHeaders(route),
      explain: () => undefined,
    };
  }

  /** Connects to a new server, or fails. */
  dial(): Promise<Link> {
    const waitMs = this.#chance(0.3) ? this.#upTo(60) : 0;
    const fails = this.#chance(0.1);
    return new Promise((resolve, reject) => {
      const settle = (): void => (fails ? reject(new Error("refused by chance")) : resolve(this.#connect()));
      if (waitMs === 0) settle();
      else this.#clock.setTimeout(settle, waitMs);
    });
  }

  /** Ends everything. */
  close(): void {
    for (const { client, transport } of this.connections) {
      transport.connection.close();
      client.reset();
    }
  }

  #connect(): Link {
    const [client, server] = memoryLinkPair({
      clock: this.#clock,
      delayMs: this.#chance(0.5) ? this.#upTo(8) : 0,
      chunkBytes: this.#chance(0.5) ? () => 1 + Math.floor(this.#upTo(200)) : 65_536,
      highWaterBytes: this.#chance(0.3) ? this.#upTo(3000) : 65_536,
      isSlowToTake: this.#chance(0.3),
    });
    const transport = new ServerTransport(server, this.#options, { closed: () => {}, misused: () => {} });
    this.connections.push({ client, server, transport });
    transport.start();
    if (this.#chance(0.7)) this.#scheduleFault(client, server, transport);
    return client;
  }

  #scheduleFault(client: MemoryLink, server: MemoryLink, transport: ServerTransport): void {
    const end = this.#chance(0.5) ? client : server;
    const faults: readonly (() => void)[] = [
      () => client.reset(),
      () => end.freeze(),
      () => {
        end.freeze();
        this.#later(this.#upTo(120), () => end.thaw());
      },
      () => end.destroy(),
      () => end.end(),
      () => transport.refuse("by chance"),
      () => {
        transport.announceShutdown("by chance");
        this.#later(this.#upTo(40), () => transport.refuse("by chance"));
      },
      () => transport.connection.close(),
    ];
    const fault = faults[Math.floor(this.#random() * faults.length)];
    this.#later(this.#upTo(250), fault);
  }

  #later(ms: number, task: () => void): void {
    this.#clock.setTimeout(task, ms);
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }

  #upTo(most: number): number {
    return this.#random() * most;
  }
}
