import { attempt } from "./attempt.ts";

let possible: boolean | undefined;

/** Can processes be bound to core 0 and core 1 here? Needs two cores and `taskset`. */
export function canPin(): boolean {
  possible ??= [0, 1].every((core) => attempt("taskset", ["-c", String(core), "true"]) !== undefined);
  return possible;
}
