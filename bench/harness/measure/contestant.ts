import type { Load } from "../load/load.ts";
import type { Reading } from "../load/reading.ts";
import type { BenchOptions } from "../options.ts";

/** What a contestant is told for one round. */
export interface Round {
  readonly loads: readonly Load[];
  /** Loads before the first reading, so that all code is compiled. */
  readonly warmups: readonly Load[];
  readonly options: BenchOptions;
  /** Takes the reading under a load. */
  take(load: Load, reading: Reading): void;
}

/** One that is measured beside others. */
export interface Contestant {
  readonly name: string;
  /** Names of the loads that it is measured under unless the command line names loads; all of them if not given. */
  readonly only?: readonly string[];
  /** Can it make this load? If not given, it can make any. */
  readonly can?: (load: Load) => boolean;
  /** Starts fresh processes, takes a reading for each load and ends the processes. */
  measure(round: Round): Promise<void>;
}
