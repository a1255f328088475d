import type { Candidate } from "../balancer/balancer.ts";
import { ClientTransport, type ClientTransportOptions, type ClientTransportOwner } from "../grpc/client-transport.ts";
import type { Link } from "../http2/link.ts";
import type { ConnectionBackoff } from "../resilience/backoff.ts";
import type { Clock, Timer } from "../rpc/clock.ts";

/**
 * What an endpoint is doing about its connections.
 *
 * ```text
 *   idle ── connect ──► connecting ── SETTINGS arrived ──► ready
 *    ▲                   │      ▲                           │
 *    │ close             │ failed │ backoff over            │ last connection lost
 *    │                   ▼      │                           ▼
 *    └─────────────── backoff ◄─┴──────────────── (connecting, at once)
 * ```
 */
export type EndpointState = "idle" | "connecting" | "ready" | "backoff" | "closed";

/** What endpoints of a channel share. */
export interface EndpointOptions {
  readonly clock: Clock;
  readonly transport: ClientTransportOptions;
  /** Connections to one address, when the server's stream limit is reached. */
  readonly maxConnections: number;
  backoff(): ConnectionBackoff;
  dial(address: string, signal: AbortSignal): Promise<Link>;
}

/** Whom an endpoint tells of itself. */
export interface EndpointOwner {
  stateChanged(endpoint: Endpoint): void;
  /** There is room for another call. */
  roomMade(): void;
}

/** One address of one instance, with its connections. */
export class Endpoint implements Candidate, ClientTransportOwner {
  readonly id: string;
  readonly instanceId: string;
  readonly address: string;
  weight: number;
  /** Its instance has announced that it will stop. */
  isDraining = false;
  inFlight = 0;
  /** The balancer's. */
  state: unknown = undefined;
  /** The connection that takes the next call; look at `isReady` before. */
  transport: ClientTransport | null = null;
  connectionState: EndpointState = "idle";
  /** Why the last connection failed. */
  lastError: Error | null = null;
  readonly #options: EndpointOptions;
  readonly #owner: EndpointOwner;
  readonly #backoff: ConnectionBackoff;
  #transports: ClientTransport[] = [];
  #dialing: AbortController | null = null;
  #retryTimer: Timer | null = null;

  constructor(instanceId: string, address: string, weight: number, options: EndpointOptions, owner: EndpointOwner) {
    this.id = instanceId === address ? address : `${instanceId}@${address}`;
    this.instanceId = instanceId;
    this.address = address;
    this.weight = weight;
    this.#options = options;
    this.#owner = owner;
    this.#backoff = options.backoff();
  }

  /** True when a call may be sent now; `transport` is the connection for it. */
  get isReady(): boolean {
    const { transport } = this;
    if (transport === null) return false;
    return transport.canSend || this.#otherTransport();
  }

  /** True when it is connected but every connection has as many calls as the server allows. */
  get isFull(): boolean {
    return this.connectionState === "ready" && !this.isReady;
  }

  get connectionCount(): number {
    return this.#transports.length;
  }

  /** Connects if nothing is under way; during a backoff the wait goes on. */
  connect(): void {
    if (this.connectionState === "idle") this.#dial();
  }

  /** Ends a backoff: somebody has reason to believe that it works now. */
  connectNow(): void {
    if (this.connectionState === "backoff") {
      this.#retryTimer?.cancel();
      this.#dial();
    } else {
      this.connect();
    }
  }

  /** All connections are full: one more, up to the limit. */
  grow(): void {
    if (this.connectionState !== "ready" || this.#dialing !== null) return;
    if (this.#transports.length < this.#options.maxConnections) this.#dial();
  }

  /** Takes no calls any more; connections close when their calls have ended, or at once. */
  close(isGraceful: boolean): void {
    if (this.connectionState === "closed") return;
    this.connectionState = "closed";
    this.#retryTimer?.cancel();
    this.#dialing?.abort();
    this.#dialing = null;
    this.transport = null;
    for (const transport of this.#transports.slice()) {
      if (!isGraceful || transport.streamCount === 0) transport.connection.close();
    }
  }

  /** Closes connections that no call uses; the next call connects again. */
  rest(): void {
    if (this.connectionState !== "ready" || this.inFlight > 0) return;
    this.transport = null;
    for (const transport of this.#transports.slice()) transport.connection.close();
  }

  // --- ClientTransportOwner ---

  usable(transport: ClientTransport): void {
    if (this.connectionState === "closed") return transport.connection.close();
    if (this.transport === null || !this.transport.canSend) this.transport = transport;
    if (this.connectionState !== "ready") {
      this.#backoff.reset();
      this.lastError = null;
      this.#become("ready");
    }
    this.#owner.roomMade();
  }

  roomMade(transport: ClientTransport): void {
    if (transport.streamCount === 0 && (!transport.connection.isUsable || this.connectionState === "closed")) {
      // It was leaving, and its last call has ended.
      transport.connection.close();
    }
    this.#owner.roomMade();
  }

  leaving(transport: ClientTransport, code: number, debug: string): void {
    if (code !== 0) this.lastError = new Error(`the server at ${this.address} sent GOAWAY: ${debug || `code ${code}`}`);
    if (transport.streamCount === 0) return transport.connection.close();
    if (this.connectionState === "ready" && !this.isReady && this.#dialing === null) this.#dial();
  }

  closed(transport: ClientTransport, error: Error | undefined): void {
    this.#transports = this.#transports.filter((each) => each !== transport);
    if (this.transport === transport) this.transport = this.#transports[0] ?? null;
    if (error !== undefined) this.lastError = error;
    if (this.connectionState === "closed" || this.#transports.length > 0) return;
    if (this.connectionState === "ready") {
      this.#become("idle");
      return;
    }
    // It never became usable.
    if (this.connectionState === "connecting") this.#failed(error ?? new Error(`${this.address} closed the connection before its SETTINGS`));
  }

  // --- connecting ---

  #otherTransport(): boolean {
    for (const transport of this.#transports) {
      if (!transport.canSend) continue;
      this.transport = transport;
      return true;
    }
    return false;
  }

  #dial(): void {
    const controller = new AbortController();
    this.#dialing = controller;
    if (this.connectionState !== "ready") this.#become("connecting");
    this.#options.dial(this.address, controller.signal).then(
      (link) => this.#connected(controller, link),
      (error: Error) => {
        if (this.#dialing !== controller) return;
        this.#dialing = null;
        this.#failed(error);
      },
    );
  }

  #connected(controller: AbortController, link: Link): void {
    if (this.#dialing !== controller) return link.destroy();
    this.#dialing = null;
    const transport = new ClientTransport(link, this.#options.transport, this);
    this.#transports.push(transport);
    transport.start();
  }

  #failed(error: Error): void {
    this.lastError = error;
    if (this.connectionState !== "connecting") return;
    this.#retryTimer = this.#options.clock.setTimeout(() => this.#dial(), this.#backoff.next());
    this.#become("backoff");
  }

  #become(state: EndpointState): void {
    this.connectionState = state;
    this.#owner.stateChanged(this);
  }
}
