import { ServerTransport, type ServerTransportOptions, type ServerTransportOwner } from "../grpc/server-transport.ts";
import type { Link } from "../http2/link.ts";
import type { Logger } from "../observe/logger.ts";
import type { Clock } from "../rpc/clock.ts";

/** Log lines about misbehaving peers are at most this many in a period; the rest is counted. */
const MAX_LINES = 10;
const PERIOD_MS = 10_000;

/** The open HTTP/2 connections of a server. */
export class Connections implements ServerTransportOwner {
  readonly #transports: Set<ServerTransport> = new Set();
  readonly #options: ServerTransportOptions;
  readonly #logger: Logger;
  readonly #clock: Clock;
  #isDraining = false;
  #isRefusing = false;
  #emptied: (() => void)[] = [];
  #lines = 0;
  #suppressed = 0;
  #periodStart = 0;
  /** Connections that broke the rules, by the limit they passed or the error's name. */
  readonly misbehaved: Map<string, number> = new Map();

  constructor(options: ServerTransportOptions, logger: Logger) {
    this.#options = options;
    this.#logger = logger;
    this.#clock = options.clock;
  }

  get count(): number {
    return this.#transports.size;
  }

  /** Open calls on all connections. */
  get streamCount(): number {
    let count = 0;
    for (const transport of this.#transports) count += transport.connection.streams.size;
    return count;
  }

  /** Takes a new connection. */
  accept(link: Link): void {
    const transport = new ServerTransport(link, this.#options, this);
    this.#transports.add(transport);
    transport.start();
    if (this.#isDraining) transport.connection.announceShutdown(SHUTTING_DOWN);
    if (this.#isRefusing) this.#refuse(transport);
  }

  /** Asks all clients to open nothing more; what is on its way is still taken. */
  announceShutdown(): void {
    this.#isDraining = true;
    for (const transport of [...this.#transports]) {
      transport.connection.announceShutdown(SHUTTING_DOWN);
      if (transport.connection.streams.size === 0) transport.idleSince = this.#clock.now();
    }
  }

  /** Takes no new calls; connections close when their calls have ended. */
  refuse(): void {
    this.#isRefusing = true;
    for (const transport of [...this.#transports]) this.#refuse(transport);
  }

  /** Resolves when no connection is left. */
  empty(): Promise<void> {
    if (this.#transports.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#emptied.push(resolve));
  }

  /** Closes all now; calls that still run are cancelled. */
  close(): void {
    for (const transport of [...this.#transports]) transport.connection.close();
  }

  // --- ServerTransportOwner ---

  streamsChanged(transport: ServerTransport): void {
    if (this.#isRefusing && transport.connection.streams.size === 0) transport.connection.close();
  }

  closed(transport: ServerTransport, error: Error | undefined): void {
    this.#transports.delete(transport);
    if (error !== undefined) this.#report(transport, error);
    if (this.#transports.size > 0) return;
    const waiting = this.#emptied;
    this.#emptied = [];
    for (const each of waiting) each();
  }

  /** A client spoke something else than HTTP/2, or plaintext to TLS. */
  misuse(kind: string, peer: string, text: string): void {
    this.#count(kind);
    this.#warn({ peer, kind }, text);
  }

  #refuse(transport: ServerTransport): void {
    transport.connection.refuseNewStreams(0, SHUTTING_DOWN);
    if (transport.connection.streams.size === 0) transport.connection.close();
  }

  #report(transport: ServerTransport, error: Error): void {
    const fields = error as { readonly limit?: string; readonly byPeer?: boolean; readonly code?: number | string };
    // A client that goes away is no news.
    if (fields.byPeer === true || fields.code === "ECONNRESET" || fields.code === "EPIPE") return;
    this.#count(fields.limit ?? error.name);
    this.#warn({ peer: transport.connection.link.peer.remoteAddress, limit: fields.limit }, `connection ended: ${error.message}`);
  }

  #count(what: string): void {
    this.misbehaved.set(what, (this.misbehaved.get(what) ?? 0) + 1);
  }

  #warn(fields: object, text: string): void {
    const now = this.#clock.now();
    if (now - this.#periodStart > PERIOD_MS) {
      if (this.#suppressed > 0) this.#logger.warn({ suppressed: this.#suppressed }, "more connections misbehaved");
      this.#periodStart = now;
      this.#lines = 0;
      this.#suppressed = 0;
    }
    if (++this.#lines <= MAX_LINES) this.#logger.warn(fields, text);
    else this.#suppressed++;
  }
}

const SHUTTING_DOWN = "the server is shutting down";
