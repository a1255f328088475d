import type { Instance, Registration, Registry, Snapshot, Watcher, WatchHandler } from "./registry.ts";
import { checkRegistry, type RegistryConfig, type RegistryContext } from "./registry-config.ts";

/**
 * Several registries as one: instances of all of them are seen, and a server registers in all of them. For a migration from one registry to
 * another, and for fleets that live in two.
 *
 * An instance that two of them know (the same id, or the same first address) counts once, as the one that is listed first tells it. A registry
 * that can't be reached takes nothing away from the others; what is seen is live only while all are.
 *
 * @throws TypeError for an empty list, or a part that is no registry
 */
export function merged(...registries: readonly (RegistryConfig | Registry)[]): RegistryConfig {
  if (registries.length === 0) throw new TypeError("merged() needs registries: merged(etcd(…), consul(…))");
  for (const [index, registry] of registries.entries()) checkRegistry(`merged() argument ${index + 1}`, registry);
  return {
    name: "merged",
    create: (context) => new MergedRegistry(registries.map((registry) => open(registry, context))),
  };
}

interface Part {
  readonly registry: Registry;
  readonly isOwned: boolean;
}

function open(registry: RegistryConfig | Registry, context: RegistryContext): Part {
  return "create" in registry ? { registry: registry.create(context), isOwned: true } : { registry, isOwned: false };
}

class MergedRegistry implements Registry {
  readonly name: string = "merged";
  readonly isMachineOnly: boolean;
  readonly services?: () => Promise<readonly string[]>;
  readonly #parts: readonly Part[];

  constructor(parts: readonly Part[]) {
    this.#parts = parts;
    const lists = parts.flatMap(({ registry }) => (registry.services === undefined ? [] : [registry]));
    if (lists.length > 0) this.services = () => servicesOf(lists);
    this.isMachineOnly = parts.every(({ registry }) => registry.isMachineOnly === true);
  }

  /** By the first that says it. */
  async reachedFrom(): Promise<string | null> {
    const asked = await Promise.allSettled(this.#parts.map(({ registry }) => registry.reachedFrom?.()));
    for (const each of asked) if (each.status === "fulfilled" && typeof each.value === "string") return each.value;
    return null;
  }

  /** Resolves when each has answered. One that refuses takes the entry out of all of them again. */
  async register(service: string, instance: Instance): Promise<Registration> {
    const settled = await Promise.allSettled(this.#parts.map(({ registry }) => registry.register(service, instance)));
    const made = settled.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    const refused = settled.find((each) => each.status === "rejected");
    if (refused === undefined) return new MergedRegistration(made);
    await Promise.allSettled(made.map((registration) => registration.close()));
    throw refused.reason;
  }

  watch(service: string, handler: WatchHandler): Watcher {
    const view = new MergedView(this.#parts.length, handler);
    const watchers: Watcher[] = [];
    try {
      for (const [index, { registry }] of this.#parts.entries()) {
        const handler = {
          snapshot: (snapshot: Snapshot) => view.put(index, snapshot),
          failed: (error: Error, isFinal?: boolean) => view.failed(index, error, isFinal),
        };
        watchers.push(registry.watch(service, handler));
      }
    } catch (error) {
      // Nobody else could end them.
      for (const watcher of watchers) watcher.close();
      throw error;
    }
    return {
      get skipped() {
        return watchers.reduce((sum, { skipped = 0 }) => sum + skipped, 0);
      },
      refresh() {
        for (const watcher of watchers) watcher.refresh();
      },
      close() {
        for (const watcher of watchers) watcher.close();
      },
    };
  }

  async close(): Promise<void> {
    await allDone(this.#parts.map(({ registry, isOwned }) => (isOwned ? registry.close() : Promise.resolve())));
  }
}

/** Of all that answer; rejects with the first error if none does. */
async function servicesOf(registries: readonly Registry[]): Promise<readonly string[]> {
  const asked = await Promise.allSettled(registries.map(async (registry) => (await registry.services?.()) ?? []));
  const answers = asked.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  const failed = asked.find((each) => each.status === "rejected");
  if (answers.length === 0 && failed !== undefined) throw failed.reason;
  return [...new Set(answers.flat())].sort();
}

class MergedRegistration implements Registration {
  readonly #parts: readonly Registration[];

  constructor(parts: readonly Registration[]) {
    this.#parts = parts;
  }

  /** `registered` when it is in all of them. */
  get state(): Registration["state"] {
    if (this.#parts.every(({ state }) => state === "registered")) return "registered";
    return this.#parts.some(({ state }) => state === "closed") ? "closed" : "pending";
  }

  get losses(): number {
    return this.#parts.reduce((sum, { losses = 0 }) => sum + losses, 0);
  }

  update(change: Parameters<Registration["update"]>[0]): Promise<void> {
    return allDone(this.#parts.map((registration) => registration.update(change)));
  }

  close(): Promise<void> {
    return allDone(this.#parts.map((registration) => registration.close()));
  }
}

/** What the watchers of all parts know, together. */
class MergedView {
  readonly #snapshots: (Snapshot | null)[];
  readonly #isDown: boolean[];
  /** Those that, as they are configured, can't answer. */
  readonly #isFinal: boolean[];
  readonly #handler: WatchHandler;
  #instances: readonly Instance[] = [];
  #freshness: Snapshot["freshness"] | "none" = "none";
  #revision = 0;

  constructor(count: number, handler: WatchHandler) {
    this.#snapshots = Array.from({ length: count }, () => null);
    this.#isDown = Array.from({ length: count }, () => false);
    this.#isFinal = Array.from({ length: count }, () => false);
    this.#handler = handler;
  }

  put(index: number, snapshot: Snapshot): void {
    this.#snapshots[index] = snapshot;
    this.#isDown[index] = false;
    this.#isFinal[index] = false;
    this.#tell();
  }

  /** One that has never answered holds the others back no longer. */
  failed(index: number, error: Error, isFinal: boolean = false): void {
    this.#isFinal[index] = isFinal;
    this.#handler.failed(error, this.#isFinal.every(Boolean));
    if (this.#isDown[index] || this.#snapshots[index] !== null) return;
    this.#isDown[index] = true;
    if (this.#snapshots.some((snapshot) => snapshot !== null)) this.#tell();
  }

  /** While one is still on its way half a set would look like a loss. */
  #tell(): void {
    if (this.#snapshots.some((snapshot, index) => snapshot === null && !this.#isDown[index])) return;
    const known = this.#snapshots.filter((snapshot) => snapshot !== null);
    const isLive = known.length === this.#snapshots.length && known.every((each) => each.freshness === "live");
    const freshness = isLive ? "live" : "stale";
    const instances = union(known);
    const isSame = isSameList(instances, this.#instances);
    if (isSame && freshness === this.#freshness) return;
    if (!isSame || this.#freshness === "none") this.#revision++;
    this.#instances = instances;
    this.#freshness = freshness;
    this.#handler.snapshot({ instances, revision: this.#revision, freshness });
  }
}

/** Each instance once: by its id and by its first address, the earlier registry's word counts. */
function union(snapshots: readonly Snapshot[]): Instance[] {
  const seen = new Set<string>();
  const instances: Instance[] = [];
  for (const snapshot of snapshots) {
    const names: string[] = [];
    for (const instance of snapshot.instances) {
      const keys = [`id ${instance.id}`, `address ${instance.addresses[0]?.address}`];
      if (keys.some((key) => seen.has(key))) continue;
      instances.push(instance);
      names.push(...keys);
    }
    // Within one registry two ids may share an address: what that means is decided elsewhere.
    for (const name of names) seen.add(name);
  }
  return instances;
}

/** Registries keep the objects of instances that have not changed. */
function isSameList(a: readonly Instance[], b: readonly Instance[]): boolean {
  return a.length === b.length && a.every((instance, index) => instance === b[index]);
}

/** Waits for all, then fails with the first that failed. */
async function allDone(work: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(work)).find((each) => each.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}
