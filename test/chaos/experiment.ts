/** How much of an experiment is run. */
export interface Scale {
  /** True: the form that all experiments together end in 3 minutes; false: the figures of the matrix. */
  readonly isShort: boolean;
  /** Seed of everything that is left to chance; the same seed asks for the same. */
  readonly seed: number;
  /** Length in minutes of experiments that go by time; undefined: what the form says. */
  readonly minutes?: number;
}

/** What an experiment came to. */
export interface Outcome {
  /** What was counted and measured, by name with unit. */
  readonly figures: Readonly<Record<string, number>>;
  /** What did not hold, a sentence each; empty: passed. */
  readonly faults: readonly string[];
}

/** One fault done to real processes, and what has to hold meanwhile. */
export interface Experiment {
  /** Its number in the matrix of fault experiments; one each. */
  readonly number: number;
  readonly name: string;
  /** One sentence with the figure that it passes by. */
  readonly promise: string;
  /** How long the full form takes on a machine with nothing else to do, in minutes; a busy one takes longer. */
  readonly fullMinutes: number;
  /** True: it needs root and iptables, and is skipped where they are not. */
  readonly needsRoot: boolean;
  /** Starts its own processes and leaves none behind. Rejects only when it could not be done at all. */
  run(scale: Scale): Promise<Outcome>;
}
