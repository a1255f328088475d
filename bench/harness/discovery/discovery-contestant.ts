import { restartTogether } from "../../../test/registry/experiments/etcd-experiments.ts";
import type { Load } from "../load/load.ts";
import type { Reading } from "../load/reading.ts";
import type { Contestant, Round } from "../measure/contestant.ts";
import type { Backend, StartBackend } from "./backend.ts";
import { manyInstances, manyServices } from "./crowd.ts";
import { timeToRecover } from "./kill.ts";
import { timeToReach } from "./reach.ts";

/** How much is done in each reading. */
export interface DiscoveryAmounts {
  readonly trials: number;
  readonly kills: number;
  readonly instances: number;
  readonly services: number;
  readonly registrations: number;
  /** Time without the registry, in ms; more than the life of a lease (10 s) ends all of them. */
  readonly outageMs: number;
}

/** What is asked, by the name of its load. */
export const DISCOVERY_LOADS = {
  reach: "put to call",
  kill: "kill -9",
  instances: "many instances",
  services: "many services",
  restart: "restart together",
} as const;

/** The embedded registry: each thing in a registry that is empty, one after the other. */
export function localContestant(name: string, start: StartBackend, amounts: DiscoveryAmounts): Contestant {
  const { reach, kill } = DISCOVERY_LOADS;
  const can = ({ name: load }: Load): boolean => load === reach || load === kill;
  return { name, can, measure: (round) => measure(round, start, amounts) };
}

/** etcd, whose `program` is a path: also what needs a registry with a server of its own. */
export function etcdContestant(
  name: string,
  program: string,
  start: StartBackend,
  amounts: DiscoveryAmounts,
): Contestant {
  return { name, measure: (round) => measure(round, start, amounts, program) };
}

async function measure(
  { loads, take }: Round,
  start: StartBackend,
  amounts: DiscoveryAmounts,
  program = "",
): Promise<void> {
  for (const load of loads) {
    if (load.name === DISCOVERY_LOADS.restart) {
      take(load, await restart(program, amounts));
      continue;
    }
    const backend = await start();
    try {
      take(load, await readingOf(load, backend, amounts));
    } finally {
      await backend.remove();
    }
  }
}

async function readingOf({ name }: Load, backend: Backend, amounts: DiscoveryAmounts): Promise<Reading> {
  const { registry } = backend;
  switch (name) {
    case DISCOVERY_LOADS.reach:
      return { figures: await timeToReach(registry, "reach.rpc", amounts.trials), errors: 0 };
    case DISCOVERY_LOADS.kill:
      return timeToRecover(registry, "kill.rpc", amounts.kills);
    case DISCOVERY_LOADS.instances:
      return { figures: await manyInstances(backend, amounts.instances), errors: 0 };
    default:
      return { figures: await manyServices(backend, amounts.services), errors: 0 };
  }
}

async function restart(program: string, { registrations, outageMs }: DiscoveryAmounts): Promise<Reading> {
  const { present, healedMs, peakRequestsPerSecond } = await restartTogether(program, registrations, outageMs);
  const missing = registrations - present;
  const firstError = missing === 0 ? {} : { firstError: `${missing} registrations are not back` };
  return { figures: { requestsPerSecond: peakRequestsPerSecond, healedMs }, errors: missing, ...firstError };
}
