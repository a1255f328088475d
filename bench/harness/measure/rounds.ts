import type { Load } from "../load/load.ts";
import type { Reading } from "../load/reading.ts";
import type { BenchOptions } from "../options.ts";
import type { Contestant } from "./contestant.ts";

/** A contestant's readings by the name of the load; the n-th of each list belongs to round n. */
export type Readings = Map<string, Map<string, Reading[]>>;

/** Hears of each reading as it is taken. `round` counts from 1. */
export type Progress = (round: number, peer: string, load: Load, reading: Reading) => void;

/**
 * Measures all contestants in turns: in each round each starts fresh processes, warms them up and takes a reading for each
 * load. Every other round runs in reverse order, so that a noisy minute or a machine that slows down hits all.
 */
export async function measureRounds(
  contestants: readonly Contestant[],
  loads: readonly Load[],
  warmups: readonly Load[],
  options: BenchOptions,
  progress: Progress,
): Promise<Readings> {
  const readings: Readings = new Map(
    contestants.map((each) => [each.name, new Map(loadsOf(each, loads, options).map((load) => [load.name, []]))]),
  );
  for (let round = 0; round < options.rounds; round++) {
    const forth = round % 2 === 0;
    for (const contestant of forth ? contestants : contestants.toReversed()) {
      const own = loadsOf(contestant, loads, options);
      if (own.length === 0) continue;
      const take = (load: Load, reading: Reading): void => {
        readings.get(contestant.name)?.get(load.name)?.push(reading);
        progress(round + 1, contestant.name, load, reading);
      };
      await contestant.measure({ loads: forth ? own : own.toReversed(), warmups, options, take });
    }
  }
  return readings;
}

function loadsOf({ only, can }: Contestant, loads: readonly Load[], options: BenchOptions): readonly Load[] {
  const areNamed = options.loads.length + options.concurrencies.length + options.openLoop > 0;
  return loads.filter(
    (load) => (can === undefined || can(load)) && (areNamed || only === undefined || only.includes(load.name)),
  );
}
