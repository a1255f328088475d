import { connectionMisuse } from "../grpc/misuse.ts";
import { ServerTransport, type ServerTransportOptions, type ServerTransportOwner } from "../grpc/server-transport.ts";
import type { Link } from "../http2/link.ts";
import type { Misbehaviour } from "../observe/misbehaviour.ts";
import type { RpcError } from "../rpc/rpc-error.ts";

/** Connections that wait for the server's start; of more the oldest are closed, which mostly are gone already. */
const MAX_HELD = 10_000;
/** Debug data of GOAWAY. */
const SHUTTING_DOWN = "the server is shutting down";

/**
 * The HTTP/2 connections of a server.
 *
 * ```text
 *   holding ── open ──► open ── announceShutdown ──► leaving ── refuse ──► refusing ── close ──► (no connection left)
 * ```
 *
 * While it is holding, clients are connected but get no answer, not even SETTINGS: to them the server is still starting.
 */
export class Connections implements ServerTransportOwner {
  readonly #transports: Set<ServerTransport> = new Set();
  readonly #options: ServerTransportOptions;
  readonly #misbehaviour: Misbehaviour;
  #held: Link[] | null = [];
  #isRefusing = false;
  #emptied: (() => void)[] = [];

  constructor(options: ServerTransportOptions, misbehaviour: Misbehaviour) {
    this.#options = options;
    this.#misbehaviour = misbehaviour;
  }

  get count(): number {
    return this.#transports.size;
  }

  /** Calls that run on all of them. */
  get callCount(): number {
    let count = 0;
    for (const { connection } of this.#transports) count += connection.streams.size;
    return count;
  }

  /** Takes a new connection. One that comes while the server is leaving is served like any other: it found no better one. */
  accept(link: Link): void {
    if (this.#held !== null) {
      if (this.#held.push(link) > MAX_HELD) this.#held.shift()?.destroy();
      return;
    }
    const transport = new ServerTransport(link, this.#options, this);
    this.#transports.add(transport);
    transport.start();
    if (this.#isRefusing) transport.refuse(SHUTTING_DOWN);
  }

  /** Begins to serve. */
  open(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const link of held) this.accept(link);
  }

  /** Asks all clients to open nothing more; what is on its way is still taken. */
  announceShutdown(): void {
    for (const transport of [...this.#transports]) transport.announceShutdown(SHUTTING_DOWN);
  }

  /** Takes no new calls; connections end with their last call. */
  refuse(): void {
    this.#isRefusing = true;
    for (const transport of [...this.#transports]) transport.refuse(SHUTTING_DOWN);
  }

  /** Resolves when no connection is left. */
  empty(): Promise<void> {
    if (this.#transports.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#emptied.push(resolve));
  }

  /** Ends all calls that still run with this status, then the connections. */
  close(error: RpcError): void {
    this.#isRefusing = true;
    for (const link of this.#held ?? []) link.destroy();
    this.#held = null;
    for (const transport of [...this.#transports]) transport.cancel(error);
  }

  // --- ServerTransportOwner ---

  closed(transport: ServerTransport, error: Error | undefined): void {
    this.#transports.delete(transport);
    if (error !== undefined) this.#report(transport, error);
    if (this.#transports.size > 0) return;
    const waiting = this.#emptied;
    this.#emptied = [];
    for (const each of waiting) each();
  }

  misused(transport: ServerTransport, kind: string, text: string): void {
    this.#misbehaviour.add(kind, transport.connection.link.peer.remoteAddress, text);
  }

  #report(transport: ServerTransport, error: Error): void {
    const kind = connectionMisuse(error);
    if (kind !== null) this.misused(transport, kind, `connection ended: ${error.message}`);
  }
}
