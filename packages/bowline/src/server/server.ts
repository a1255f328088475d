import type { Socket } from "node:net";
import { type Compression, findCompression, unknownCompression } from "../codec/compression.ts";
import { serverHeaders } from "../grpc/server-headers.ts";
import { http2Limits } from "../http2/limits.ts";
import { explainFirstBytes } from "../net/first-bytes.ts";
import { type Listener, listen } from "../net/listener.ts";
import { socketPeer } from "../net/socket-peer.ts";
import { openTlsFiles, type TlsMaterial } from "../net/tls/tls-files.ts";
import { guardLogger, jsonLogger, type Logger } from "../observe/logger.ts";
import type { MethodStats } from "../observe/method-stats.ts";
import { Misbehaviour } from "../observe/misbehaviour.ts";
import { tlsFileLog } from "../observe/tls-file-log.ts";
import { type Clock, systemClock, within } from "../rpc/clock.ts";
import { Code } from "../rpc/code.ts";
import type { Method, Service } from "../rpc/method.ts";
import { type Random, systemRandom } from "../rpc/random.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import { TimerWheel } from "../rpc/timer-wheel.ts";
import { Health } from "./builtin/health.ts";
import { answerHttp1 } from "./builtin/http1-hint.ts";
import { Connections } from "./connections.ts";
import { Guard } from "./guard.ts";
import { Presence } from "./lifecycle/presence.ts";
import type { ServerRegistration } from "./lifecycle/registration.ts";
import { stopOnSignals } from "./lifecycle/shutdown.ts";
import { type Handler, MethodServer } from "./method-server.ts";
import { type ServerPipeline, serverPipeline } from "./pipeline.ts";
import { Router } from "./router.ts";
import { checkMethodPaths, checkServerOptions, connectionCare, type ServerOptions } from "./server-options.ts";
import type { WorkerInfo } from "./workers/worker-slot.ts";

const DEFAULT_RECEIVE_BYTES = 4_194_304;
const DEFAULT_DRAIN_ACCEPT_MS = 2000;
const DEFAULT_DRAIN_TIMEOUT_MS = 30_000;
const DEFAULT_COMPRESS_FROM_BYTES = 1024;
/** How long clients may take to close their side of connections that have ended. */
const LINGER_MS = 1500;

/** Services that a server brings, and the option that leaves them out. */
const BUILT_IN: Readonly<Record<string, "health" | "reflection" | undefined>> = {
  "grpc.health.v1.Health": "health",
  "grpc.reflection.v1.ServerReflection": "reflection",
  "grpc.reflection.v1alpha.ServerReflection": "reflection",
};

/**
 * Where a server is in its life.
 *
 * ```text
 *   new ── start ──► starting ──► serving ── close, SIGTERM ──► draining ──► closed
 *                       │                                       (drainTimeoutMs at most)
 *                       └── failed, or close ──► closed
 * ```
 */
export type ServerState = "new" | "starting" | "serving" | "draining" | "closed";

/** `primary` leads workers and serves nothing itself; `worker` is one of them; `single` is a server without `workers`. */
export type ServerRole = "primary" | "worker" | "single";

/** A gRPC server. Made by `createServer`. */
export class Server implements AsyncDisposable {
  /** Health of the whole and of each service, as grpc.health.v1 reports it. */
  readonly health: Health;
  readonly #options: ServerOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #router = new Router();
  readonly #pipeline: ServerPipeline;
  readonly #misbehaviour: Misbehaviour;
  readonly #connections: Connections;
  readonly #compression: Compression | null;
  #state: ServerState = "new";
  #tls: TlsMaterial | undefined;
  #listener: Listener | null = null;
  readonly #presence: Presence;
  #ignoreSignals: () => void = () => {};
  #closing: Promise<void> | null = null;
  /** Resolves when `start` has come to its end, whatever that was. */
  #started: Promise<void> = Promise.resolve();
  /** Gives up what `start` is waiting for. */
  #interrupt: (error: Error) => void = () => {};
  /** A signal ends the process as soon as everything is closed. */
  #endsProcess = false;

  constructor(options: ServerOptions) {
    checkServerOptions(options);
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#logger = guardLogger(options.logger ?? jsonLogger);
    this.health = new Health(this.#logger);
    this.#compression = compressionOf(options.compression);
    this.#pipeline = serverPipeline({
      clock: this.#clock,
      wheel: new TimerWheel(this.#clock),
      interceptors: options.interceptors ?? [],
      isGuarded: options.authenticate !== undefined,
      without: options.without ?? [],
      timeLimits: options,
    });
    this.#misbehaviour = new Misbehaviour(this.#clock, this.#logger);
    this.#connections = this.#makeConnections();
    const { health } = this;
    this.#presence = new Presence(options, { clock: this.#clock, random: this.#random, logger: this.#logger, health });
  }

  get state(): ServerState {
    return this.#state;
  }

  /** What this process is to the server: with `workers`, the program runs in all of them. */
  get role(): ServerRole {
    return "single";
  }

  /** In the primary the workers, as they are now; empty everywhere else. */
  get workers(): readonly WorkerInfo[] {
    return [];
  }

  /** What was bound, `0.0.0.0:8080`; empty until `start` has come so far. */
  get address(): string {
    return this.#listener?.address ?? "";
  }

  /** All that was bound. */
  get addresses(): readonly string[] {
    return this.#listener === null ? [] : [this.#listener.address];
  }

  /** The port that was bound; 0 before `start` and for Unix sockets. */
  get port(): number {
    return this.#listener?.port ?? 0;
  }

  /** Open HTTP/2 connections. */
  get connectionCount(): number {
    return this.#connections.count;
  }

  /** How often clients broke a rule, passed a limit or were no HTTP/2, by its name. */
  get misbehaved(): ReadonlyMap<string, number> {
    return this.#misbehaviour.counts;
  }

  /** The entry in the registry, as it is now; null without a registry, and before the server has begun to register. */
  get registration(): ServerRegistration | null {
    return this.#presence.registration;
  }

  /** Counts and latencies of all methods. */
  get stats(): readonly MethodStats[] {
    return this.#router.routes.map((route) => (route as MethodServer).stats);
  }

  /** The layers around each handler, outermost first, a line each. */
  describe(): string {
    return this.#pipeline.describe();
  }

  /**
   * Adds a service and the handlers of its methods.
   *
   * @throws TypeError naming the method when a handler is missing or belongs to none; Error once the server has started
   */
  add<H extends object>(service: Service<unknown, H>, handlers: H): this {
    const name = service?.typeName;
    if (this.#state !== "new") throw new Error(`server.add(${name}): add services before start()`);
    const option = BUILT_IN[name];
    if (option !== undefined && this.#options[option] !== false) {
      throw new TypeError(`server.add(${name}): the server has it already; set ${option}: false to bring your own`);
    }
    this.#router.add(service, handlers);
    return this;
  }

  /**
   * Binds the port, waits for `ready`, serves, and registers, in this order. Clients that connect before `ready` has resolved wait.
   *
   * Rejects with what went wrong: a port in use, a bad certificate, `ready`, a registry that can't be used, or `close()` meanwhile.
   * Nothing is left open then, and the server is closed.
   */
  async start(): Promise<this> {
    if (this.#state !== "new") throw new Error(`server.start(): the server is ${this.#state} already`);
    this.#state = "starting";
    const start = this.#start();
    this.#started = start.catch(() => {});
    try {
      await start;
    } catch (error) {
      // Asked to end while it was starting, the process ends as it should: not with an error that nobody caught.
      if (this.#endsProcess) await new Promise(() => {});
      throw error;
    }
    return this;
  }

  /**
   * Takes the server out of the registry and says NOT_SERVING, until `resume()`; calls that come all the same are served. Resolves when
   * it is out of the registry, 200 ms after it has announced there that it drains; where that fails, which is logged, it is tried again
   * later. Before the start it takes effect then.
   */
  pause(): Promise<void> {
    return this.#presence.pause();
  }

  /** Undoes `pause()`. Resolves when others can find the server again, or the registry can't be reached; rejects when it refuses the entry. */
  resume(): Promise<void> {
    return this.#presence.resume();
  }

  /**
   * Sets the share of the load that this server wants, relative to the others; 0: none. Resolves when the registry has been told.
   *
   * @throws RangeError for anything but a number from 0 up
   */
  setWeight(weight: number): Promise<void> {
    return this.#presence.setWeight(weight);
  }

  /**
   * Stops in order: NOT_SERVING, out of the registry, GOAWAY to all clients, new calls still taken for `drainAcceptMs`, then the calls
   * that run are finished, for at most `drainTimeoutMs` in all; those that still run are cancelled with UNAVAILABLE. Resolves when
   * everything is closed; a second call waits for the same. Before `start` has come to its end it gives that up.
   */
  close(): Promise<void> {
    this.#closing ??= this.#stop();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  // --- starting ---

  async #start(): Promise<void> {
    const stopped = new Promise<never>((_resolve, reject) => {
      this.#interrupt = reject;
    });
    stopped.catch(() => {});
    /** One step; `close()` does not wait for it. */
    const step = async (work: () => Promise<void> | void): Promise<void> => {
      if (this.#closing !== null) await stopped;
      await Promise.race([(async () => work())(), stopped]);
    };
    if (this.#options.handleSignals !== false) this.#ignoreSignals = stopOnSignals({ stop: () => this.#signalled() });
    try {
      await step(() => this.#build());
      // Soon comes to its end, and what it opens must not be lost sight of.
      await this.#listen();
      await step(() => this.#options.ready?.());
      await step(() => this.#serve());
      await step(() => this.#presence.open(this.address));
      this.#state = "serving";
    } catch (error) {
      await this.#abandon(
        new RpcError(Code.UNAVAILABLE, "the server could not start", { reason: "closed", cause: error }),
      );
      throw error;
    }
  }

  #signalled(): Promise<void> {
    this.#endsProcess = true;
    return this.close();
  }

  /** Adds what every server has, and makes the routes. Loaded at start only: descriptors are of no use to clients. */
  async #build(): Promise<void> {
    if (this.#options.health !== false) {
      const { addHealth } = await import("./builtin/health-service.ts");
      addHealth(this.#router, this.health);
    }
    if (this.#options.reflection !== false) {
      const { addReflection } = await import("./builtin/reflection.ts");
      addReflection(this.#router);
    }
    checkMethodPaths(this.#options, this.#router.services);
    const { authenticate, propagate = [], compressFromBytes = DEFAULT_COMPRESS_FROM_BYTES } = this.#options;
    const guard = authenticate && new Guard(authenticate, { clock: this.#clock, logger: this.#logger });
    await guard?.open(this.#router.services);
    const options = {
      clock: this.#clock,
      pipeline: this.#pipeline,
      guard: (method: Method) => guard?.of(method) ?? null,
      logger: this.#logger,
      propagate: propagate.map((key) => key.toLowerCase()),
      compression: this.#compression,
      compressFromBytes,
    };
    this.#router.build((method, handler: Handler) => new MethodServer(method, handler, options));
  }

  async #listen(): Promise<void> {
    const { tls, network = { listen } } = this.#options;
    if (tls !== undefined) {
      const log = tlsFileLog(this.#logger);
      this.#tls = openTlsFiles("server", tls, { clock: this.#clock, option: "createServer options.tls", ...log });
    }
    this.#listener = await network.listen(this.#options.listen ?? "0.0.0.0:0", {
      clock: this.#clock,
      tls: this.#tls,
      maxConnections: this.#options.maxConnections,
      onHttp2: (link) => this.#connections.accept(link),
      onHttp1: (socket) => this.#answerHttp1(socket),
      onMisuse: (kind, peer, text) => this.#misbehaviour.add(kind, peer, text),
    });
  }

  #answerHttp1(socket: Socket): void {
    const { remoteAddress } = socketPeer(socket);
    const text = "speaks HTTP/1, this port serves gRPC over HTTP/2: answered with 404";
    this.#misbehaviour.add("http1", remoteAddress, text);
    answerHttp1(socket, this.#clock);
  }

  #serve(): void {
    this.health.start(this.#router.serviceNames);
    this.#connections.open();
  }

  #makeConnections(): Connections {
    const { limits, maxReceiveBytes = DEFAULT_RECEIVE_BYTES, maxDecodedBytes, keepalive } = this.#options;
    const route = (path: string) => this.#router.route(path);
    const options = {
      clock: this.#clock,
      random: this.#random,
      limits: http2Limits(limits),
      ...connectionCare(keepalive),
      maxReceiveBytes,
      route,
      unknown: (path: string) => this.#router.unknown(path),
      headers: serverHeaders(route, maxDecodedBytes),
      explain: explainFirstBytes,
    };
    return new Connections(options, this.#misbehaviour);
  }

  // --- stopping ---

  async #stop(): Promise<void> {
    if (this.#state === "starting") {
      this.#interrupt(new Error("server.start(): close() was called before the server had started"));
      // It may have been on the point of succeeding.
      await this.#started;
    }
    if (this.#state === "serving") await this.#drain();
    this.#state = "closed";
  }

  async #drain(): Promise<void> {
    this.#state = "draining";
    const { drainAcceptMs = DEFAULT_DRAIN_ACCEPT_MS, drainTimeoutMs = DEFAULT_DRAIN_TIMEOUT_MS } = this.#options;
    const endAt = this.#clock.fresh() + drainTimeoutMs;
    const atMost = (ms: number): number => Math.min(ms, endAt - this.#clock.fresh());
    this.health.stop();
    // Who has our address from elsewhere may still call; without a registry only those that are connected.
    const { isKnown } = this.#presence;
    await this.#presence.close(atMost(drainTimeoutMs));
    this.#connections.announceShutdown();
    const nobodyLeft = isKnown ? new Promise<void>(() => {}) : this.#connections.empty();
    await within(this.#clock, nobodyLeft, atMost(drainAcceptMs));
    this.#connections.refuse();
    this.#listener?.stopAccepting();
    await within(this.#clock, this.#connections.empty(), atMost(drainTimeoutMs));
    await this.#abandon(this.#tooLate(drainTimeoutMs));
  }

  /** The status of calls that were given enough time. */
  #tooLate(drainTimeoutMs: number): RpcError {
    const calls = this.#connections.callCount;
    const ms = `${drainTimeoutMs} ms (drainTimeoutMs)`;
    if (calls > 0) this.#logger.warn({ calls }, `calls still ran ${ms} after the server was told to stop: cancelled`);
    return new RpcError(Code.UNAVAILABLE, `the server has stopped; the call still ran after ${ms}`, {
      reason: "closed",
    });
  }

  /** Closes everything at once; calls that still run end with `reason`. */
  async #abandon(reason: RpcError): Promise<void> {
    this.health.stop();
    await this.#presence.close();
    this.#connections.close(reason);
    await this.#listener?.close(LINGER_MS);
    this.#tls?.close();
    this.#state = "closed";
    this.#ignoreSignals();
  }
}

function compressionOf(name: string | undefined): Compression | null {
  if (name === undefined || name === "identity") return null;
  const found = findCompression(name);
  if (found !== undefined) return found;
  throw unknownCompression("createServer options.compression", name);
}
