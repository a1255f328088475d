import { ConnectionBackoff } from "../../resilience/backoff.ts";
import { type Clock, ProcessHold, type Timer } from "../../rpc/clock.ts";
import type { Random } from "../../rpc/random.ts";
import type { ErrorReport, FromWorker, ToWorker, WorkerRequest } from "./worker-messages.ts";
import { errorReport, reportedError } from "./worker-messages.ts";
import type { LaunchWorker, WorkerProcess } from "./worker-process.ts";

/**
 * Where a worker is in its life.
 *
 * ```text
 *   starting ──► serving ──► (ended) ──► restarting ──► starting
 *      ├────────────┼── close() in the worker ──► closed
 *      └────────────┴── the primary stops ──► stopping ──► stopped
 * ```
 */
export type WorkerState = "starting" | "serving" | "restarting" | "closed" | "stopping" | "stopped";

/** What a primary knows of a worker. */
export interface WorkerInfo {
  /** From 1; the same for the process that takes its place. */
  readonly id: number;
  /** 0 while there is no process. */
  readonly pid: number;
  /** What it serves; empty while it does not. */
  readonly address: string;
  readonly state: WorkerState;
  /** How often another process has taken its place. */
  readonly restarts: number;
}

/** How far the start of a worker has come: it runs, has asked for its address, has got it, has bound it; or it has said why it can't. */
type StartPhase = "booting" | "asking" | "binding" | "bound" | "failed";

type SlotState =
  | {
      readonly kind: "starting";
      readonly process: WorkerProcess;
      readonly phase: StartPhase;
      readonly timer: Timer | null;
    }
  | { readonly kind: "serving"; readonly process: WorkerProcess; readonly sinceMs: number }
  | { readonly kind: "restarting"; readonly timer: Timer }
  | { readonly kind: "closed"; readonly process: WorkerProcess }
  | { readonly kind: "stopping"; readonly process: WorkerProcess; readonly timer: Timer }
  | { readonly kind: "stopped" };

/** What a slot needs of the world. */
export interface SlotOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly launch: LaunchWorker;
  readonly startTimeoutMs: number;
}

/** Who is told what becomes of a slot's worker. */
export interface SlotOwner {
  received(slot: WorkerSlot, message: FromWorker): void;
  /**
   * Its process has ended, and the slot is `restarting`, or `stopped` because that was meant (`restartInMs` is -1). The message of
   * `why` completes "worker 2 …".
   */
  ended(slot: WorkerSlot, why: Error, restartInMs: number): void;
  /** It has bound its port `forMs` ago and does not serve yet. */
  isSlow(slot: WorkerSlot, forMs: number): void;
}

/** Whoever has served for so long is started again without delay, should it end. */
const STEADY_MS = 10_000;
/** A worker that has reported why it can't start ends by itself within this time, unless something holds it. */
const FAILED_GRACE_MS = 2000;
/** Between binding its port and serving stand only the program's `ready` and, with a port of its own, the registry. */
const SLOW_MS = 30_000;
/** How much longer than its time a worker that stops may take before it is killed. */
const STOP_GRACE_MS = 5000;

const BACKOFF = { initialMs: 100, factor: 2, maxMs: 30_000 };

/** The place of one worker: a process runs in it, and when it ends another one. */
export class WorkerSlot {
  readonly id: number;
  /** What it serves; empty while it does not. */
  address = "";
  restarts = 0;
  /** Killed because it did not stop in time. */
  wasKilled = false;
  readonly #options: SlotOptions;
  readonly #owner: SlotOwner;
  readonly #backoff: ConnectionBackoff;
  /** Held while there is nothing but the time of its restart to wait for. */
  readonly #hold: ProcessHold;
  /** What the process was asked to do and has not answered yet, by number. */
  readonly #asked: Map<number, PromiseWithResolvers<void>> = new Map();
  #lastAsked = 0;
  #state: SlotState = { kind: "stopped" };
  #failure: Error | null = null;

  constructor(id: number, options: SlotOptions, owner: SlotOwner) {
    this.id = id;
    this.#options = options;
    this.#owner = owner;
    this.#backoff = new ConnectionBackoff({ ...BACKOFF, random: options.random });
    this.#hold = new ProcessHold(options.clock);
  }

  get state(): WorkerState {
    return this.#state.kind;
  }

  get info(): WorkerInfo {
    const { id, address, restarts, state } = this;
    return { id, pid: this.#process?.pid ?? 0, address, state, restarts };
  }

  /** Why the process that runs is going to end, if that is known; completes "worker 2 …". */
  get failure(): Error | null {
    return this.#failure;
  }

  /** Null unless the worker is starting. */
  get phase(): StartPhase | null {
    return this.#state.kind === "starting" ? this.#state.phase : null;
  }

  /** Starts its process. */
  launch(): void {
    const { clock, startTimeoutMs, launch } = this.#options;
    this.#hold.set(false);
    this.#failure = null;
    let process: WorkerProcess;
    try {
      process = launch(this.id, {
        received: (message) => this.#received(process, message),
        ended: (how) => this.#ended(process, how),
      });
    } catch (error) {
      // The system has no memory or no number left for a process: later it may have.
      this.#failure = new Error(`could not be started: ${errorReport(error).message}`, { cause: error });
      return this.#restartLater(this.#failure);
    }
    const timer = clock.setTimeout(() => this.#isLate(), startTimeoutMs);
    this.#state = { kind: "starting", process, phase: "booting", timer };
  }

  /** Lets the worker that asks bind its address. */
  go(message: ToWorker): void {
    this.#advance("binding");
    this.send(message);
  }

  /** Tells the worker something, if there is one that can listen. */
  send(message: ToWorker): void {
    if (this.phase !== "booting") this.#process?.send(message);
  }

  /**
   * Asks the worker to do something. Resolves when it has, or can't any more, or will hear of it when it starts; rejects with what went
   * wrong there.
   */
  ask(request: WorkerRequest): Promise<void> {
    const { kind } = this.#state;
    if (this.phase === "booting" || (kind !== "starting" && kind !== "serving")) return Promise.resolve();
    const answer = Promise.withResolvers<void>();
    const replyTo = ++this.#lastAsked;
    this.#asked.set(replyTo, answer);
    this.send({ ...request, replyTo });
    return answer.promise;
  }

  /** Ends a worker that is of no use as it is; another process takes its place. */
  discard(why: Error): void {
    this.#failure = why;
    this.#process?.kill();
  }

  /** Has the worker stop within `withinMs`; one that has not asked for anything yet is ended at once. */
  stop(withinMs: number): void {
    const state = this.#state;
    if (state.kind === "stopping" || state.kind === "stopped") return;
    if (state.kind === "restarting") {
      state.timer.cancel();
      this.#hold.set(false);
      this.#state = { kind: "stopped" };
      return;
    }
    const { process } = state;
    if (state.kind === "starting") state.timer?.cancel();
    const isBooting = this.phase === "booting";
    const timer = this.#options.clock.setTimeout(() => this.#isStuck(), withinMs + STOP_GRACE_MS);
    this.#state = { kind: "stopping", process, timer };
    if (isBooting) process.kill();
    else process.send({ bowline: "stop", withinMs });
  }

  /** Ends the process at once, for good. */
  kill(): void {
    this.#process?.kill();
  }

  get #process(): WorkerProcess | null {
    return "process" in this.#state ? this.#state.process : null;
  }

  #received(process: WorkerProcess, message: FromWorker): void {
    if (process !== this.#process) return;
    const isStarting = this.#state.kind === "starting";
    if (message.bowline === "asks") this.#advance("asking");
    else if (message.bowline === "bound") this.#advance("bound");
    else if (message.bowline === "serving" && isStarting) this.#serves(process, message.address);
    else if (message.bowline === "failed" && isStarting) this.#failed(process, reportedError(message.error));
    else if (message.bowline === "closed") this.#closed(process);
    else if (message.bowline === "done") this.#answered(message.replyTo, message.error);
    this.#owner.received(this, message);
  }

  #serves(process: WorkerProcess, address: string): void {
    if (this.#state.kind === "starting") this.#state.timer?.cancel();
    this.#state = { kind: "serving", process, sinceMs: this.#options.clock.fresh() };
    this.address = address;
  }

  #closed(process: WorkerProcess): void {
    if (this.#state.kind === "starting") {
      this.#state.timer?.cancel();
      this.#failure ??= new Error("closed its server before it served");
    } else if (this.#state.kind !== "serving") return;
    this.#state = { kind: "closed", process };
    this.address = "";
    this.#forgetAsked();
  }

  #answered(replyTo: number, error: ErrorReport | null): void {
    const answer = this.#asked.get(replyTo);
    this.#asked.delete(replyTo);
    if (error === null) answer?.resolve();
    else answer?.reject(new Error(`worker ${this.id}: ${error.message}`, { cause: reportedError(error) }));
  }

  /** Nobody will answer: there is nothing left to do there. */
  #forgetAsked(): void {
    for (const answer of this.#asked.values()) answer.resolve();
    this.#asked.clear();
  }

  #failed(process: WorkerProcess, why: Error): void {
    this.#failure = new Error(`could not start: ${why.message}`, { cause: why });
    if (this.#state.kind === "starting") this.#state.timer?.cancel();
    const timer = this.#options.clock.setTimeout(() => process.kill(), FAILED_GRACE_MS);
    this.#state = { kind: "starting", process, phase: "failed", timer };
  }

  #advance(phase: StartPhase): void {
    if (this.#state.kind !== "starting") return;
    // Once it has asked, what takes its time is the program's own `ready`.
    this.#state.timer?.cancel();
    const isSlow = (): void => this.#owner.isSlow(this, SLOW_MS);
    const timer = phase === "bound" ? this.#options.clock.setTimeout(isSlow, SLOW_MS) : null;
    this.#state = { ...this.#state, phase, timer };
  }

  #isLate(): void {
    const { startTimeoutMs } = this.#options;
    this.discard(
      new Error(
        `did not reach start() of a server with workers within ${startTimeoutMs} ms (workers.startTimeoutMs); does the program that ` +
          "it runs create one? workers.entry names another program",
      ),
    );
  }

  #isStuck(): void {
    this.wasKilled = true;
    this.#process?.kill();
  }

  #ended(process: WorkerProcess, how: string): void {
    if (process !== this.#process) return;
    const why = this.#failure ?? new Error(how);
    const isMeant = this.#state.kind === "stopping" || this.#state.kind === "closed";
    this.address = "";
    this.#forgetAsked();
    if ("timer" in this.#state) this.#state.timer?.cancel();
    if (isMeant) {
      this.#state = { kind: "stopped" };
      this.#owner.ended(this, why, -1);
    } else this.#restartLater(why);
  }

  #restartLater(why: Error): void {
    const { clock } = this.#options;
    if (this.#state.kind === "serving" && clock.fresh() - this.#state.sinceMs >= STEADY_MS) this.#backoff.reset();
    const delayMs = this.#backoff.next();
    const restart = (): void => {
      this.restarts++;
      this.launch();
    };
    this.#state = { kind: "restarting", timer: clock.setTimeout(restart, delayMs) };
    this.#hold.set(true);
    this.#owner.ended(this, why, delayMs);
  }
}
