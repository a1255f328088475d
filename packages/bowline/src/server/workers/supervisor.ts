import type { Logger } from "../../observe/logger.ts";
import { type Clock, within } from "../../rpc/clock.ts";
import type { Random } from "../../rpc/random.ts";
import type { FromWorker, ToWorker, WorkerRequest, WorkerStart } from "./worker-messages.ts";
import { samePort, type WorkerPlan } from "./worker-options.ts";
import type { LaunchWorker } from "./worker-process.ts";
import { type WorkerInfo, WorkerSlot } from "./worker-slot.ts";

/** What a supervisor needs. */
export interface SupervisorOptions {
  readonly plan: WorkerPlan;
  /** Where shared ports listen; with own ports each worker knows. */
  readonly listen: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly launch: LaunchWorker;
  readonly owner: SupervisorOwner;
}

/** Who is told what the workers tell. */
export interface SupervisorOwner {
  /** What a worker starts with. */
  readonly workerStart: WorkerStart;
  /** A message that is not about the worker's own life. */
  received(workerId: number, message: FromWorker): void;
  /** The process of a worker has ended. */
  ended(workerId: number): void;
}

/** For workers to do what they are asked. */
const ASK_MS = 10_000;

/** Until all workers serve, the end of one is a failed start; then it is started again, and once all are to stop, it stays away. */
type Phase =
  | { readonly kind: "starting"; readonly serving: () => void; readonly failed: (error: Error) => void }
  | { readonly kind: "running" }
  | { readonly kind: "stopping"; readonly stopped: () => void };

/**
 * Keeps a number of workers running: starts them, starts those again that end, and stops them.
 *
 * With a shared port one worker binds first, the others follow: only the first may remove the file that a dead server has left of a
 * Unix socket, and a port that is taken is found out once.
 */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #slots: readonly WorkerSlot[];
  #phase: Phase = { kind: "running" };
  /** What is told to workers that ask. */
  #listen: string;
  #bound = "";

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#listen = options.listen;
    const { clock, random, launch, plan } = options;
    const slotOptions = { clock, random, launch, startTimeoutMs: plan.startTimeoutMs };
    const owner = {
      received: (slot: WorkerSlot, message: FromWorker) => this.#received(slot, message),
      ended: (slot: WorkerSlot, why: Error, restartInMs: number) => this.#ended(slot, why, restartInMs),
      isSlow: (slot: WorkerSlot, forMs: number) => this.#isSlow(slot, forMs),
    };
    this.#slots = Array.from({ length: plan.count }, (_, index) => new WorkerSlot(index + 1, slotOptions, owner));
  }

  get workers(): readonly WorkerInfo[] {
    return this.#slots.map((slot) => slot.info);
  }

  /** What a shared port is bound to; empty before, and with own ports. */
  get bound(): string {
    return this.#bound;
  }

  /**
   * Resolves when all workers serve, but for those that have closed their server again. Rejects with why the first of them can't; the
   * others are left as they are, to be stopped.
   */
  start(): Promise<void> {
    return new Promise((serving, failed) => {
      this.#phase = { kind: "starting", serving, failed };
      for (const slot of this.#slots) if (this.#phase.kind === "starting") slot.launch();
    });
  }

  /** Has all workers stop within `withinMs`; resolves when all processes have ended. Those that overstay are killed. */
  stop(withinMs: number): Promise<void> {
    return new Promise((stopped) => {
      this.#phase = { kind: "stopping", stopped };
      for (const slot of this.#slots) slot.stop(withinMs);
      this.#checkStopped();
    });
  }

  /** Ends all workers at once. */
  kill(): void {
    for (const slot of this.#slots) slot.kill();
  }

  /** Tells all workers something, each in its own words. */
  broadcast(message: (workerId: number) => ToWorker): void {
    for (const slot of this.#slots) slot.send(message(slot.id));
  }

  /**
   * Asks all workers to do something. Resolves when those have done it that can; those that do not answer in time are named in the log.
   * Rejects with what the first of them says against it.
   */
  async ask(request: WorkerRequest): Promise<void> {
    const { clock, logger } = this.#options;
    const waitsFor = new Set(this.#slots);
    const answers = Promise.allSettled(
      this.#slots.map((slot) => slot.ask(request).finally(() => waitsFor.delete(slot))),
    );
    if (!(await within(clock, answers, ASK_MS))) {
      const workers = [...waitsFor].map(({ id }) => id);
      logger.warn({ workers }, `workers ${workers.join(", ")} have not done within ${ASK_MS} ms what they were told`);
      return;
    }
    for (const answer of await answers) if (answer.status === "rejected") throw answer.reason;
  }

  #received(slot: WorkerSlot, message: FromWorker): void {
    this.#options.owner.received(slot.id, message);
    switch (message.bowline) {
      case "asks":
        return this.#admit();
      case "bound":
        return this.#isBound(slot, message.address);
      case "serving":
        return this.#serves(slot);
      case "failed":
        return this.#startFailed(slot, slot.failure ?? new Error("could not start"));
      case "closed":
        return this.#closed(slot);
    }
  }

  #serves(slot: WorkerSlot): void {
    const { logger } = this.#options;
    if (slot.restarts > 0) logger.info({ worker: slot.id, ...placeOf(slot) }, `worker ${slot.id} serves again`);
    this.#checkStarted();
  }

  /** The worker has closed its server itself. */
  #closed(slot: WorkerSlot): void {
    if (slot.failure !== null) this.#startFailed(slot, slot.failure);
    this.#checkStarted();
    this.#admit();
  }

  #checkStarted(): void {
    if (this.#phase.kind !== "starting" || this.#slots.some(({ state }) => state === "starting")) return;
    const { serving, failed } = this.#phase;
    this.#phase = { kind: "running" };
    if (this.#slots.some(({ state }) => state === "serving")) serving();
    else failed(new Error("server.start(): all workers have closed their servers"));
  }

  #startFailed(slot: WorkerSlot, why: Error): void {
    if (this.#phase.kind !== "starting") return;
    const { failed } = this.#phase;
    this.#phase = { kind: "running" };
    failed(new Error(`server.start(): worker ${slot.id} ${why.message}`, { cause: why.cause }));
  }

  // --- who may bind ---

  /** Lets those bind that may. */
  #admit(): void {
    if (this.#phase.kind === "stopping") return;
    const asking = this.#slots.filter((slot) => slot.phase === "asking");
    if (this.#options.plan.ports === "own") {
      for (const slot of asking) this.#go(slot, false);
      return;
    }
    // Clients that wait for the port would all go to the first worker if it were alone for long.
    if (this.#phase.kind === "starting" && this.#slots.some((slot) => slot.phase === "booting")) return;
    if (this.#slots.some((slot) => slot.state === "serving" || slot.phase === "bound")) {
      for (const slot of asking) this.#go(slot, false);
    } else if (asking.length > 0 && !this.#slots.some((slot) => slot.phase === "binding")) {
      this.#go(asking[0], true);
    }
  }

  #go(slot: WorkerSlot, isFirst: boolean): void {
    const { workerStart } = this.#options.owner;
    // The port is open while a worker has it; when the last has ended, it must be the same again.
    if (isFirst && this.#bound !== "") this.#listen = samePort(this.#options.listen, this.#bound);
    slot.go({ bowline: "go", listen: this.#listen, isFirst, ...workerStart });
  }

  #isBound(slot: WorkerSlot, address: string): void {
    if (this.#options.plan.ports === "shared") {
      if (this.#bound === "") this.#bound = address;
      if (this.#bound !== address) return slot.discard(new Error(`was given ${address} instead of ${this.#bound}`));
    }
    this.#admit();
  }

  #isSlow(slot: WorkerSlot, forMs: number): void {
    const what = this.#options.plan.ports === "own" ? "`ready` or the registry" : "`ready`";
    const text = `worker ${slot.id} does not serve ${forMs} ms after it has bound its port: ${what} takes its time`;
    this.#options.logger.warn({ worker: slot.id, pid: slot.info.pid }, text);
  }

  // --- ends ---

  #ended(slot: WorkerSlot, why: Error, restartInMs: number): void {
    const { owner, logger } = this.#options;
    owner.ended(slot.id);
    if (this.#phase.kind === "stopping") {
      if (slot.wasKilled) logger.warn({ worker: slot.id }, `worker ${slot.id} did not stop in time: killed`);
      this.#checkStopped();
    } else if (restartInMs < 0) {
      // It had closed its server itself; nobody takes its place.
      this.#checkStarted();
    } else if (this.#phase.kind === "starting") {
      const hint = slot.failure === null ? " before it served; what it wrote says why" : "";
      this.#startFailed(slot, new Error(`${why.message}${hint}`, { cause: why.cause }));
    } else {
      const text = `worker ${slot.id} ${why.message}; it is started again in ${Math.round(restartInMs)} ms`;
      const { cause } = why;
      logger.error({ worker: slot.id, restarts: slot.restarts, ...(cause !== undefined && { error: cause }) }, text);
      this.#admit();
    }
  }

  #checkStopped(): void {
    if (this.#phase.kind !== "stopping" || this.#slots.some((slot) => slot.state !== "stopped")) return;
    this.#phase.stopped();
  }
}

function placeOf({ info: { pid, address } }: WorkerSlot): { readonly pid: number; readonly address: string } {
  return { pid, address };
}
