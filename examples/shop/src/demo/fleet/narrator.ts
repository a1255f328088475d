import type { ChannelReport } from "../../instance/report.ts";
import type { Fleet } from "./fleet.ts";
import { type FleetInstance, SERVICES, type ServiceName } from "./fleet-instance.ts";

/** A new instance starts slowly on purpose; after this time its share tells something. */
const SETTLED_MS = 10_000;
const SHARE_OVER_MS = 3_000;

/** Sees in the reports what nobody has done with a key, and puts it in words. */
export class Narrator {
  readonly #fleet: Fleet;
  readonly #tell: (text: string) => void;
  readonly #known = new Map<ServiceName, ReadonlySet<string>>();
  /** Instances whose share was told, or is not worth telling. */
  readonly #settled = new Set<FleetInstance>();

  /** Instances that run by now are no news. */
  constructor(fleet: Fleet, tell: (text: string) => void) {
    this.#fleet = fleet;
    this.#tell = tell;
    for (const instance of fleet.instances) this.#settled.add(instance);
  }

  /** Looks at the last reports. `own` is what the demo's own client believes of the storefront. */
  look(own: ChannelReport, now: number): void {
    for (const service of SERVICES) this.#lookAtRegistry(service, own);
    for (const instance of this.#fleet.instances) {
      if (this.#settled.has(instance) || now - instance.startedAt < SETTLED_MS || instance.state !== "ready") continue;
      this.#settled.add(instance);
      const share = shareOf(instance, this.#fleet.living(instance.service), SHARE_OVER_MS, now);
      this.#tell(`new instance ${instance.name} takes ${Math.round(share * 100)} % of calls`);
    }
  }

  #lookAtRegistry(service: ServiceName, own: ChannelReport): void {
    const reporters = this.#fleet.instances.filter((each) => each.state === "ready");
    const reports = [own, ...reporters.flatMap((each) => each.channels)].filter((each) => each.service === service);
    // Whoever calls it may be gone or not have called yet: that says nothing about the registry.
    if (reports.length === 0) return;
    const before = this.#known.get(service);
    const after = new Set(reports.flatMap((each) => each.instances));
    this.#known.set(service, after);
    if (before === undefined || before.size === 0) return;
    for (const name of before) if (!after.has(name)) this.#tell(`${name} left the registry`);
    for (const name of after) if (!before.has(name)) this.#tell(`${name} joined: its callers know it`);
  }
}

/** The part of its service's calls that an instance got in the last `overMs`, 0 to 1. */
export function shareOf(instance: FleetInstance, all: readonly FleetInstance[], overMs: number, now: number): number {
  const total = all.reduce((sum, each) => sum + each.statistics.startedWithin(overMs, now), 0);
  return total === 0 ? 0 : instance.statistics.startedWithin(overMs, now) / total;
}
