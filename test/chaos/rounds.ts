import type { Scale } from "./experiment.ts";

const MINUTE_MS = 60_000;

/** Numbers of the rounds of an experiment: so many, or fewer if its minutes are over before; one at least. */
export function* rounds(
  { isShort, minutes = Number.POSITIVE_INFINITY }: Scale,
  few: number,
  many: number,
): Iterable<number> {
  const endsAt = performance.now() + minutes * MINUTE_MS;
  const count = isShort ? few : many;
  for (let round = 0; round < count && (round === 0 || performance.now() < endsAt); round++) yield round;
}
