import type { Balancer } from "../../balancer/balancer.ts";
import type { Compression } from "../../codec/compression.ts";
import { type RequestConstants, RequestHeaders } from "../../grpc/wire/method-headers.ts";
import { MethodStats } from "../../observe/method-stats.ts";
import type { Snapshot, Watcher, WatchHandler } from "../../registry/registry.ts";
import type { RetryBudget } from "../../resilience/retry-budget.ts";
import type { Clock, Timer } from "../../rpc/clock.ts";
import { Code } from "../../rpc/code.ts";
import type { Method } from "../../rpc/method.ts";
import { RpcError } from "../../rpc/rpc-error.ts";
import { TimerWheel } from "../../rpc/timer-wheel.ts";
import type { Call } from "../call/call.ts";
import { abortError } from "../call/outcome.ts";
import type { Endpoint, EndpointOptions } from "./endpoint.ts";
import { EndpointSet, type EndpointSetOwner } from "./endpoint-set.ts";

/**
 * gRPC's connectivity states (grpc/doc/connectivity-semantics-and-api.md). What a call does that finds no endpoint:
 *
 * ```text
 *   idle ──call or connect()──► connecting ──► ready                  closed, from anywhere: fails
 *    ▲     (wakes the channel)    │   ▲  (waits) ▲ │ (waits for room)
 *    │                            ▼   │          │ ▼
 *    └── idleTimeoutMs ──── transient-failure   connecting
 *                            (fails, unless waitForReady)
 * ```
 *
 * From transient-failure it goes on to ready only: attempts to connect that go on behind it don't make calls wait.
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
  readonly retryBudget: RetryBudget;
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
  closed(): Promise<void>;
}

/** Idleness is looked at this many times in its time, and once a second at most. */
const IDLE_LOOKS = 4;
const MIN_IDLE_LOOK_MS = 1000;

/**
 * One target: its endpoints as the registry tells them, their connections, and the balancer that chooses among them.
 */
export class Channel implements EndpointSetOwner, WatchHandler {
  readonly target: string;
  readonly clock: Clock;
  readonly balancer: Balancer<Endpoint>;
  readonly wheel: TimerWheel;
  /** Shared by all clients of the target: together they retry little. */
  readonly retryBudget: RetryBudget;
  readonly compression: Compression | null;
  readonly compressFromBytes: number;
  readonly maxReceiveBytes: number;
  /** What may wait on a stream of requests before its producer is held up. */
  readonly maxSendBufferBytes: number;
  /** Calls between two attempts; they enter and leave by themselves. */
  readonly sleeping: Set<Call> = new Set();
  readonly #options: ChannelOptions;
  /** By path and content-subtype. */
  readonly #methods: Map<string, CallMethod> = new Map();
  /** By path. */
  readonly #stats: Map<string, MethodStats> = new Map();
  #headerSlots = 0;
  readonly #endpoints: EndpointSet;
  readonly #listeners: Set<(state: ChannelState) => void> = new Set();
  /** Calls without an endpoint, oldest first. */
  readonly #waiting: Set<Call> = new Set();
  #state: ChannelState = "idle";
  #watcher: Watcher | null = null;
  /** The registry has told something since the channel woke. */
  #hasSnapshot = false;
  #registryError: Error | null = null;
  #isServing = false;
  #idleTimer: Timer | null = null;
  #lastActivity = 0;
  #lastActiveAt = 0;
  #closing: Promise<void> | null = null;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.target = options.target;
    this.clock = options.clock;
    this.balancer = options.balancer;
    this.wheel = new TimerWheel(options.clock);
    this.retryBudget = options.retryBudget;
    this.compression = options.compression;
    this.compressFromBytes = options.compressFromBytes;
    this.maxReceiveBytes = options.maxReceiveBytes;
    this.maxSendBufferBytes = options.endpoint.transport.limits.maxSendBufferBytes;
    this.#endpoints = new EndpointSet(options.endpoint, options.balancer, this);
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
    return this.#endpoints.all;
  }

  /** Counts and latencies of the methods that were called. */
  get stats(): readonly MethodStats[] {
    return [...this.#stats.values()];
  }

  /** Calls that wait for an endpoint. */
  get waitingCount(): number {
    return this.#waiting.size;
  }

  /** The method as this channel calls it; made at first use. */
  method(method: Method): CallMethod {
    const { path, input } = method;
    const key = `${path} ${input.name}`;
    let known = this.#methods.get(key);
    if (known === undefined || known.method !== method) {
      const nextSlot = (): number => this.#headerSlots++;
      const headers = known?.headers ?? new RequestHeaders(nextSlot, path, input.name, this.#options.constants);
      const stats = this.#stats.get(path) ?? new MethodStats(path);
      known = { method, headers, stats };
      this.#methods.set(key, known);
      this.#stats.set(path, stats);
    }
    return known;
  }

  /**
   * Connects now, without waiting for the end of a backoff, and resolves when a call could be sent. Rejects with an RpcError when
   * the channel is closed, and with that of `signal` when it is aborted; failures to connect are waited out.
   */
  connect(signal?: AbortSignal): Promise<void> {
    this.#wake();
    if (this.#state !== "closed") this.#endpoints.connectNow();
    return new Promise((resolve, reject) => {
      const check = (): void => {
        if (this.#state === "ready") settle(resolve);
        else if (this.#state === "closed") settle(() => reject(this.closedError()));
        else if (signal?.aborted) settle(() => reject(abortError(signal)));
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

  /** A call found no endpoint: it waits, or is told why it can't. */
  enqueue(call: Call): void {
    this.#wake();
    if (this.#state === "closed") return call.cancel(this.closedError());
    if (this.#waiting.size >= this.#options.maxWaitingCalls) {
      const text = `${this.#waiting.size} calls wait for ${this.target} already (maxWaitingCalls)`;
      return call.cancel(new RpcError(Code.RESOURCE_EXHAUSTED, text, { reason: "limit" }));
    }
    if (this.#state === "transient-failure" && call.options?.waitForReady !== true) {
      return call.cancel(this.#unavailable());
    }
    call.isWaiting = true;
    this.#waiting.add(call);
    this.#endpoints.grow();
  }

  /** A call that waits has ended. */
  forget(call: Call): void {
    call.isWaiting = false;
    this.#waiting.delete(call);
  }

  /** What a call that has no endpoint is waiting for, in words. */
  waitingFor(): string {
    const { target } = this;
    if (this.#endpoints.size === 0) {
      return this.#hasSnapshot ? `${target} has no instances` : `${target} is not resolved yet${this.#because()}`;
    }
    if (this.#state === "ready") {
      const isFull = this.endpoints.every((endpoint) => !endpoint.isReady);
      return isFull ? `all connections to ${target} have as many calls as they may` : `no instance was free in time`;
    }
    const error = this.#endpoints.lastError;
    if (error !== null) return `no connection to ${target}: ${error.message}`;
    if (this.#endpoints.state === "empty") return `all instances of ${target} have the weight 0`;
    return `still connecting to ${target}`;
  }

  /**
   * Ends it at once: calls that wait or run fail with CANCELLED, connections close. Resolves when the registry, too, has let go;
   * rejects with what kept it from that.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    // A listener may close it once more.
    if (this.#state === "closed") return;
    this.#become("closed");
    this.#watcher?.close();
    this.#idleTimer?.cancel();
    for (const call of [...this.#waiting, ...this.sleeping]) call.cancel(this.closedError());
    this.#endpoints.close();
    this.#listeners.clear();
    await this.#options.closed();
  }

  /** The error of calls that the closing ended, or that came after it. */
  closedError(): RpcError {
    return new RpcError(Code.CANCELLED, `the channel to ${this.target} is closed`, { reason: "closed" });
  }

  // --- WatchHandler ---

  snapshot(snapshot: Snapshot): void {
    if (this.#state === "closed") return;
    this.#hasSnapshot = true;
    this.#registryError = null;
    const wasEmpty = this.#endpoints.state === "empty";
    this.#endpoints.apply(snapshot.instances, this.#state !== "idle");
    // Instances have appeared: that nobody was there is no failure of theirs.
    if (wasEmpty && this.#state === "transient-failure" && this.#endpoints.size > 0) this.#become("connecting");
    this.#settle();
  }

  failed(error: Error): void {
    this.#registryError = error;
    this.#settle();
  }

  // --- EndpointSetOwner ---

  stateChanged(endpoint: Endpoint): void {
    if (this.#state === "closed" || this.#state === "idle") return;
    // The registry may know better than an endpoint that is gone.
    if (endpoint.connectionState === "backoff" || endpoint.connectionState === "idle") this.#watcher?.refresh();
    // A lost connection is made again at once, as long as the channel is in use.
    if (endpoint.connectionState === "idle" && endpoint.weight > 0) return endpoint.connect();
    this.#settle();
  }

  roomMade(): void {
    if (this.#waiting.size > 0) this.#serveWaiting();
  }

  // --- in detail ---

  /** Leaves rest: watches the target and connects. */
  #wake(): void {
    if (this.#state !== "idle") return;
    this.#lastActiveAt = this.clock.now();
    this.#become("connecting");
    this.#watchIdleness();
    try {
      this.#watcher = this.#options.watch(this);
    } catch (error) {
      this.#registryError = error instanceof Error ? error : new Error(String(error));
    }
    this.#endpoints.connect();
    this.#settle();
  }

  /** Works out the state of the whole, and what it means for calls that wait. */
  #settle(): void {
    if (this.#state === "idle" || this.#state === "closed") return;
    const { state } = this.#endpoints;
    // Endpoints of a time before the rest may be gone: the registry has the word.
    const isResolved = this.#hasSnapshot || this.#registryError !== null;
    if (state === "ready") this.#become("ready");
    else if (state === "connecting" || !isResolved) this.#loseReadiness();
    else this.#become("transient-failure");
    if (this.#state === "ready") this.#serveWaiting();
    else if (this.#state === "transient-failure") this.#refuseWaiting();
  }

  #loseReadiness(): void {
    if (this.#state !== "transient-failure") this.#become("connecting");
  }

  #serveWaiting(): void {
    if (this.#isServing) return;
    this.#isServing = true;
    for (const call of this.#waiting) {
      if (call.isLate) {
        call.onDue();
        continue;
      }
      let endpoint: Endpoint | null;
      try {
        endpoint = this.balancer.pick(call.avoid);
      } catch (error) {
        call.cancel(RpcError.from(error));
        continue;
      }
      if (endpoint === null) break;
      this.forget(call);
      call.sendTo(endpoint);
    }
    this.#isServing = false;
    if (this.#waiting.size > 0) this.#endpoints.grow();
  }

  #refuseWaiting(): void {
    for (const call of [...this.#waiting]) {
      if (call.options?.waitForReady !== true) call.cancel(this.#unavailable());
    }
  }

  #unavailable(): RpcError {
    return new RpcError(Code.UNAVAILABLE, this.waitingFor(), {
      cause: this.#endpoints.lastError ?? this.#registryError ?? undefined,
      reason: this.#endpoints.state === "empty" ? "no-endpoint" : "connection",
    });
  }

  #because(): string {
    return this.#registryError === null ? "" : `: ${this.#registryError.message}`;
  }

  #watchIdleness(): void {
    const { idleTimeoutMs } = this.#options;
    if (idleTimeoutMs <= 0) return;
    const lookMs = Math.max(MIN_IDLE_LOOK_MS, idleTimeoutMs / IDLE_LOOKS);
    this.#idleTimer = this.clock.setInterval(() => this.#checkIdleness(idleTimeoutMs), lookMs);
  }

  #checkIdleness(idleTimeoutMs: number): void {
    const { inFlight, count } = this.#endpoints.activity;
    const now = this.clock.fresh();
    if (inFlight > 0 || this.#waiting.size > 0 || this.sleeping.size > 0 || count !== this.#lastActivity) {
      this.#lastActivity = count;
      this.#lastActiveAt = now;
    } else if (now - this.#lastActiveAt >= idleTimeoutMs) {
      this.#rest();
    }
  }

  /** No connections, and no questions to the registry, until somebody calls. */
  #rest(): void {
    this.#become("idle");
    this.#idleTimer?.cancel();
    this.#watcher?.close();
    this.#watcher = null;
    this.#hasSnapshot = false;
    this.#registryError = null;
    this.#endpoints.rest();
  }

  #become(state: ChannelState): void {
    if (this.#state === state) return;
    this.#state = state;
    for (const listener of [...this.#listeners]) tell(listener, state);
  }
}

/** What a listener throws is its own affair: it must not leave a channel between two states. */
function tell(listener: (state: ChannelState) => void, state: ChannelState): void {
  try {
    listener(state);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
