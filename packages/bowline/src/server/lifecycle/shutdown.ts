import { type Clock, systemClock } from "../../rpc/clock.ts";

/** Something that stops in order when the process is asked to end. */
export interface Stoppable {
  stop(): Promise<void>;
  /** The process ends at once: ends what would outlive it. */
  abort?(): void;
}

/** What of a process is needed; the global `process` has it. */
export interface SignalledProcess {
  on(signal: StopSignal, listener: (signal: StopSignal) => void): unknown;
  off(signal: StopSignal, listener: (signal: StopSignal) => void): unknown;
  exit(code?: number): void;
}

type StopSignal = "SIGTERM" | "SIGINT";

/** What a shell makes of a process that a signal has killed: 128 + the signal's number. */
const EXIT_CODES: Readonly<Record<StopSignal, number>> = { SIGTERM: 143, SIGINT: 130 };

/** `npm run` passes on the Ctrl-C that the terminal has sent to all of its processes already: that is one wish, not two. */
const SAME_WISH_MS = 250;

/**
 * Ends a process in order. The first SIGTERM or SIGINT stops all stoppables; when they have, the process ends with `process.exitCode`,
 * 0 unless somebody set it. A second signal ends it at once.
 *
 * The process is ended, not left to end by itself: a database pool or a client that nobody closes would keep it for ever, and whoever
 * sent the signal would have to kill it. Who has more to put in order sets `handleSignals: false` and calls `close()`.
 */
export class SignalStop {
  readonly #process: SignalledProcess;
  readonly #clock: Clock;
  readonly #stoppables: Set<Stoppable> = new Set();
  /** Monotonic ms of the first signal; -1 before. */
  #signalledAt = -1;
  #isListening = false;
  #isLedByPrimary = false;
  readonly #onSignal = (signal: StopSignal): void => this.#signalled(signal);

  constructor(ofProcess: SignalledProcess, clock: Clock) {
    this.#process = ofProcess;
    this.#clock = clock;
  }

  /** Adds something to stop; returns the way to take it out again. Listens to signals only while there is something. */
  add(stoppable: Stoppable): () => void {
    this.#listen();
    this.#stoppables.add(stoppable);
    return () => this.#remove(stoppable);
  }

  /**
   * Ignores signals from now on: this process is a worker, and they reach the primary too when they are meant for all. It calls
   * {@link stop} when it is this worker's turn.
   */
  leaveToPrimary(): void {
    this.#isLedByPrimary = true;
    this.#listen();
  }

  /** Does what the first signal does. */
  stop(): void {
    if (this.#signalledAt >= 0) return;
    this.#signalledAt = this.#clock.fresh();
    const stops = [...this.#stoppables].map((each) => each.stop());
    void Promise.allSettled(stops).then(() => this.#process.exit());
  }

  #listen(): void {
    if (this.#isListening) return;
    this.#isListening = true;
    this.#process.on("SIGTERM", this.#onSignal);
    this.#process.on("SIGINT", this.#onSignal);
  }

  #remove(stoppable: Stoppable): void {
    const isLast = this.#stoppables.delete(stoppable) && this.#stoppables.size === 0;
    // While the process ends a second signal must still find us.
    if (!isLast || this.#signalledAt >= 0 || this.#isLedByPrimary) return;
    this.#isListening = false;
    this.#process.off("SIGTERM", this.#onSignal);
    this.#process.off("SIGINT", this.#onSignal);
  }

  #signalled(signal: StopSignal): void {
    if (this.#isLedByPrimary) return;
    if (this.#signalledAt < 0) return this.stop();
    if (this.#clock.fresh() - this.#signalledAt < SAME_WISH_MS) return;
    for (const each of this.#stoppables) each.abort?.();
    this.#process.exit(EXIT_CODES[signal]);
  }
}

/** There is one process, and it ends once: whatever is to stop with it meets here. */
const ownProcess = new SignalStop(process, systemClock);

/** Leaves the signals of this process to its primary, as {@link SignalStop.leaveToPrimary} says. */
export function leaveSignalsToPrimary(): void {
  ownProcess.leaveToPrimary();
}

/** Stops this process in order, as a first signal does. */
export function stopProcess(): void {
  ownProcess.stop();
}

/** Stops `stoppable` when this process is asked to end, as {@link SignalStop} says. Returns the way to take it back. */
export function stopOnSignals(stoppable: Stoppable): () => void {
  return ownProcess.add(stoppable);
}
