import { isUnixAddress, parseListenAddress } from "../../net/address.ts";
import { removeStaleSocket } from "../../net/listen-error.ts";
import { type Listener, type ListenOptions, type ListenTarget, listen } from "../../net/listener.ts";
import { socketNetwork } from "../../net/network.ts";
import type { Registry } from "../../registry/registry.ts";
import { type Clock, systemClock, type Timer } from "../../rpc/clock.ts";
import type { PresenceOptions } from "../lifecycle/presence.ts";
import { leaveSignalsToPrimary, stopOnSignals, stopProcess } from "../lifecycle/shutdown.ts";
import { Server, type ServerRole, type ServerState } from "../server.ts";
import type { ServerOptions } from "../server-options.ts";
import { TallySource } from "./call-tally.ts";
import type { PrimaryLink } from "./primary-link.ts";
import { SharedHealth } from "./shared-health.ts";
import { type ErrorReport, errorReport, type ToWorker } from "./worker-messages.ts";
import { ownPortOptions, type WorkerPlan } from "./worker-options.ts";

/** How often the primary is told what was counted. */
const TALLY_MS = 1000;

/** Options of which the primary decides some when the time has come; a server reads them when it needs them. */
type LedOptions = { -readonly [Name in keyof PresenceOptions]: PresenceOptions[Name] };

/**
 * Stands for the entry that the primary makes for all workers. To the worker's server it is one, so that it drains as a server does
 * whose address others have.
 */
const registeredByPrimary: Registry = {
  name: "primary",
  isMachineOnly: true,
  register: async () => ({ state: "registered", update: async () => {}, close: async () => {} }),
  watch() {
    throw new Error("the entry that a primary makes for its workers can't be watched");
  },
  close: async () => {},
};

/** What a worker is made with. */
export interface WorkerSeat {
  /** From 1. */
  readonly id: number;
  readonly plan: WorkerPlan;
  readonly link: PrimaryLink;
}

/** One of several servers that a primary leads: it starts, stops and answers for its health as that one says, and tells it its counts. */
export class WorkerServer extends Server {
  readonly #options: LedOptions;
  readonly #seat: WorkerSeat;
  readonly #clock: Clock;
  readonly #tally: TallySource;
  #sharedHealth: SharedHealth | null = null;
  #timer: Timer | null = null;
  #isStarting = false;
  #isStopping = false;
  #isFirst = false;
  #closing: Promise<void> | null = null;
  /** Ends the wait for the primary's leave to start. */
  #proceed: () => void = () => {};

  constructor(options: ServerOptions, seat: WorkerSeat) {
    const own = seat.plan.ports === "own" ? ownPortOptions(options, seat.id) : {};
    const registry =
      seat.plan.ports === "shared" && options.registry !== undefined ? registeredByPrimary : options.registry;
    const healthCheck = seat.plan.ports === "shared" ? undefined : options.healthCheck;
    const led: LedOptions = { ...options, ...own, registry, healthCheck, workers: undefined, handleSignals: false };
    super(led);
    this.#options = led;
    this.#seat = seat;
    this.#clock = options.clock ?? systemClock;
    this.#tally = new TallySource(this);
    led.network = { ...socketNetwork, listen: (target, listenOptions) => this.#bind(target, listenOptions) };
    // What ownPortOptions does not see: ports of variables.
    if (seat.plan.ports === "own") led.portOffset = seat.id - 1;
    led.ready = async () => {
      await seat.link.send({ bowline: "bound", address: this.address });
      await options.ready?.();
    };
  }

  override get role(): ServerRole {
    return "worker";
  }

  override get state(): ServerState {
    return this.#isStarting && super.state === "new" ? "starting" : super.state;
  }

  /**
   * Starts when the primary gives leave. What goes wrong is told to the primary, whose `start()` rejects with it; this process then
   * ends, and the promise does not settle.
   */
  override async start(): Promise<this> {
    if (this.state !== "new") throw new Error(`server.start(): the server is ${this.state} already`);
    this.#isStarting = true;
    const { link } = this.#seat;
    const mayProceed = new Promise<void>((resolve) => {
      this.#proceed = resolve;
    });
    this.#sharedHealth = new SharedHealth("worker", this.health, (service, status) => {
      void link.send({ bowline: "health", service, status });
    });
    leaveSignalsToPrimary();
    stopOnSignals({ stop: () => this.close() });
    link.open({ received: (message) => this.#received(message), lost: () => this.#stop() });
    await link.send({ bowline: "asks", statuses: this.#sharedHealth.statuses });
    await mayProceed;
    try {
      await super.start();
    } catch (error) {
      return this.#failed(error);
    }
    await this.#tell();
    await link.send({ bowline: "serving", address: this.address, services: [...this.health.all.keys()] });
    if (this.#closing === null) this.#timer = this.#clock.setInterval(() => void this.#tell(), TALLY_MS);
    return this;
  }

  /** Closes the server of this worker as {@link Server.close} does. The others serve on; no other takes its place. */
  override close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { link } = this.#seat;
    await super.close();
    this.#proceed();
    this.#timer?.cancel();
    this.#sharedHealth?.close();
    await this.#tell();
    await link.send({ bowline: "closed" });
    link.release();
  }

  async #failed(error: unknown): Promise<never> {
    // Told to stop, the process is about to end as it should.
    if (this.#isStopping) await new Promise(() => {});
    if (this.#closing !== null) throw error;
    const { link } = this.#seat;
    await link.send({ bowline: "failed", error: errorReport(error) });
    link.exit(1);
    return new Promise(() => {});
  }

  #received(message: ToWorker): void {
    switch (message.bowline) {
      case "go":
        if (this.#seat.plan.ports === "shared") this.#options.listen = message.listen;
        this.#isFirst = message.isFirst;
        this.#sharedHealth?.setAll(message.statuses);
        if (message.isPaused) void this.pause();
        if (message.weight !== null) void this.setWeight(message.weight);
        return this.#proceed();
      case "health":
        if (message.isEcho) this.#sharedHealth?.confirm(message.service);
        else this.#sharedHealth?.set(message.service, message.status);
        return;
      case "pause":
        return this.#answer(message.replyTo, message.isPaused ? this.pause() : this.resume());
      case "weight":
        return this.#answer(message.replyTo, this.setWeight(message.weight));
      case "stop":
        this.#options.drainTimeoutMs = message.withinMs;
        return this.#stop();
    }
  }

  /** Tells the primary when it is done, or what has gone wrong. */
  #answer(replyTo: number, done: Promise<void>): void {
    const tell = (error: ErrorReport | null): void => void this.#seat.link.send({ bowline: "done", replyTo, error });
    done.then(
      () => tell(null),
      (error: unknown) => tell(errorReport(error)),
    );
  }

  /** Stops all of this process, then ends it. */
  #stop(): void {
    this.#isStopping = true;
    stopProcess();
  }

  /** Tells the primary what was counted since it was told last. */
  async #tell(): Promise<void> {
    const report = this.#tally.next();
    if (report !== null) await this.#seat.link.send({ bowline: "tally", report });
  }

  async #bind(target: ListenTarget, options: ListenOptions): Promise<Listener> {
    if (this.#seat.plan.ports === "own") return listen(target, { ...options, cluster: "own" });
    const address = typeof target === "string" ? parseListenAddress(target) : target;
    if (this.#isFirst && isUnixAddress(address)) await removeStaleSocket(address.path);
    return listen(address, { ...options, cluster: "shared" });
  }
}
