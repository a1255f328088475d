import type { Balancer } from "../../balancer/balancer.ts";
import type { Compression } from "../../codec/compression.ts";
import type { MethodStats } from "../../observe/method-stats.ts";
import type { Instance } from "../../registry/registry.ts";
import type { RetryBudget } from "../../resilience/retry-budget.ts";
import { type InContext, lastingContext } from "../../rpc/call-context.ts";
import { type Clock, ProcessHold } from "../../rpc/clock.ts";
import { Code } from "../../rpc/code.ts";
import type { Method } from "../../rpc/method.ts";
import { RpcError } from "../../rpc/rpc-error.ts";
import { TimerWheel } from "../../rpc/timer-wheel.ts";
import type { Call } from "../call/call.ts";
import { abortError } from "../call/outcome.ts";
import { Discovery, type DiscoveryOwner, type DiscoveryState } from "../discovery/discovery.ts";
import { type CallMethod, CallMethods } from "./call-methods.ts";
import type { ChannelOptions } from "./channel-options.ts";
import { channelDescription, waitingWords } from "./channel-words.ts";
import type { Endpoint } from "./endpoint.ts";
import { EndpointSet, type EndpointSetOwner } from "./endpoint-set.ts";
import { Idleness } from "./idleness.ts";
import { StateListeners } from "./state-listeners.ts";

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

export type { CallMethod };

/**
 * One target: its endpoints as the registry tells them, their connections, and the balancer that chooses among them.
 */
export class Channel implements EndpointSetOwner, DiscoveryOwner {
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
  readonly #options: ChannelOptions;
  readonly #methods: CallMethods;
  readonly #endpoints: EndpointSet;
  readonly #discovery: Discovery;
  readonly #idleness: Idleness;
  readonly #listeners: StateListeners<ChannelState> = new StateListeners();
  /** Calls without an endpoint, oldest first. */
  readonly #waiting: Set<Call> = new Set();
  /** Calls between two attempts. */
  readonly #sleeping: Set<Call> = new Set();
  /** Those who wait in `connect`. */
  #connectors = 0;
  readonly #hold: ProcessHold;
  /** Where it was made: what is made here later is for no single call. */
  readonly #inContext: InContext = lastingContext();
  #state: ChannelState = "idle";
  #isServing = false;
  #hasToldOfSkipped = false;
  #closing: Promise<void> | null = null;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.target = options.target;
    this.clock = options.clock;
    this.balancer = options.balancer;
    this.wheel = new TimerWheel(options.clock);
    this.#hold = new ProcessHold(options.clock);
    this.retryBudget = options.retryBudget;
    this.compression = options.compression;
    this.compressFromBytes = options.compressFromBytes;
    this.maxReceiveBytes = options.maxReceiveBytes;
    this.maxSendBufferBytes = options.endpoint.transport.limits.maxSendBufferBytes;
    this.#methods = new CallMethods(options.constants);
    this.#endpoints = new EndpointSet(options, this);
    this.#discovery = new Discovery(options, this);
    this.#idleness = new Idleness(
      options.clock,
      options.idleTimeoutMs,
      () => this.#activity(),
      () => this.#rest(),
    );
  }

  get state(): ChannelState {
    return this.#state;
  }

  /** Calls back with each new state, until the returned function is called. */
  onState(listener: (state: ChannelState) => void): () => void {
    return this.#listeners.add(listener);
  }

  /** All endpoints, as they are now. */
  get endpoints(): readonly Endpoint[] {
    return this.#endpoints.all;
  }

  /** What is known of the target, and how sure that is. */
  get discovery(): DiscoveryState {
    const { freshness, revision, ageMs, error, unreadable, isUnusable: unusable } = this.#discovery;
    const { membership, skipped } = this.#endpoints;
    const { isFrozen: frozen, suspects } = membership;
    const counts = { suspects: suspects.size, skipped: skipped.size, unreadable };
    return { freshness, revision, ageMs, error, frozen, unusable, ...counts };
  }

  /** Target, discovery and endpoints as text for people, a line each. */
  describe(): string {
    return channelDescription(this.target, this.#state, this.discovery, this.endpoints, this.clock.now());
  }

  /** Counts and latencies of the methods that were called. */
  get stats(): readonly MethodStats[] {
    return this.#methods.stats;
  }

  /** How often servers broke a rule or passed a limit, by its name. */
  get misbehaved(): ReadonlyMap<string, number> {
    return this.#options.misbehaved;
  }

  /** Calls between two attempts. */
  get sleepingCount(): number {
    return this.#sleeping.size;
  }

  /** Calls that wait for an endpoint. */
  get waitingCount(): number {
    return this.#waiting.size;
  }

  /** The method as this channel calls it; made at first use. */
  method(method: Method): CallMethod {
    return this.#methods.get(method);
  }

  /**
   * Connects now, without waiting for the end of a backoff, and resolves when a call could be sent. Rejects with an RpcError when
   * the channel is closed, and with that of `signal` when it is aborted; failures to connect are waited out.
   */
  connect(signal?: AbortSignal): Promise<void> {
    this.#connectors++;
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
        this.#connectors--;
        this.#holdProcess();
        stop();
        signal?.removeEventListener("abort", check);
        done();
      };
      signal?.addEventListener("abort", check, { once: true });
      this.#holdProcess();
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
    this.#holdProcess();
    this.#endpoints.grow();
  }

  /** A call that waits has ended. */
  forget(call: Call): void {
    call.isWaiting = false;
    this.#waiting.delete(call);
    this.#holdProcess();
  }

  /** A call waits for its next attempt, or no longer. */
  sleeps(call: Call, isAsleep: boolean): void {
    if (isAsleep) this.#sleeping.add(call);
    else this.#sleeping.delete(call);
    this.#holdProcess();
  }

  /** What a call that has no endpoint is waiting for, in words. */
  waitingFor(): string {
    const { skipped, state, lastError } = this.#endpoints;
    const [unreachable] = skipped;
    return waitingWords({
      target: this.target,
      isReady: this.#state === "ready",
      endpoints: this.endpoints,
      set: state,
      discovery: this.discovery,
      lastError,
      whySkipped: unreachable === undefined ? "" : this.#options.whyNone(unreachable),
    });
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
    this.#idleness.stop();
    const saved = this.#discovery.close();
    for (const call of [...this.#waiting, ...this.#sleeping]) call.cancel(this.closedError());
    this.#endpoints.close();
    this.#listeners.clear();
    await Promise.all([saved, this.#options.closed()]);
  }

  /** The error of calls that the closing ended, or that came after it. */
  closedError(): RpcError {
    return new RpcError(Code.CANCELLED, `the channel to ${this.target} is closed`, { reason: "closed" });
  }

  // --- DiscoveryOwner ---

  get hasEndpoints(): boolean {
    return this.#endpoints.size > 0;
  }

  listed(instances: readonly Instance[], isLive: boolean, isFirst: boolean): boolean {
    if (this.#state === "closed") return false;
    const wasEmpty = this.#endpoints.state === "empty";
    this.#endpoints.apply({ instances, isLive, isFirst }, this.#state !== "idle");
    this.#tellOfSkipped();
    // Instances have appeared: that nobody was there is no failure of theirs.
    if (wasEmpty && this.#state === "transient-failure" && this.#endpoints.size > 0) this.#become("connecting");
    this.#settle();
    return isLive && !this.#endpoints.membership.isFrozen;
  }

  troubled(error: Error): void {
    // Nobody else may hear of it: the calls wait.
    if (this.#options.waitsForRegistry) this.#options.warn(error.message);
    this.#settle();
  }

  // --- EndpointSetOwner ---

  stateChanged(endpoint: Endpoint): void {
    if (this.#state === "closed" || this.#state === "idle") return;
    // The registry may know better than an endpoint that is gone.
    if (endpoint.connectionState === "backoff" || endpoint.connectionState === "idle") this.#discovery.refresh();
    // A lost connection is made again at once, as long as the channel is in use.
    if (endpoint.connectionState === "idle" && endpoint.weight > 0) this.#endpoints.reconnect(endpoint);
    this.#settle();
  }

  membersLeft(): void {
    this.#settle();
  }

  secondLookWanted(): void {
    this.#discovery.refresh();
  }

  roomMade(): void {
    if (this.#waiting.size > 0) this.#serveWaiting();
  }

  // --- in detail ---

  /** Leaves rest: watches the target and connects. */
  #wake(): void {
    if (this.#state !== "idle") return;
    this.#become("connecting");
    // A listener may have closed it.
    if (this.state !== "connecting") return;
    this.#inContext(() => {
      this.#idleness.start();
      this.#discovery.start();
      this.#endpoints.connect();
    });
    this.#settle();
  }

  /** Works out the state of the whole, and what it means for calls that wait. */
  #settle(): void {
    if (this.#state === "idle" || this.#state === "closed") return;
    const { state } = this.#endpoints;
    // Endpoints of a time before the rest may be gone: the registry has the word.
    const { isKnown, isUnusable, error } = this.#discovery;
    const isResolved = isKnown || isUnusable || (error !== null && !this.#options.waitsForRegistry);
    if (state === "ready") this.#become("ready");
    else if (state !== "connecting" && isResolved) this.#become("transient-failure");
    else if (this.#state !== "transient-failure") this.#become("connecting");
    if (this.#state === "ready") this.#serveWaiting();
    else if (this.#state === "transient-failure") this.#refuseWaiting();
  }

  #serveWaiting(): void {
    if (this.#isServing) return;
    this.#isServing = true;
    for (const call of this.#waiting) {
      if (call.isLate) {
        call.onDue();
        continue;
      }
      if (!call.pipeline.authorize(call)) continue;
      let endpoint: Endpoint | null;
      try {
        endpoint = this.balancer.pick(call.avoid, call.options?.hashKey);
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
      cause: this.#endpoints.lastError ?? this.#discovery.error ?? undefined,
      reason: this.#endpoints.state === "empty" ? "no-endpoint" : "connection",
    });
  }

  /** Once: the rest is counted. */
  #tellOfSkipped(): void {
    const [instance] = this.#endpoints.skipped;
    if (instance === undefined || this.#hasToldOfSkipped) return;
    this.#hasToldOfSkipped = true;
    this.#options.warn(`${this.target}: ${this.#options.whyNone(instance)}`);
  }

  #activity(): { readonly isBusy: boolean; readonly count: number } {
    const { inFlight, count } = this.#endpoints.activity;
    return { isBusy: inFlight > 0 || this.#hasWaiters, count };
  }

  /** No connections, and no questions to the registry, until somebody calls. */
  #rest(): void {
    this.#idleness.stop();
    this.#discovery.stop();
    this.#endpoints.rest();
    // A listener may call or connect, which begins anew: all must have ended before.
    this.#become("idle");
  }

  get #hasWaiters(): boolean {
    return this.#waiting.size > 0 || this.#sleeping.size > 0 || this.#connectors > 0;
  }

  /** Only timers bring on what they wait for while nothing is connected, and those alone would let the process end. */
  #holdProcess(): void {
    this.#hold.set(this.#hasWaiters);
  }

  #become(state: ChannelState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#listeners.tell(state);
  }
}
