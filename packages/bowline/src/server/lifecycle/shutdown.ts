import process from "node:process";
import { type Clock, systemClock } from "../../rpc/clock.ts";

/** Something that stops in order when the process is asked to end. */
export interface Stoppable {
  stop(): Promise<void>;
}

/** What of a process is needed; node:process has it. */
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
  readonly #onSignal = (signal: StopSignal): void => this.#signalled(signal);

  constructor(ofProcess: SignalledProcess, clock: Clock) {
    this.#process = ofProcess;
    this.#clock = clock;
  }

  /** Adds something to stop; returns the way to take it out again. Listens to signals only while there is something. */
  add(stoppable: Stoppable): () => void {
    if (this.#stoppables.size === 0) {
      this.#process.on("SIGTERM", this.#onSignal);
      this.#process.on("SIGINT", this.#onSignal);
    }
    this.#stoppables.add(stoppable);
    return () => this.#remove(stoppable);
  }

  #remove(stoppable: Stoppable): void {
    const isLast = this.#stoppables.delete(stoppable) && this.#stoppables.size === 0;
    // While the process ends a second signal must still find us.
    if (!isLast || this.#signalledAt >= 0) return;
    this.#process.off("SIGTERM", this.#onSignal);
    this.#process.off("SIGINT", this.#onSignal);
  }

  #signalled(signal: StopSignal): void {
    const now = this.#clock.fresh();
    if (this.#signalledAt >= 0) {
      if (now - this.#signalledAt >= SAME_WISH_MS) this.#process.exit(EXIT_CODES[signal]);
      return;
    }
    this.#signalledAt = now;
    const stops = [...this.#stoppables].map((each) => each.stop());
    void Promise.allSettled(stops).then(() => this.#process.exit());
  }
}

/** There is one process, and it ends once: whatever is to stop with it meets here. */
const ownProcess = new SignalStop(process, systemClock);

/** Stops `stoppable` when this process is asked to end, as {@link SignalStop} says. Returns the way to take it back. */
export function stopOnSignals(stoppable: Stoppable): () => void {
  return ownProcess.add(stoppable);
}
