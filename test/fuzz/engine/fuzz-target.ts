/** Splits inputs into their records, such as frames, and closes a record whose length has changed. */
export interface Framing {
  /** All octets of the input, in order; what is no whole record is the last. */
  split(input: Buffer): Buffer[];
  /** The record with its length fields made right again. */
  seal(record: Buffer): Buffer;
}

/** Something that reads octets of a stranger, and the oracle that judges how it did. */
export interface FuzzTarget {
  readonly name: string;
  /** What is fuzzed, in a few words for the table. */
  readonly what: string;
  /** Parts of the paths of the files whose blocks guide the search. */
  readonly covers: readonly string[];
  /** Longer inputs are cut off. */
  readonly maxBytes: number;
  /** Octets that mean something to the reader. */
  readonly tokens: readonly Uint8Array[];
  /** Where the search begins: honest input, and vectors of the suites. */
  readonly seeds: readonly Uint8Array[];
  readonly framing?: Framing;
  /** Reads the input; throws a plain Error when the oracle finds a fault. The input is the target's own copy. */
  run(input: Buffer): void | Promise<void>;
  /** Frees what the target holds open. */
  close?(): Promise<void>;
}

/** Ends a run of a target with what its oracle has to say; `fact` holds what the case looked like. */
export function fault(fact: string): never {
  throw new Error(fact);
}
