import { Arena } from "./arena.ts";
import { fight, type Verdict } from "./fight.ts";
import type { Form, Row } from "./row.ts";

/** Rows that run one after the other, beside those of other lanes: on a server, on a client, and what needs a server of its own or waits. */
export const LANES = ["server", "client", "apart"] as const;

/** The name of a lane. */
export type Lane = (typeof LANES)[number];

/** Where a row runs. */
export function laneOf(row: Row): Lane {
  return row.isWaiting === true || !Arena.isFor(row) ? "apart" : row.role;
}

/**
 * Runs rows in turn and gives each verdict as it comes. Rows that need nothing special share an arena, which is left after a failure:
 * what failed may have left its mark.
 */
export async function* runLane(rows: readonly Row[], form: Form): AsyncGenerator<Verdict> {
  let arena: Arena | undefined;
  try {
    for (const row of rows) {
      if (Arena.isFor(row)) arena ??= await Arena.start(form);
      const verdict = await fight(row, form, arena);
      yield verdict;
      if (verdict.passed) continue;
      await arena?.[Symbol.asyncDispose]();
      arena = undefined;
    }
  } finally {
    await arena?.[Symbol.asyncDispose]();
  }
}
