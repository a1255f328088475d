import { isUnixAddress, parseListenAddress } from "../../net/address.ts";
import { guardLogger, jsonLogger, type Logger } from "../../observe/logger.ts";
import type { MethodStats } from "../../observe/method-stats.ts";
import { Misbehaviour } from "../../observe/misbehaviour.ts";
import { type Clock, systemClock, type Timer } from "../../rpc/clock.ts";
import type { Service } from "../../rpc/method.ts";
import { type Random, systemRandom } from "../../rpc/random.ts";
import type { ServingStatus } from "../builtin/health.ts";
import { Presence } from "../lifecycle/presence.ts";
import type { ServerRegistration } from "../lifecycle/registration.ts";
import { stopOnSignals } from "../lifecycle/shutdown.ts";
import { Server, type ServerRole, type ServerState } from "../server.ts";
import type { ServerOptions } from "../server-options.ts";
import { TallySum } from "./call-tally.ts";
import { SharedHealth } from "./shared-health.ts";
import { Supervisor } from "./supervisor.ts";
import type { FromWorker, WorkerStart } from "./worker-messages.ts";
import type { WorkerPlan } from "./worker-options.ts";
import type { WorkerHost } from "./worker-process.ts";
import type { WorkerInfo } from "./worker-slot.ts";

/** Connections that wait for a worker of a shared port, at most: workers that do something take some thousands a second. */
const MAX_WAITING = 4096;
/** Stands for the primary among those that count. */
const PRIMARY_ID = 0;
const DEFAULT_LISTEN = "0.0.0.0:0";
const DEFAULT_DRAIN_TIMEOUT_MS = 30_000;
/** Workers that end and are started again within this time leave the entry where it is: clients find the port closed, and try again. */
const UNSERVED_MS = 3000;

/** What leads the workers of a server. It answers no call itself: it registers them, sums up what they count, and stops them. */
export class PrimaryServer extends Server {
  readonly #options: ServerOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #supervisor: Supervisor;
  readonly #tally = new TallySum();
  readonly #sharedHealth: SharedHealth;
  readonly #misbehaviour: Misbehaviour;
  readonly #claim: WorkerHost["claim"];
  #release: () => void = () => {};
  #state: ServerState = "new";
  readonly #presence: Presence;
  #isPaused = false;
  /** Ends when all workers have done what they were told last. */
  #told: Promise<void> = Promise.resolve();
  #weight: number | null = null;
  #started: Promise<void> = Promise.resolve();
  #closing: Promise<void> | null = null;
  /** Runs, or has run out, while no worker serves. */
  #unserved: Timer | null = null;
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
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#logger = guardLogger(options.logger ?? jsonLogger);
    const [clock, random, logger] = [this.#clock, this.#random, this.#logger];
    this.#misbehaviour = new Misbehaviour(clock, logger);
    this.#presence = new Presence(presenceOptions(options, plan), {
      clock,
      random,
      logger,
      health: { hold: (isHeld) => this.#hold(isHeld) },
    });
    this.#sharedHealth = new SharedHealth("primary", this.health, (service, status) => {
      this.#supervisor.broadcast(() => ({ bowline: "health", service, status, isEcho: false }));
    });
    const seat = (): WorkerStart => ({
      statuses: this.#sharedHealth.statuses,
      isPaused: this.#isPaused,
      weight: this.#weight,
    });
    const owner = {
      get workerStart() {
        return seat();
      },
      received: (id: number, message: FromWorker) => this.#received(id, message),
      ended: (id: number) => this.#ended(id),
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

  /** With a shared port the entry of all workers; with ports of their own each has one. */
  override get registration(): ServerRegistration | null {
    return this.#presence.registration;
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
    this.#release = this.#claim({
      clock: this.#clock,
      maxWaiting: Math.min(MAX_WAITING, (this.#options.maxConnections ?? MAX_WAITING) * this.workers.length),
      onMisuse: (kind, text) => this.#misused(kind, text),
    });
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

  /** Pauses all workers, those too that are started later. Waits for no worker that has ended or does nothing. */
  override async pause(): Promise<void> {
    await this.#presence.pause();
    await this.#told;
  }

  /** Undoes `pause()`, with ports of their own in each worker. */
  override async resume(): Promise<void> {
    await this.#presence.resume();
    await this.#told;
  }

  /** With ports of their own it is the weight of each worker. */
  override async setWeight(weight: number): Promise<void> {
    await this.#presence.setWeight(weight);
    this.#weight = weight;
    await this.#supervisor.ask({ bowline: "weight", weight });
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
      await Promise.race([this.#presence.open(this.address), interrupted]);
      this.health.start(this.#services);
      this.#state = "serving";
      this.#checkAnyServes();
    } catch (error) {
      await this.#end(0);
      throw error;
    }
  }

  #signalled(): Promise<void> {
    this.#endsProcess = true;
    return this.close();
  }

  /** A client has wanted too much of the primary itself. */
  #misused(kind: string, text: string): void {
    this.#misbehaviour.add(kind, "a client", text);
    this.#tally.add(PRIMARY_ID, { methods: [], misbehaved: { [kind]: 1 }, connections: 0 });
  }

  /** Workers answer for health, and those with ports of their own for their entries. */
  #hold(isHeld: boolean): void {
    this.#isPaused = isHeld;
    this.health.hold(isHeld);
    this.#told = this.#supervisor.ask({ bowline: "pause", isPaused: isHeld });
    // Told to whoever has called pause() or resume(); a health check does not.
    this.#told.catch(() => {});
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
        return this.#checkAnyServes();
      case "tally":
        return this.#tally.add(workerId, message.report);
      case "closed":
        return this.#checkAnyServes();
    }
  }

  #ended(workerId: number): void {
    this.#tally.ended(workerId);
    this.#checkAnyServes();
  }

  /** While no worker serves, others must not be sent here: for good once all have closed their servers, for they do not come back. */
  #checkAnyServes(): void {
    if (this.#state !== "serving") return;
    const states = this.workers.map(({ state }) => state);
    if (states.includes("serving")) return this.#isServed();
    if (states.some((state) => state !== "closed" && state !== "stopped")) {
      this.#unserved ??= this.#clock.setTimeout(() => this.#isUnserved(), UNSERVED_MS);
      return;
    }
    // Said before: each end of their processes leads here again.
    if (this.health.isStopped) return;
    this.#unserved?.cancel();
    this.#logger.warn({}, "all workers have closed their servers: nothing is served any more");
    this.health.stop();
    // What fails is logged; the entry expires then.
    void this.#presence.close();
  }

  /** Some worker serves, again or still. */
  #isServed(): void {
    if (this.#unserved === null) return;
    this.#unserved.cancel();
    this.#unserved = null;
    this.#presence.served();
  }

  #isUnserved(): void {
    if (this.registration === null) return;
    this.#logger.warn({}, "no worker serves: the instance is out of the registry until one does");
    this.#presence.unserved("no worker serves");
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
    await this.#end(this.#options.drainTimeoutMs ?? DEFAULT_DRAIN_TIMEOUT_MS);
  }

  /** Out of the registry, then all workers, within `withinMs` in all. */
  async #end(withinMs: number): Promise<void> {
    const endAt = this.#clock.fresh() + withinMs;
    this.#unserved?.cancel();
    this.health.stop();
    await this.#presence.close(withinMs);
    await this.#supervisor.stop(Math.max(0, endAt - this.#clock.fresh()));
    this.#sharedHealth.close();
    this.#ignoreSignals();
    this.#release();
    this.#state = "closed";
  }
}

/** With ports of their own the workers register and check their health; then there is nothing to register here. */
function presenceOptions(options: ServerOptions, plan: WorkerPlan): ServerOptions {
  return plan.ports === "shared" ? options : { ...options, registry: undefined, healthCheck: undefined };
}
