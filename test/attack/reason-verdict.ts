import type { Row } from "./row.ts";

/** What an attacked process has counted and logged since its start. */
export interface Misdeeds {
  readonly misbehaved: Readonly<Record<string, number>>;
  /** Kinds that a line has named. */
  readonly named: readonly string[];
  readonly errors: readonly string[];
  readonly unhandled: number;
  /** Lines that one logger was given in any 10 s, at most. */
  readonly mostLines: number;
}

/** Lines that may be written in a period, beside the first of each kind and the one that tells of those left out. */
const MAX_LINES = 10;

/**
 * One counter and one line in the log name each reason, lines come at a bounded rate, and nothing else went wrong.
 *
 * @throws Error that says what is missing
 */
export function judgeReasons(row: Row, before: Misdeeds, after: Misdeeds): void {
  const { misbehaved, named, errors, unhandled, mostLines } = after;
  if (unhandled > 0) throw new Error(`${unhandled} unhandled rejections in the process that is attacked`);
  const [error] = errors.slice(before.errors.length);
  if (error !== undefined) throw new Error(`it logged an error: ${error}`);
  for (const reason of row.reasons ?? []) {
    const isCounted = (misbehaved[reason] ?? 0) > (before.misbehaved[reason] ?? 0);
    if (!isCounted) throw new Error(`no counter names ${reason}: ${JSON.stringify(misbehaved)}`);
    // The first of each kind in a period has a line.
    if (!named.includes(reason)) throw new Error(`no line in the log names ${reason}`);
  }
  // Any 10 s have a part in two of its periods.
  const allowed = 2 * (MAX_LINES + Object.keys(misbehaved).length + 1);
  if (mostLines > allowed) throw new Error(`${mostLines} lines in the log in 10 s, ${allowed} are allowed`);
}
