import { isUnixAddress, parseListenAddress } from "../../net/address.ts";
import { guardLogger, jsonLogger, type Logger } from "../../observe/logger.ts";
import type { MethodStats } from "../../observe/method-stats.ts";
import { type Clock, systemClock } from "../../rpc/clock.ts";
import type { Service } from "../../rpc/method.ts";
import { type Random, systemRandom } from "../../rpc/random.ts";
import type { ServingStatus } from "../builtin/health.ts";
import { RegistryEntry } from "../lifecycle/registration.ts";
import { stopOnSignals } from "../lifecycle/shutdown.ts";
import { Server, type ServerRole, type ServerState } from "../server.ts";
import type { ServerOptions } from "../server-options.ts";
import { TallySum } from "./call-tally.ts";
import { SharedHealth } from "./shared-health.ts";
import { Supervisor } from "./supervisor.ts";
import type { FromWorker } from "./worker-messages.ts";
import type { WorkerPlan } from "./worker-options.ts";
import type { WorkerHost } from "./worker-process.ts";
import type { WorkerInfo } from "./worker-slot.ts";

const DEFAULT_LISTEN = "0.0.0.0:0";
const DEFAULT_DRAIN_TIMEOUT_MS = 30_000;
/** As for one server: a registry that can't be reached must not use up the time for calls that run. */
const UNREGISTER_TIMEOUT_MS = 5000;
const MIN_UNREGISTER_TIMEOUT_MS = 500;

/** What leads the workers of a server. It answers no call itself: it registers them, sums up what they count, and stops them. */
export class PrimaryServer extends Server {
  readonly #options: ServerOptions;
  readonly #plan: WorkerPlan;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #supervisor: Supervisor;
  readonly #tally = new TallySum();
  readonly #sharedHealth: SharedHealth;
  readonly #claim: () => () => void;
  #release: () => void = () => {};
  #state: ServerState = "new";
  #entry: RegistryEntry | null = null;
  #started: Promise<void> = Promise.resolve();
  #closing: Promise<void> | null = null;
  #ignoreSignals: () => void = () => {};
  /** Gives up what `start` is waiting for. */
  #interrupt: (error: Error) => void = () => {};
  /** Names of all services that the workers have. */
  #services: readonly string[] = [];
  #endsProcess = false;

  constructor(options: ServerOptions, plan: WorkerPlan, host: WorkerHost) {
    super(options);
    this.#claim = host.claim;
    this.#options = options;
    this.#plan = plan;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#logger = guardLogger(options.logger ?? jsonLogger);
    const [clock, random, logger] = [this.#clock, this.#random, this.#logger];
    this.#sharedHealth = new SharedHealth("primary", this.health, (service, status) => {
      this.#supervisor.broadcast(() => ({ bowline: "health", service, status, isEcho: false }));
    });
    const health = this.#sharedHealth;
    const owner = {
      get statuses() {
        return health.statuses;
      },
      received: (id: number, message: FromWorker) => this.#received(id, message),
      ended: (id: number) => this.#tally.ended(id),
    };
    const { launch } = host;
    const listen = options.listen ?? DEFAULT_LISTEN;
    this.#supervisor = new Supervisor({ plan, listen, clock, random, logger, launch, owner });
  }

  override get role(): ServerRole {
    return "primary";
  }

  override get workers(): readonly WorkerInfo[] {
    return this.#supervisor.workers;
  }

  override get state(): ServerState {
    return this.#state;
  }

  /** The shared address, or that of the first worker. */
  override get address(): string {
    return this.addresses[0] ?? "";
  }

  override get addresses(): readonly string[] {
    if (this.#supervisor.bound !== "") return [this.#supervisor.bound];
    return this.workers.flatMap(({ address }) => (address === "" ? [] : [address]));
  }

  override get port(): number {
    const address = this.address === "" ? null : parseListenAddress(this.address);
    return address === null || isUnixAddress(address) ? 0 : address.port;
  }

  override get connectionCount(): number {
    return this.#tally.connectionCount;
  }

  override get misbehaved(): ReadonlyMap<string, number> {
    return this.#tally.misbehaved;
  }

  override get stats(): readonly MethodStats[] {
    return this.#tally.stats;
  }

  override add<H extends object>(service: Service<unknown, H>, handlers: H): this {
    if (this.#state !== "new") throw new Error(`server.add(${service?.typeName}): add services before start()`);
    return super.add(service, handlers);
  }

  /** Resolves when all workers serve and, with a shared port, are registered. Rejects with why not; no worker is left then. */
  override async start(): Promise<this> {
    if (this.#state !== "new") throw new Error(`server.start(): the server is ${this.#state} already`);
    this.#release = this.#claim();
    this.#state = "starting";
    if (this.#options.handleSignals !== false) {
      this.#ignoreSignals = stopOnSignals({ stop: () => this.#signalled(), abort: () => this.#supervisor.kill() });
    }
    const start = this.#start();
    this.#started = start.catch(() => {});
    try {
      await start;
    } catch (error) {
      // As in a process without workers: it is about to end, and not with an error that nobody caught.
      if (this.#endsProcess) await new Promise(() => {});
      throw error;
    }
    return this;
  }

  /** Stops in order: out of the registry, then all workers at once, each as {@link Server.close} says, within `drainTimeoutMs` in all. */
  override close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #start(): Promise<void> {
    const interrupted = new Promise<never>((_resolve, reject) => {
      this.#interrupt = reject;
    });
    interrupted.catch(() => {});
    try {
      await Promise.race([this.#supervisor.start(), interrupted]);
      await Promise.race([this.#register(), interrupted]);
      this.health.start(this.#services);
      this.#state = "serving";
    } catch (error) {
      await this.#end(0, UNREGISTER_TIMEOUT_MS);
      throw error;
    }
  }

  #signalled(): Promise<void> {
    this.#endsProcess = true;
    return this.close();
  }

  async #register(): Promise<void> {
    const { registry, name, advertise, instanceId } = this.#options;
    if (registry === undefined || name === undefined || this.#plan.ports === "own") return;
    const context = { clock: this.#clock, random: this.#random, logger: this.#logger };
    this.#entry = new RegistryEntry({ name, registry, advertise, instanceId, ...context });
    await this.#entry.open(this.address);
  }

  #received(workerId: number, message: FromWorker): void {
    switch (message.bowline) {
      case "asks":
        for (const [service, status] of Object.entries(message.statuses)) {
          if (!this.health.said.has(service)) this.#setHealth(workerId, service, status, false);
        }
        return;
      case "health":
        return this.#setHealth(workerId, message.service, message.status, true);
      case "serving":
        this.#services = message.services;
        return;
      case "tally":
        return this.#tally.add(workerId, message.report);
    }
  }

  /** A worker has said it; all are told, so that all hear of changes in one order. */
  #setHealth(workerId: number, service: string, status: ServingStatus, isEchoed: boolean): void {
    this.#sharedHealth.set(service, status);
    this.#supervisor.broadcast((id) => ({
      bowline: "health",
      service,
      status,
      isEcho: isEchoed && id === workerId,
    }));
  }

  async #close(): Promise<void> {
    if (this.#state === "starting") {
      this.#interrupt(new Error("server.start(): close() was called before the server had started"));
      // It may have been on the point of succeeding.
      await this.#started;
    }
    if (this.#state !== "serving") {
      this.#state = "closed";
      return;
    }
    this.#state = "draining";
    await this.#end(this.#options.drainTimeoutMs ?? DEFAULT_DRAIN_TIMEOUT_MS, UNREGISTER_TIMEOUT_MS);
  }

  /** Out of the registry, then all workers, within `withinMs` in all. */
  async #end(withinMs: number, unregisterMs: number): Promise<void> {
    const endAt = this.#clock.fresh() + withinMs;
    this.health.stop();
    await this.#unregister(Math.max(MIN_UNREGISTER_TIMEOUT_MS, Math.min(withinMs, unregisterMs)));
    await this.#supervisor.stop(Math.max(0, endAt - this.#clock.fresh()));
    this.#sharedHealth.close();
    this.#ignoreSignals();
    this.#release();
    this.#state = "closed";
  }

  async #unregister(timeoutMs: number): Promise<void> {
    const entry = this.#entry;
    this.#entry = null;
    if (entry === null) return;
    const isLate = new Promise<boolean>((resolve) => this.#clock.setTimeout(() => resolve(true), timeoutMs));
    if (!(await Promise.race([entry.close().then(() => false), isLate]))) return;
    this.#logger.warn({ timeoutMs }, "the registry does not answer; the instance will expire there");
  }
}
