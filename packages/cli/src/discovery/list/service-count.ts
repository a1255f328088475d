import { CommandError } from "../../command-error.ts";
import { atOnce } from "../at-once.ts";
import { lookUp } from "../registry/look-up.ts";
import { serviceTarget } from "../registry/registry-url.ts";
import { servicesOf } from "../registry/services.ts";

/** A service of a registry, and how many are there. */
export interface ServiceCount {
  /** The registry, as it was named. */
  readonly registry: string;
  readonly service: string;
  /** What clients call it by. */
  readonly target: string;
  /** Null where that can't be found out; `complaints` says why. */
  readonly instances: number | null;
  /** Of the instances those that will stop. */
  readonly draining: number;
  readonly freshness: string;
  /** Entries that can't be used. */
  readonly skipped: number;
  /** What the registry complained of: which entries, and why. */
  readonly complaints: readonly string[];
}

/** Services that are looked up at the same time, each over a connection of its own. */
const MAX_AT_ONCE = 16;

/** The services of a registry with the number of their instances, sorted by name. @throws CommandError as {@link servicesOf} */
export async function countServices(registry: string, timeoutMs: number): Promise<readonly ServiceCount[]> {
  const services = await servicesOf(registry, timeoutMs);
  return atOnce(services, MAX_AT_ONCE, (service) => countOf(registry, service, timeoutMs));
}

async function countOf(registry: string, service: string, timeoutMs: number): Promise<ServiceCount> {
  const target = serviceTarget(registry, service);
  const known = { registry, service, target };
  try {
    const { snapshot, skipped, complaints } = await lookUp(target, timeoutMs);
    const { instances, freshness } = snapshot;
    const draining = instances.filter(({ state }) => state === "draining").length;
    return { ...known, instances: instances.length, draining, freshness, skipped, complaints };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return { ...known, instances: null, draining: 0, freshness: "", skipped: 0, complaints: [error.message] };
  }
}

/** A count as cells of a table: service, instances, target. */
export function countCells({ service, target, instances, draining, skipped, freshness }: ServiceCount): string[] {
  if (instances === null) return [service, "?", target];
  const count = (number: number, what: string): string => (number === 0 ? "" : `${number} ${what}`);
  const notes = [count(draining, "draining"), count(skipped, "skipped"), freshness === "live" ? "" : freshness];
  const told = notes.filter((note) => note !== "").join(", ");
  return [service, told === "" ? String(instances) : `${instances} (${told})`, target];
}
