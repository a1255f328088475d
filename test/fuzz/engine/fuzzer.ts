import { setImmediate as nextTurn } from "node:timers/promises";
import { Chance } from "../../codec/chance.ts";
import { Coverage } from "./coverage.ts";
import type { FuzzTarget } from "./fuzz-target.ts";
import { Mutator } from "./mutator.ts";
import type { Watchdog } from "./watchdog.ts";

/** How a target is fuzzed. */
export interface FuzzOptions {
  readonly seed: number;
  /** Ends after so many ms, */
  readonly forMs: number;
  /** or so many inputs. */
  readonly maxInputs: number;
  /** Inputs to start from beside the target's seeds. */
  readonly corpus: readonly Uint8Array[];
  /** False: inputs are made of those at the start alone. Default true. */
  readonly isGuided?: boolean;
  readonly watchdog?: Watchdog;
}

/** An input that the oracle did not let pass. */
export interface Finding {
  readonly input: Buffer;
  readonly error: unknown;
}

/** What a run came to. */
export interface FuzzResult {
  readonly inputs: number;
  readonly elapsedMs: number;
  /** Inputs that run something that those before them did not. */
  readonly corpus: readonly Buffer[];
  /** Characters of source that ran. */
  readonly covered: number;
  /** The first fault ends the run. */
  readonly finding: Finding | undefined;
}

/**
 * Inputs between two readings of the coverage, which take 5 ms or more: few while every batch runs something new, because each new one
 * is then looked for among few; many when there is little left to find.
 */
const LEAST_BATCH_INPUTS = 4;
const MOST_BATCH_INPUTS = 400;
/** Inputs of late that are chosen half of the time. */
const RECENT_INPUTS = 8;
/** Inputs between two turns of the event loop: what Node frees in the next turn, such as the state of zlib, would gather. */
const INPUTS_A_TURN = 50;

/** Runs a target on inputs that it makes of seeds and of what ran new code, until a bound or the first fault. */
export class Fuzzer {
  readonly #target: FuzzTarget;
  readonly #options: FuzzOptions;
  readonly #chance: Chance;
  readonly #mutator: Mutator;
  readonly #coverage: Coverage | null;
  readonly #corpus: Buffer[] = [];
  #inputs = 0;
  #tried = 0;

  constructor(target: FuzzTarget, options: FuzzOptions) {
    this.#target = target;
    this.#options = options;
    this.#chance = new Chance(options.seed);
    this.#mutator = new Mutator(this.#chance, target);
    this.#coverage = options.isGuided === false ? null : new Coverage(target.covers);
  }

  /** Fuzzes. Rejects only for a mistake of its own. */
  async run(): Promise<FuzzResult> {
    const started = performance.now();
    const { maxInputs, forMs, corpus } = this.#options;
    let batchInputs = LEAST_BATCH_INPUTS;
    let finding = await this.#start([...this.#target.seeds, ...corpus]);
    while (finding === undefined && this.#inputs < maxInputs && performance.now() - started < forMs) {
      const batch = Array.from({ length: Math.min(batchInputs, maxInputs - this.#inputs) }, () => this.#newInput());
      finding = await this.#runAll(batch);
      if (finding !== undefined) break;
      const isNew = await this.#keepNew(batch);
      batchInputs = isNew
        ? Math.max(LEAST_BATCH_INPUTS, batchInputs >> 1)
        : Math.min(MOST_BATCH_INPUTS, batchInputs * 2);
    }
    const covered = this.#coverage?.total ?? 0;
    return { inputs: this.#inputs, elapsedMs: performance.now() - started, corpus: this.#corpus, covered, finding };
  }

  async #start(inputs: readonly Uint8Array[]): Promise<Finding | undefined> {
    for (const input of inputs) {
      const finding = await this.#runAll([Buffer.from(input)]);
      if (finding !== undefined) return finding;
      // All are kept, also those that run nothing new: each was chosen by somebody.
      this.#coverage?.take(true);
      this.#corpus.push(Buffer.from(input));
    }
    if (this.#corpus.length === 0) this.#corpus.push(Buffer.alloc(0));
    return undefined;
  }

  #newInput(): Buffer {
    const corpus = this.#corpus;
    const recent = this.#chance.odds(0.5) ? Math.max(0, corpus.length - RECENT_INPUTS) : 0;
    const parent = corpus[this.#chance.int(recent, corpus.length - 1)];
    return this.#mutator.mutate(parent, this.#chance.pick(corpus));
  }

  async #runAll(inputs: readonly Buffer[]): Promise<Finding | undefined> {
    for (const input of inputs) {
      this.#inputs++;
      const error = await this.#try(input);
      if (error !== undefined) return { input, error };
    }
    return undefined;
  }

  /** Adds the inputs of the batch that ran something new: a reading tells that there are some, halving finds them. False for none. */
  async #keepNew(batch: readonly Buffer[]): Promise<boolean> {
    const coverage = this.#coverage;
    if (coverage === null || coverage.take(batch.length === 1) === 0) return false;
    if (batch.length === 1) {
      this.#corpus.push(batch[0]);
      return true;
    }
    const seen = coverage.unmerged();
    const middle = batch.length >> 1;
    for (const half of [batch.slice(0, middle), batch.slice(middle)]) {
      if (!coverage.isNew(seen)) return true;
      for (const input of half) await this.#try(input);
      await this.#keepNew(half);
    }
    coverage.accept(seen);
    return true;
  }

  async #try(input: Buffer): Promise<unknown> {
    if (++this.#tried % INPUTS_A_TURN === 0) await nextTurn();
    return tryInput(this.#target, input, this.#options.watchdog);
  }
}

/** Runs one input and gives what it threw, wrapped if that was undefined; undefined when all was well. */
export async function tryInput(target: FuzzTarget, input: Uint8Array, watchdog?: Watchdog): Promise<unknown> {
  watchdog?.begin(input);
  try {
    const done = target.run(Buffer.from(input));
    if (done !== undefined) await done;
    return undefined;
  } catch (error) {
    return error ?? new Error("undefined was thrown");
  } finally {
    watchdog?.end();
  }
}
