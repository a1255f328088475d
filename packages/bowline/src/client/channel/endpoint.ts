import type { Candidate } from "../../balancer/balancer.ts";
import {
  ClientTransport,
  type ClientTransportOptions,
  type ClientTransportOwner,
} from "../../grpc/client-transport.ts";
import { DeadPeerError } from "../../grpc/connection-keeper.ts";
import { calmerKeepalive, TOO_MANY_PINGS } from "../../grpc/keepalive.ts";
import { ErrorCode } from "../../http2/frames.ts";
import type { Link } from "../../http2/link.ts";
import { DialError } from "../../net/dial-error.ts";
import type { Instance } from "../../registry/registry.ts";
import type { ConnectionBackoff } from "../../resilience/backoff.ts";
import { contextHere, type InContext } from "../../rpc/call-context.ts";
import type { Clock, Timer } from "../../rpc/clock.ts";
import type { Member, Suspicion } from "../discovery/membership.ts";

/**
 * What an endpoint is doing about its connections.
 *
 * ```text
 *   idle ── connect ──► connecting ── SETTINGS arrived ──► ready
 *    ▲                   │      ▲                           │
 *    │ rest              │ failed │ backoff over            │ last connection lost, or leaving
 *    │                   ▼      │                           ▼
 *    └─────────────── backoff ◄─┴── twice in a second ── (idle: the channel connects again at once)
 * ```
 *
 * Connections whose server has said GOAWAY finish their calls beside all that.
 */
export type EndpointState = "idle" | "connecting" | "ready" | "backoff" | "closed";

/** What endpoints of a channel share. */
export interface EndpointOptions {
  readonly clock: Clock;
  readonly transport: ClientTransportOptions;
  /** Connections to one address, when the server's stream limit is reached. */
  readonly maxConnections: number;
  /** Time from the start of `dial` to the server's SETTINGS, in ms. Default: `dial` and the limit `handshakeTimeoutMs` have bounds of their own. */
  readonly connectTimeoutMs?: number;
  backoff(): ConnectionBackoff;
  dial(address: string, signal: AbortSignal): Promise<Link>;
}

/** Whom an endpoint tells of itself. */
export interface EndpointOwner {
  stateChanged(endpoint: Endpoint): void;
  /** There is room for another call. */
  roomMade(): void;
  /** The last connection of a closed endpoint is gone. */
  departed(endpoint: Endpoint): void;
}

/** A lost connection is made again at once, but not twice in this time: a server may take connections and drop them. */
const QUICK_RECONNECT_MS = 1000;
/** Time for a sign of life after a PING to one that is suspected to be gone, in ms. */
const PROBE_TIMEOUT_MS = 10_000;
/** Servers take PINGs for an attack that come more often than this, in ms (gRFC A8). */
const PROBE_PERIOD_MS = 300_000;

/** Identity of an endpoint: the instance and the address that is used of it. */
export function endpointId(instanceId: string, address: string): string {
  return instanceId === address ? address : `${instanceId}@${address}`;
}

/** One address of one instance, with its connections. */
export class Endpoint implements Candidate, Member, ClientTransportOwner {
  readonly id: string;
  readonly address: string;
  /** As the registry told it last. */
  instance: Instance;
  /** The registry's last snapshot has it. */
  isListed = true;
  /** Why it is kept though the registry no longer lists it; null for one that is listed. */
  suspicion: Suspicion | null = null;
  /** The last attempt to connect failed, and none has succeeded since. */
  isUnreachable = false;
  /** As what its set counts it. */
  countedAs = 0;
  inFlight = 0;
  streaming = 0;
  /** The balancer's. */
  state: unknown = undefined;
  /** The connection that takes the next call; look at `isReady` before. */
  transport: ClientTransport | null = null;
  connectionState: EndpointState = "idle";
  /** Why the last connection failed or ended. */
  lastError: Error | null = null;
  readonly #options: EndpointOptions;
  readonly #owner: EndpointOwner;
  /** The channel's, whose watch has told of the instance: connections are for no single call. */
  readonly #inContext: InContext = contextHere();
  /** Made with the first failure: most endpoints never need it. */
  #backoff: ConnectionBackoff | null = null;
  #transportOptions: ClientTransportOptions;
  /** Connections that take calls, unless they are full. */
  #usable: ClientTransport[] = [];
  /** Connections whose server takes no new calls: they close with their last one. */
  readonly #leaving: Set<ClientTransport> = new Set();
  /** Connected, but the server's SETTINGS have not come. */
  #greeting: ClientTransport | null = null;
  /** Ends it if they don't come. */
  #greetingTimer: Timer | null = null;
  #dialing: AbortController | null = null;
  #retryTimer: Timer | null = null;
  /** Monotonic ms; a backoff counts from there. */
  #dialedAt = 0;
  #probeTimer: Timer | null = null;
  #noProbeUntil: number = Number.NEGATIVE_INFINITY;
  /** Monotonic ms until which a loss leads to a backoff. */
  #noQuickUntil: number = Number.NEGATIVE_INFINITY;
  /** While it runs no further connection is tried beside those that stand. */
  #growthTimer: Timer | null = null;

  /** `address` is the one that is dialled: one of the instance's, or what was put in its place. */
  constructor(instance: Instance, address: string, options: EndpointOptions, owner: EndpointOwner) {
    this.id = endpointId(instance.id, address);
    this.instance = instance;
    this.address = address;
    this.#options = options;
    this.#owner = owner;
    this.#transportOptions = options.transport;
  }

  get instanceId(): string {
    return this.instance.id;
  }

  /** Share of the load relative to the others; 0 = none. */
  get weight(): number {
    return this.instance.weight;
  }

  get zone(): string {
    return this.instance.zone;
  }

  get version(): string {
    return this.instance.version;
  }

  /** Its instance has announced that it will stop. */
  get isDraining(): boolean {
    return this.instance.state === "draining";
  }

  get reach(): Member["reach"] {
    if (this.connectionState === "ready") return "up";
    return this.isUnreachable ? "down" : "unknown";
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

  /** Open connections, those that are about to close among them. */
  get connectionCount(): number {
    return this.#usable.length + this.#leaving.size + (this.#greeting === null ? 0 : 1);
  }

  /** A number that changes with each call that is sent on a connection that lives. */
  get activity(): number {
    return this.#usable.reduce((sum, transport) => sum + transport.connection.nextId, 0);
  }

  /** Connects if nothing is under way; during a backoff the wait goes on. */
  connect(): void {
    if (this.connectionState === "idle") this.#dial();
  }

  /** Ends a backoff: somebody has reason to believe that it works now. */
  connectNow(): void {
    if (this.connectionState !== "backoff") return this.connect();
    this.#retryTimer?.cancel();
    this.#dial();
  }

  /** All connections are full: one more, up to the limit. */
  grow(): void {
    if (this.connectionState !== "ready" || this.#dialing !== null || this.#greeting !== null) return;
    this.#retire(this.#usable.filter((transport) => !transport.connection.isUsable));
    if (this.#usable.length === 0)
      return this.#lost(new Error(`${this.address}: a connection has used up its streams`), true);
    if (this.#usable.length >= this.#options.maxConnections) return;
    if (this.#growthTimer === null) this.#dial();
  }

  /** Asks for a sign of life: a connection without one ends. For one whose machine may be gone without having closed it. */
  probe(): void {
    const { clock } = this.#options;
    if (this.#usable.length === 0 || clock.now() < this.#noProbeUntil) return;
    this.#noProbeUntil = clock.now() + PROBE_PERIOD_MS;
    const seen = new Map(this.#usable.map(({ connection }) => [connection, connection.chunksReceived]));
    // Any octet will do, so the answer itself need not be waited for.
    for (const connection of seen.keys()) connection.ping(() => {});
    this.#probeTimer = clock.setTimeout(() => {
      const text = `${this.address} gave no sign of life within ${PROBE_TIMEOUT_MS} ms after a PING`;
      const error = new DeadPeerError(text);
      for (const [connection, chunks] of seen) if (connection.chunksReceived === chunks) connection.abort(error);
    }, PROBE_TIMEOUT_MS);
  }

  /** Takes no calls any more; connections close when their calls have ended, or at once. */
  close(isGraceful: boolean): void {
    const wasClosed = this.connectionState === "closed";
    this.connectionState = "closed";
    this.#stopConnecting();
    this.#retire(this.#usable);
    for (const transport of isGraceful ? [] : [...this.#leaving]) transport.connection.close();
    if (!wasClosed && this.connectionCount === 0) this.#owner.departed(this);
  }

  /** Closes connections and stops making any, until `connect`. Only while no call is in flight. */
  rest(): void {
    if (this.connectionState === "closed") return;
    this.connectionState = "idle";
    this.isUnreachable = false;
    this.#stopConnecting();
    this.#retire(this.#usable);
  }

  // --- ClientTransportOwner ---

  usable(transport: ClientTransport): void {
    if (this.#greeting === transport) {
      this.#greeted();
      this.#usable.push(transport);
      this.#backoff?.reset();
      this.isUnreachable = false;
    }
    if (this.transport === null || !this.transport.canSend) this.transport = this.#usable.at(-1) ?? null;
    if (this.connectionState === "connecting") {
      this.lastError = null;
      this.#become("ready");
    }
    this.#owner.roomMade();
  }

  roomMade(transport: ClientTransport): void {
    // It was leaving or has used up its ids, and its last call has ended.
    if (transport.streamCount === 0 && (!transport.connection.isUsable || this.#leaving.has(transport))) {
      transport.connection.close();
    }
    this.#owner.roomMade();
  }

  leaving(transport: ClientTransport, code: number, debug: string): void {
    if (debug === TOO_MANY_PINGS && this.#transportOptions.keepalive !== null) {
      const keepalive = calmerKeepalive(this.#transportOptions.keepalive);
      this.#transportOptions = { ...this.#transportOptions, keepalive };
    }
    if (this.#leaving.has(transport)) return;
    const what = debug === "" && code !== 0 ? `code ${code}` : debug;
    const error = new Error(`${this.address} takes no new calls on this connection${what === "" ? "" : `: ${what}`}`);
    this.#retire(this.#usable.filter((each) => each === transport));
    // The calls that it carried bound how often this can be: no backoff keeps further ones from a server that goes by numbers of calls.
    this.#lost(error, code === ErrorCode.NO_ERROR && transport.connection.nextId > 1);
  }

  closed(transport: ClientTransport, error: Error | undefined): void {
    const cause = error ?? new Error(`${this.address} closed the connection`);
    if (this.#greeting === transport) {
      this.#greeted();
      this.#failed(cause);
    } else if (!this.#leaving.delete(transport)) {
      this.#takeOut(transport);
      this.#lost(cause);
    }
    if (this.connectionState === "closed" && this.connectionCount === 0) this.#owner.departed(this);
  }

  // --- connecting ---

  #otherTransport(): boolean {
    for (const transport of this.#usable) {
      if (!transport.canSend) continue;
      this.transport = transport;
      return true;
    }
    return false;
  }

  #takeOut(transport: ClientTransport): void {
    this.#usable = this.#usable.filter((each) => each !== transport);
    if (this.transport === transport) this.transport = this.#usable[0] ?? null;
  }

  /** Connections that get no further calls: they close with their last one, at once if there is none. */
  #retire(transports: readonly ClientTransport[]): void {
    for (const transport of [...transports]) {
      this.#takeOut(transport);
      this.#leaving.add(transport);
      if (transport.streamCount === 0) transport.connection.close();
    }
  }

  #dial(): void {
    const controller = new AbortController();
    this.#dialing = controller;
    this.#dialedAt = this.#options.clock.now();
    if (this.connectionState !== "ready") this.#become("connecting");
    this.#inContext(async () => this.#options.dial(this.address, controller.signal)).then(
      (link) => this.#inContext(() => this.#connected(controller, link)),
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
    const greeting = new ClientTransport(link, this.#transportOptions, this);
    this.#greeting = greeting;
    const { clock, connectTimeoutMs } = this.#options;
    if (connectTimeoutMs !== undefined) {
      const text = `it took the connection but sent nothing of HTTP/2; is it a gRPC server, and alive? (gave up after ${connectTimeoutMs} ms)`;
      const leftMs = Math.max(0, this.#dialedAt + connectTimeoutMs - clock.now());
      const giveUp = (): void => greeting.connection.abort(new DialError("timeout", this.address, text));
      this.#greetingTimer = clock.setTimeout(giveUp, leftMs);
    }
    greeting.start();
  }

  /** The connection is made, or will not be. */
  #greeted(): void {
    this.#greeting = null;
    this.#greetingTimer?.cancel();
    this.#greetingTimer = null;
  }

  /** No connection came about. */
  #failed(error: Error): void {
    if (this.connectionState === "ready") {
      // One more than those that stand: the calls that wait for it ask again later.
      const { clock } = this.#options;
      const waitMs = Math.max(0, this.#dialedAt + this.#nextBackoffMs() - clock.now());
      this.#growthTimer = clock.setTimeout(() => {
        this.#growthTimer = null;
        this.#owner.roomMade();
      }, waitMs);
    } else if (this.connectionState === "connecting") {
      this.#backOff(error);
    }
  }

  /** A connection that took calls does so no more; `isOrderly` if it carried some, and came to the end that all come to. */
  #lost(error: Error, isOrderly = false): void {
    if (this.connectionState !== "ready" || this.#usable.length > 0) return;
    this.lastError = error;
    // One that was to stand beside it is on its way.
    if (this.#dialing !== null || this.#greeting !== null) return this.#become("connecting");
    const now = this.#options.clock.now();
    if (now < this.#noQuickUntil && !isOrderly) return this.#backOff(error);
    this.#noQuickUntil = now + QUICK_RECONNECT_MS;
    this.#become("idle");
  }

  #backOff(error: Error): void {
    const { clock } = this.#options;
    this.isUnreachable = true;
    this.lastError = error.message.includes(this.address) ? error : new Error(`${this.address}: ${error.message}`);
    const waitMs = Math.max(0, this.#dialedAt + this.#nextBackoffMs() - clock.now());
    this.#retryTimer = clock.setTimeout(() => this.#dial(), waitMs);
    this.#become("backoff");
  }

  #nextBackoffMs(): number {
    this.#backoff ??= this.#options.backoff();
    return this.#backoff.next();
  }

  #stopConnecting(): void {
    this.#retryTimer?.cancel();
    this.#probeTimer?.cancel();
    this.#growthTimer?.cancel();
    this.#growthTimer = null;
    this.#dialing?.abort();
    this.#dialing = null;
    const greeting = this.#greeting;
    this.#greeted();
    greeting?.connection.close();
  }

  #become(state: EndpointState): void {
    if (this.connectionState === state) return;
    this.connectionState = state;
    this.#owner.stateChanged(this);
  }
}
