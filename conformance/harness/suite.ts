/** What became of one case. */
export interface CaseResult {
  /** Unique in the suite and the same in each run: what known-failing lists name. */
  readonly id: string;
  readonly outcome: "passed" | "failed" | "skipped";
  /** What was wanted and what was seen, if it is of use. */
  readonly detail?: string;
}

/** Paths of programs by name. */
export type Programs = Readonly<Record<string, string>>;

/** A suite that others wrote, run against Bowline. */
export interface Suite {
  readonly name: string;
  /** One line for people. */
  readonly about: string;
  /** True: run only when it is named. */
  readonly isOptional?: boolean;
  /** Finds or builds the programs that it needs, path by name. Rejects with the reason when they can't be had: it is skipped then. */
  prepare(): Promise<Programs>;
  /** Runs every case. Rejects when the suite broke down, which is a failure. */
  run(programs: Programs): Promise<readonly CaseResult[]>;
}
