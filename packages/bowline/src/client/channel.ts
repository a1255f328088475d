import type { Balancer } from "../balancer/balancer.ts";
import type { Compression } from "../codec/compression.ts";
import type { RequestConstants } from "../grpc/method-headers.ts";
import { RequestHeaders } from "../grpc/method-headers.ts";
import { MethodStats } from "../observe/method-stats.ts";
import type { Instance, Snapshot, WatchHandler, Watcher } from "../registry/registry.ts";
import type { Clock, Timer } from "../rpc/clock.ts";
import { Code } from "../rpc/code.ts";
import type { Method } from "../rpc/method.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import { TimerWheel } from "../rpc/timer-wheel.ts";
import type { Call } from "./call.ts";
import { Endpoint, type EndpointOptions, type EndpointOwner } from "./endpoint.ts";

/**
 * gRPC's connectivity states (grpc/doc/connectivity-semantics-and-api.md).
 *
 * ```text
 *   idle ──call or connect()──► connecting ──► ready
 *                                  │   ▲         │
 *                                  ▼   │         ▼
 *                          transient-failure   idle / connecting          closed, from anywhere
 * ```
 */
export type ChannelState = "idle" | "connecting" | "ready" | "transient-failure" | "closed";

/** A method as one channel calls it. */
export interface CallMethod {
  readonly method: Method;
  readonly headers: RequestHeaders;
  readonly stats: MethodStats;
}

/** What a channel is made with. */
export interface ChannelOptions {
  readonly clock: Clock;
  /** For people, in errors. */
  readonly target: string;
  readonly balancer: Balancer<Endpoint>;
  readonly endpoint: EndpointOptions;
  readonly constants: RequestConstants;
  readonly compression: Compression | null;
  readonly compressFromBytes: number;
  readonly maxReceiveBytes: number;
  /** Calls that may wait for an endpoint. */
  readonly maxWaitingCalls: number;
  /** Without a call for this long connections are closed, in ms; 0 = never. */
  readonly idleTimeoutMs: number;
  watch(handler: WatchHandler): Watcher;
  /** The channel was closed: what was opened for it may go. */
  closed(): void;
}

/**
 * One target: its endpoints as the registry tells them, their connections, and the balancer that chooses among them.
 */
export class Channel implements EndpointOwner, WatchHandler {
  readonly target: string;
  readonly clock: Clock;
  readonly balancer: Balancer<Endpoint>;
  readonly wheel: TimerWheel;
  readonly compression: Compression | null;
  readonly compressFromBytes: number;
  readonly maxReceiveBytes: number;
  readonly #options: ChannelOptions;
  readonly #methods: Map<string, CallMethod> = new Map();
  readonly #endpoints: Map<string, Endpoint> = new Map();
  readonly #listeners: Set<(state: ChannelState) => void> = new Set();
  #state: ChannelState = "idle";
  #watcher: Watcher | null = null;
  #hasSnapshot = false;
  #registryError: Error | null = null;
  #waiting: Call[] = [];
  #isServing = false;
  #idleTimer: Timer | null = null;
  #lastCallAt = 0;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.target = options.target;
    this.clock = options.clock;
    this.balancer = options.balancer;
    this.wheel = new TimerWheel(options.clock);
    this.compression = options.compression;
    this.compressFromBytes = options.compressFromBytes;
    this.maxReceiveBytes = options.maxReceiveBytes;
  }

  get state(): ChannelState {
    return this.#state;
  }

  /** Calls back with each new state, until the returned function is called. */
  onState(listener: (state: ChannelState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** All endpoints, as they are now. */
  get endpoints(): readonly Endpoint[] {
    return [...this.#endpoints.values()];
  }

  /** Counts and latencies of the methods that were called. */
  get stats(): readonly MethodStats[] {
    return [...this.#methods.values()].map((each) => each.stats);
  }

  /** The method as this channel calls it; made at first use. */
  method(method: Method): CallMethod {
    let known = this.#methods.get(method.path);
    if (known === undefined || known.method !== method) {
      const headers = new RequestHeaders(this.#methods.size, method.path, method.input.name, this.#options.constants);
      known = { method, headers, stats: known?.stats ?? new MethodStats(method.path) };
      this.#methods.set(method.path, known);
    }
    return known;
  }

  /** Connects, and resolves when a call could be sent; rejects when the channel is closed or `signal` is aborted. */
  connect(signal?: AbortSignal): Promise<void> {
    this.#wake();
    return new Promise((resolve, reject) => {
      const check = (): void => {
        if (this.#state === "ready") settle(resolve);
        else if (this.#state === "closed") settle(() => reject(this.#closedError()));
        else if (signal?.aborted) settle(() => reject(RpcError.from(signal.reason)));
      };
      const stop = this.onState(check);
      const settle = (done: () => void): void => {
        stop();
        signal?.removeEventListener("abort", check);
        done();
      };
      signal?.addEventListener("abort", check, { once: true });
      check();
    });
  }

  /** The endpoint for an attempt, or null when none can take it now. */
  pick(avoid: Endpoint | null): Endpoint | null {
    return this.balancer.pick(avoid);
  }

  /** A call found no endpoint: it waits, or is told why it can't. */
  enqueue(call: Call): void {
    this.#wake();
    if (this.#state === "closed") return call.refuse(this.#closedError());
    if (this.#waiting.length >= this.#options.maxWaitingCalls) this.#waiting = this.#waiting.filter((each) => !each.isOver);
    if (this.#waiting.length >= this.#options.maxWaitingCalls) {
      const text = `${this.#waiting.length} calls wait for ${this.target} already (maxWaitingCalls)`;
      return call.refuse(new RpcError(Code.RESOURCE_EXHAUSTED, text, { reason: "limit" }));
    }
    if (this.#state === "transient-failure" && call.options?.waitForReady !== true) {
      return call.refuse(this.#unavailable());
    }
    this.#waiting.push(call);
    for (const endpoint of this.#endpoints.values()) if (endpoint.isFull) endpoint.grow();
  }

  /** What a call that has no endpoint is waiting for, in words. */
  waitingFor(): string {
    if (this.#endpoints.size === 0) {
      return this.#hasSnapshot ? `${this.target} has no instances` : `${this.target} is not resolved yet${because(this.#registryError)}`;
    }
    const error = this.#lastError();
    if (error !== null) return `no connection to ${this.target}${because(error)}`;
    return this.#state === "ready" ? `all connections to ${this.target} have as many calls as they may` : `still connecting to ${this.target}`;
  }

  /** Ends it: calls that wait or run fail, connections close. */
  close(): void {
    if (this.#state === "closed") return;
    this.#become("closed");
    this.#watcher?.close();
    this.#idleTimer?.cancel();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const call of waiting) call.refuse(this.#closedError());
    for (const endpoint of this.#endpoints.values()) endpoint.close(false);
    this.#endpoints.clear();
    this.balancer.update([]);
    this.#listeners.clear();
    this.#options.closed();
  }

  // --- WatchHandler ---

  snapshot(snapshot: Snapshot): void {
    if (this.#state === "closed") return;
    this.#hasSnapshot = true;
    this.#registryError = null;
    const seen = new Set<string>();
    for (const instance of snapshot.instances) {
      const endpoint = this.#endpointOf(instance);
      if (endpoint === null) continue;
      seen.add(endpoint.id);
      endpoint.weight = instance.weight;
      endpoint.isDraining = instance.state === "draining";
    }
    for (const [id, endpoint] of this.#endpoints) {
      if (seen.has(id)) continue;
      this.#endpoints.delete(id);
      endpoint.close(true);
    }
    this.#updateBalancer();
    if (this.#state !== "idle") for (const endpoint of this.#endpoints.values()) endpoint.connect();
    this.#settle();
  }

  failed(error: Error): void {
    this.#registryError = error;
    this.#settle();
  }

  // --- EndpointOwner ---

  stateChanged(endpoint: Endpoint): void {
    if (this.#state === "closed") return;
    if (endpoint.connectionState === "backoff") this.#watcher?.refresh();
    // A lost connection is made again at once, as long as the channel is in use.
    if (endpoint.connectionState === "idle" && !this.#isResting) endpoint.connect();
    this.#settle();
  }

  roomMade(): void {
    if (this.#waiting.length > 0) this.#serveWaiting();
  }

  // --- in detail ---

  get #isResting(): boolean {
    return this.#state === "idle";
  }

  #endpointOf(instance: Instance): Endpoint | null {
    const address = instance.addresses[0]?.address;
    if (address === undefined) return null;
    const made = new Endpoint(instance.id, address, instance.weight, this.#options.endpoint, this);
    const known = this.#endpoints.get(made.id);
    if (known !== undefined) return known;
    this.#endpoints.set(made.id, made);
    return made;
  }

  /** Draining instances get calls only while there is nobody else. */
  #updateBalancer(): void {
    const all = this.endpoints;
    const staying = all.filter((endpoint) => !endpoint.isDraining);
    this.balancer.update(staying.length > 0 ? staying : all);
  }

  /** Leaves rest: watches the target and connects. */
  #wake(): void {
    this.#lastCallAt = this.clock.now();
    if (this.#state !== "idle") return;
    this.#become("connecting");
    this.#watchIdleness();
    if (this.#watcher === null) this.#watcher = this.#options.watch(this);
    for (const endpoint of this.#endpoints.values()) endpoint.connect();
    this.#settle();
  }

  /** Works out the state of the whole, and what it means for calls that wait. */
  #settle(): void {
    if (this.#state === "idle" || this.#state === "closed") return;
    const states = this.endpoints.map((endpoint) => endpoint.connectionState);
    if (states.includes("ready")) this.#become("ready");
    else if (states.includes("connecting")) this.#become(this.#state === "transient-failure" ? "transient-failure" : "connecting");
    else if (states.includes("backoff") || this.#hasSnapshot || this.#registryError !== null) this.#become("transient-failure");
    if (this.#state === "ready") this.#serveWaiting();
    else if (this.#state === "transient-failure") this.#refuseWaiting();
  }

  #serveWaiting(): void {
    if (this.#isServing) return;
    this.#isServing = true;
    let served = 0;
    for (const call of this.#waiting) {
      if (!call.isOver) {
        const endpoint = this.balancer.pick(null);
        if (endpoint === null) break;
        call.sendTo(endpoint);
      }
      served++;
    }
    this.#waiting.splice(0, served);
    this.#isServing = false;
  }

  #refuseWaiting(): void {
    const patient: Call[] = [];
    const refused: Call[] = [];
    for (const call of this.#waiting) {
      if (call.isOver) continue;
      (call.options?.waitForReady === true ? patient : refused).push(call);
    }
    this.#waiting = patient;
    if (refused.length === 0) return;
    for (const call of refused) call.refuse(this.#unavailable());
  }

  #unavailable(): RpcError {
    const hasEndpoints = this.#endpoints.size > 0;
    return new RpcError(Code.UNAVAILABLE, this.waitingFor(), {
      cause: this.#lastError() ?? this.#registryError ?? undefined,
      reason: hasEndpoints ? "connection" : "no-endpoint",
    });
  }

  #closedError(): RpcError {
    return new RpcError(Code.CANCELLED, `the channel to ${this.target} is closed`, { reason: "closed" });
  }

  #lastError(): Error | null {
    for (const endpoint of this.#endpoints.values()) if (endpoint.lastError !== null) return endpoint.lastError;
    return null;
  }

  #watchIdleness(): void {
    const { idleTimeoutMs } = this.#options;
    if (idleTimeoutMs <= 0 || this.#idleTimer !== null) return;
    this.#idleTimer = this.clock.setInterval(() => this.#checkIdleness(idleTimeoutMs), Math.max(1000, idleTimeoutMs / 4));
  }

  #checkIdleness(idleTimeoutMs: number): void {
    const started = this.stats.reduce((sum, each) => sum + each.started, 0);
    if (started !== this.#startedBefore || this.stats.some((each) => each.inFlight > 0)) {
      this.#startedBefore = started;
      this.#lastCallAt = this.clock.now();
      return;
    }
    if (this.#state !== "ready" || this.clock.now() - this.#lastCallAt < idleTimeoutMs) return;
    this.#become("idle");
    this.#idleTimer?.cancel();
    this.#idleTimer = null;
    for (const endpoint of this.#endpoints.values()) endpoint.rest();
  }

  #startedBefore = 0;

  #become(state: ChannelState): void {
    if (this.#state === state) return;
    this.#state = state;
    for (const listener of [...this.#listeners]) listener(state);
  }
}

function because(error: Error | null): string {
  return error === null ? "" : `: ${error.message}`;
}
