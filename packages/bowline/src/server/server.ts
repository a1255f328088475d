import { acceptEncoding, type Compression, findCompression } from "../codec/compression.ts";
import { serverHeaders } from "../grpc/server-transport.ts";
import { http2Limits } from "../http2/limits.ts";
import { type Listener, listen } from "../net/listener.ts";
import { explainFirstBytes } from "../net/first-bytes.ts";
import { openTlsFiles, type TlsMaterial } from "../net/tls-files.ts";
import { jsonLogger, type Logger } from "../observe/logger.ts";
import type { MethodStats } from "../observe/method-stats.ts";
import { newInstanceId } from "../registry/instance/instance.ts";
import type { Registration, Registry } from "../registry/registry.ts";
import { type Clock, systemClock } from "../rpc/clock.ts";
import { environment } from "../rpc/environment.ts";
import type { Service } from "../rpc/method.ts";
import { systemRandom } from "../rpc/random.ts";
import { TimerWheel } from "../rpc/timer-wheel.ts";
import { advertisedAddress } from "./advertise.ts";
import { Connections } from "./connections.ts";
import { Health } from "./health.ts";
import { http1Hint } from "./http1-hint.ts";
import { MethodServer } from "./method-server.ts";
import { type ServerPipeline, serverPipeline } from "./pipeline.ts";
import { Router } from "./router.ts";
import { checkServerOptions, type ServerOptions } from "./server-options.ts";
import { stopOnSignals } from "./shutdown.ts";

const DEFAULT_RECEIVE_BYTES = 4_194_304;
const DEFAULT_DRAIN_ACCEPT_MS = 2000;
const DEFAULT_DRAIN_TIMEOUT_MS = 30_000;
const DEFAULT_COMPRESS_FROM_BYTES = 1024;

/**
 * Where a server is in its life.
 *
 * ```text
 *   new ── start ──► starting ──► serving ── close, SIGTERM ──► draining ──► closed
 *                       └── failed: closed                          │
 *                                      drainTimeoutMs at most ◄─────┘
 * ```
 */
export type ServerState = "new" | "starting" | "serving" | "draining" | "closed";

/** A gRPC server. Made by `createServer`. */
export class Server implements AsyncDisposable {
  /** Health of the whole and of each service, as grpc.health.v1 reports it. */
  readonly health: Health = new Health();
  readonly #options: ServerOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #router = new Router();
  readonly #pipeline: ServerPipeline;
  readonly #connections: Connections;
  readonly #compression: Compression | null;
  #state: ServerState = "new";
  #tls: TlsMaterial | undefined;
  #listener: Listener | null = null;
  #registry: Registry | null = null;
  #registration: Registration | null = null;
  #ignoreSignals: () => void = () => {};
  #closing: Promise<void> | null = null;

  constructor(options: ServerOptions) {
    checkServerOptions(options);
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#logger = options.logger ?? jsonLogger;
    this.#compression = compressionOf(options.compression);
    this.#pipeline = serverPipeline({
      clock: this.#clock,
      wheel: new TimerWheel(this.#clock),
      interceptors: options.interceptors ?? [],
      without: options.without ?? [],
    });
    const router = this.#router;
    const route = (path: string) => router.route(path);
    this.#connections = new Connections(
      {
        clock: this.#clock,
        limits: http2Limits(options.limits),
        maxReceiveBytes: options.maxReceiveBytes ?? DEFAULT_RECEIVE_BYTES,
        route,
        unknown: (path) => router.unknown(path),
        headers: serverHeaders(route),
        explain: explainFirstBytes,
      },
      this.#logger,
    );
  }

  get state(): ServerState {
    return this.#state;
  }

  /** What was bound, `0.0.0.0:8080`; empty before `start`. */
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

  /** Connections that broke a rule or passed a limit, by its name. */
  get misbehaved(): ReadonlyMap<string, number> {
    return this.#connections.misbehaved;
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
    if (this.#state !== "new") throw new Error(`server.add(${service.typeName}): add services before start()`);
    this.#router.add(service, handlers);
    return this;
  }

  /**
   * Binds the port, waits for `ready`, serves, and registers, in this order. Rejects with what went wrong (a port in use, a bad certificate, a
   * registry that can't be used); the server is closed then.
   */
  async start(): Promise<this> {
    if (this.#state !== "new") throw new Error(`server.start(): the server is ${this.#state} already`);
    this.#state = "starting";
    try {
      await this.#addBuiltIns();
      this.#router.build((method, handler) => this.#serve(method, handler));
      await this.#listen();
      await this.#options.ready?.();
      if (this.#options.handleSignals !== false) this.#ignoreSignals = stopOnSignals({ stop: () => this.close() });
      this.#state = "serving";
      this.health.start(this.#router.serviceNames);
      await this.#register();
    } catch (error) {
      await this.#abandon();
      throw error;
    }
    return this;
  }

  /**
   * Stops in order: NOT_SERVING, out of the registry, GOAWAY to all clients, new calls still taken for `drainAcceptMs`, then the calls that run are
   * finished, for at most `drainTimeoutMs` in all. Resolves when everything is closed; a second call waits for the same.
   */
  close(): Promise<void> {
    this.#closing ??= this.#drain();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  // --- starting ---

  async #addBuiltIns(): Promise<void> {
    // Loaded at start only: their messages need descriptors, which a client has no use for.
    if (this.#options.health !== false) {
      const { addHealth } = await import("./health-service.ts");
      addHealth(this.#router, this.health);
    }
    if (this.#options.reflection !== false) {
      const { addReflection } = await import("./reflection.ts");
      addReflection(this.#router);
    }
  }

  #serve(method: Service["methods"][string], handler: (request: unknown, context: never) => unknown): MethodServer {
    return new MethodServer(method, handler as ConstructorParameters<typeof MethodServer>[1], {
      clock: this.#clock,
      pipeline: this.#pipeline,
      logger: this.#logger,
      propagate: (this.#options.propagate ?? []).map((key) => key.toLowerCase()),
      compression: this.#compression,
      compressFromBytes: this.#options.compressFromBytes ?? DEFAULT_COMPRESS_FROM_BYTES,
    });
  }

  async #listen(): Promise<void> {
    const { tls } = this.#options;
    if (tls !== undefined) {
      this.#tls = openTlsFiles("server", tls, { clock: this.#clock, option: "createServer options.tls" });
    }
    const hint = await http1Hint();
    this.#listener = await listen(this.#options.listen ?? "0.0.0.0:0", {
      clock: this.#clock,
      tls: this.#tls,
      maxConnections: this.#options.maxConnections,
      onHttp2: (link) => this.#connections.accept(link),
      onHttp1: hint,
      onMisuse: (kind, peer, text) => this.#connections.misuse(kind, peer, text),
    });
  }

  async #register(): Promise<void> {
    const { registry, name } = this.#options;
    if (registry === undefined || name === undefined || this.#listener === null) return;
    const context = { clock: this.#clock, random: this.#options.random ?? systemRandom, environment: environment() };
    this.#registry = "create" in registry ? registry.create(context) : registry;
    const address = advertisedAddress(this.#options.advertise, this.#listener.address);
    this.#registration = await this.#registry.register(name, {
      id: this.#options.instanceId ?? newInstanceId(name, process.pid, context.random),
      addresses: [{ address, network: "" }],
      weight: 1,
      zone: "",
      version: "",
      tags: {},
      state: "ready",
    });
  }

  // --- stopping ---

  async #drain(): Promise<void> {
    if (this.#state === "closed" || this.#state === "new") {
      this.#state = "closed";
      return;
    }
    this.#state = "draining";
    const startedAt = this.#clock.now();
    this.health.stop();
    const wasRegistered = this.#registration !== null;
    await this.#unregister();
    this.#connections.announceShutdown();
    await this.#acceptOn(wasRegistered);
    this.#connections.refuse();
    this.#listener?.stopAccepting();
    const timeoutMs = this.#options.drainTimeoutMs ?? DEFAULT_DRAIN_TIMEOUT_MS;
    await this.#within(this.#connections.empty(), startedAt + timeoutMs - this.#clock.now());
    await this.#abandon();
  }

  /** Who has our address from elsewhere may still call; without a registry only those that are connected. */
  #acceptOn(wasRegistered: boolean): Promise<void> {
    const ms = this.#options.drainAcceptMs ?? DEFAULT_DRAIN_ACCEPT_MS;
    if (!wasRegistered) return this.#within(this.#connections.empty(), ms);
    return new Promise((resolve) => this.#clock.setTimeout(resolve, ms));
  }

  async #unregister(): Promise<void> {
    try {
      await this.#registration?.update({ state: "draining" });
      await this.#registration?.close();
    } catch (error) {
      this.#logger.warn({ error }, "taking the instance out of the registry failed; it will expire there");
    }
    this.#registration = null;
  }

  /** Resolves when `done` does, or after `ms`. */
  async #within(done: Promise<void>, ms: number): Promise<void> {
    if (ms <= 0) return;
    let cancel = (): void => {};
    const timeout = new Promise<void>((resolve) => {
      const timer = this.#clock.setTimeout(resolve, ms);
      cancel = () => timer.cancel();
    });
    await Promise.race([done, timeout]);
    cancel();
  }

  async #abandon(): Promise<void> {
    this.#state = "closed";
    this.#ignoreSignals();
    await this.#unregister();
    this.#connections.close();
    await this.#listener?.close();
    this.#tls?.close();
    const { registry } = this.#options;
    if (registry !== undefined && "create" in registry) await this.#registry?.close();
  }
}

function compressionOf(name: string | undefined): Compression | null {
  if (name === undefined || name === "identity") return null;
  const found = findCompression(name);
  if (found !== undefined) return found;
  throw new TypeError(`createServer options.compression is "${name}": give one of ${acceptEncoding.replaceAll(",", ", ")}`);
}
