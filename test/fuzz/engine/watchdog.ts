import { Worker } from "node:worker_threads";

/** What a run of one input may cost. */
export interface WatchdogOptions {
  /** Where the input is written that passes a bound. */
  readonly file: string;
  /** Longest time of one input, in ms. Many thousand times what an honest one takes: other programs need the machine too. */
  readonly hangMs: number;
  /** Resident memory of the process, in bytes. */
  readonly maxResidentBytes: number;
  /** Longest input, in bytes. */
  readonly maxBytes: number;
}

/** Positions in the numbers that the threads share. */
export const Shared = { SEQUENCE: 0, LENGTH: 1, IS_BUSY: 2, COUNT: 3 } as const;

/**
 * A thread that looks on: it writes the input down and ends the process when one input takes too long or too much memory. Only another
 * thread can, since a loop without end lets nobody else run in this one.
 */
export class Watchdog {
  readonly #numbers: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #worker: Worker;

  constructor(options: WatchdogOptions) {
    const shared = new SharedArrayBuffer(Shared.COUNT * 4 + options.maxBytes);
    this.#numbers = new Int32Array(shared, 0, Shared.COUNT);
    this.#bytes = new Uint8Array(shared, Shared.COUNT * 4);
    this.#worker = new Worker(new URL("./watchdog-thread.ts", import.meta.url), { workerData: { ...options, shared } });
    this.#worker.unref();
  }

  /** An input begins to run. */
  begin(input: Uint8Array): void {
    this.#bytes.set(input.subarray(0, this.#bytes.length));
    Atomics.store(this.#numbers, Shared.LENGTH, Math.min(input.length, this.#bytes.length));
    Atomics.add(this.#numbers, Shared.SEQUENCE, 1);
    Atomics.store(this.#numbers, Shared.IS_BUSY, 1);
  }

  /** It has ended. */
  end(): void {
    Atomics.store(this.#numbers, Shared.IS_BUSY, 0);
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
