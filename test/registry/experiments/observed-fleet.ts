import { instanceAt } from "../../../packages/bowline/src/registry/instance/instance.ts";
import type { Registry } from "../../../packages/bowline/src/registry/registry.ts";
import { type Figures, FleetView, type Mortal, waitUntil } from "./etcd-fleet.ts";

/** The service that is registered and watched. */
export const OBSERVED_SERVICE = "experiment";
/** How many instances it has. */
export const OBSERVED_INSTANCES = 9;
/** How long the view may take to be true after a fault, in ms, before the experiment can't be done. */
export const HEAL_MS = 60_000;

/** What an experiment does with those who are registered. */
export interface Observed {
  /** All that live are seen and nobody else is, and all know themselves registered. */
  isTrue(): boolean;
  /** Takes one of them out. */
  end(member: number): Promise<void>;
}

/** Who takes part. */
export interface Cast {
  /** Registries of those who register, in turn. */
  readonly registrars: readonly Registry[];
  /** The registry of the one who watches. */
  readonly watching: Registry;
  /** Ends and removes the servers. */
  remove(): Promise<unknown>;
}

/** Nine instances and one who watches them; `work` harms the servers. Ends everything. */
export async function observeFleet(
  { registrars, watching, remove }: Cast,
  work: (observed: Observed) => Promise<Figures>,
): Promise<Figures> {
  const members: Mortal[] = Array.from({ length: OBSERVED_INSTANCES }, (_, at) => {
    return { id: `member-${at}`, killedAt: null };
  });
  const view = new FleetView(OBSERVED_SERVICE, members, watching);
  try {
    const registrations = await Promise.all(
      members.map(({ id }, at) => {
        const instance = { ...instanceAt(`10.1.0.${at + 1}:80`), id };
        return registrars[at % registrars.length].register(OBSERVED_SERVICE, instance);
      }),
    );
    await waitUntil("the fleet is seen", () => view.isTrue, HEAL_MS);
    view.begin();
    const isRegistered = (): boolean =>
      registrations.every(({ state }, at) => members[at].killedAt !== null || state === "registered");
    const figures = await work({
      isTrue: () => view.isTrue && isRegistered(),
      async end(member) {
        members[member].killedAt = performance.now();
        await registrations[member].close();
      },
    });
    view.look();
    const { missed, longestMissingMs, resurrections, longestResurrectedMs, goneBack } = view;
    return { ...figures, missed, longestMissingMs, resurrections, longestResurrectedMs, goneBack };
  } finally {
    await view.close();
    await Promise.all(registrars.map((registry) => registry.close()));
    await remove();
  }
}
