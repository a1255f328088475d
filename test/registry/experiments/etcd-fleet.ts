import {
  type Clock,
  type DialOptions,
  type Link,
  type Network,
  seededRandom,
  socketNetwork,
  systemClock,
} from "bowline/testing";
import { type EtcdOptions, etcd } from "../../../packages/bowline/src/registry/etcd/index.ts";
import { instanceAt } from "../../../packages/bowline/src/registry/instance/instance.ts";
import type { Instance, Registration, Registry, Snapshot } from "../../../packages/bowline/src/registry/registry.ts";

/** Figures of one experiment, by name; times in ms. */
export type Figures = Readonly<Record<string, number>>;

/** A network that can be cut, as when a process is killed without a word: nothing it had open goes on, nothing is opened. */
export class CuttableNetwork implements Network {
  readonly #links: Set<Link> = new Set();
  #isCut = false;

  listen: Network["listen"] = (target, options) => socketNetwork.listen(target, options);

  async dial(address: string, options: DialOptions): Promise<Link> {
    if (this.#isCut) throw new Error(`${address}: cut off`);
    const link = await socketNetwork.dial(address, options);
    this.#links.add(link);
    return link;
  }

  cut(): void {
    this.#isCut = true;
    for (const link of this.#links) link.destroy();
    this.#links.clear();
  }

  /** Connections can be made again. */
  mend(): void {
    this.#isCut = false;
  }

  /** Nothing that is sent to this side arrives any more, on the connections that there are. */
  deafen(): void {
    for (const link of this.#links) link.pause();
  }
}

let lastSeed = 0;

/** A clock of its own keeps what registries of one process share apart: each stands for a process. */
export function ownClock(): Clock {
  return {
    now: () => systemClock.now(),
    fresh: () => systemClock.fresh(),
    setTimeout: (callback, delayMs) => systemClock.setTimeout(callback, delayMs),
    setInterval: (callback, periodMs) => systemClock.setInterval(callback, periodMs),
  };
}

/** A registry as a process of its own would have it. */
export function ownRegistry(options: EtcdOptions): Registry {
  return etcd(options).create({ clock: ownClock(), random: seededRandom(++lastSeed), environment: {} });
}

/** One that should be seen while it lives. */
export interface Mortal {
  readonly id: string;
  /** When it ended, by `performance.now()`; null while it lives. */
  killedAt: number | null;
}

/** One instance with a registry, a lease and a connection of its own. */
export interface Member extends Mortal {
  readonly instance: Instance;
  readonly registration: Registration;
  /** Ends it without a word: its lease runs out. */
  kill(): void;
  /** Lets go of what it holds. */
  close(): Promise<void>;
}

/** Starts the `number`-th instance of a service. */
export async function startMember(service: string, number: number, options: EtcdOptions): Promise<Member> {
  const network = new CuttableNetwork();
  const registry = ownRegistry({ ...options, network });
  const instance = { ...instanceAt(`10.1.${number >> 8}.${number & 255}:8080`), id: `member-${number}` };
  const registration = await registry.register(service, instance);
  const member: Member = {
    id: instance.id,
    instance,
    registration,
    killedAt: null,
    kill() {
      member.killedAt = performance.now();
      network.cut();
    },
    async close() {
      await registry.close();
    },
  };
  return member;
}

/** What one who watches has seen of a fleet, measured against what is true. */
export class FleetView {
  readonly #members: ReadonlyMap<string, Mortal>;
  readonly #missingSince: Map<string, number> = new Map();
  readonly #registry: Registry;
  #last: Snapshot | null = null;
  #revision = 0;
  /** Longest time for which a living instance was not in the view, in ms. */
  longestMissingMs = 0;
  /** Longest time for which a dead one was still in it, in ms. */
  longestDeadMs = 0;
  /** The same, counted from the last disturbance if that came later. */
  longestDeadSinceMs = 0;
  #disturbedAt = 0;
  /** Snapshots with an instance that had been told gone after its end. */
  resurrections = 0;
  /** Longest time for which such an instance stayed, in ms. */
  longestResurrectedMs = 0;
  readonly #resurrectedSince: Map<string, number> = new Map();
  goneBack = 0;
  snapshots = 0;
  failures = 0;
  readonly #missed: Set<string> = new Set();
  readonly #buried: Set<string> = new Set();

  /** `registry` is the view's own: it closes it. */
  constructor(service: string, members: readonly Mortal[], registry: Registry) {
    this.#members = new Map(members.map((member) => [member.id, member]));
    this.#registry = registry;
    this.#registry.watch(service, {
      snapshot: (snapshot) => this.#judge(snapshot),
      failed: () => {
        this.failures++;
      },
    });
  }

  /** Living instances that were not in the view at some time. */
  get missed(): number {
    return this.#missed.size;
  }

  get freshness(): Snapshot["freshness"] | "none" {
    return this.#last?.freshness ?? "none";
  }

  /** True when it holds all that live and nobody else, live. */
  get isTrue(): boolean {
    const living = [...this.#members.values()].filter(({ killedAt }) => killedAt === null).map(({ id }) => id);
    const known = new Set(this.#last?.instances.map(({ id }) => id));
    return this.freshness === "live" && known.size === living.length && living.every((id) => known.has(id));
  }

  /** The registry was harmed just now. */
  disturbed(): void {
    this.look();
    this.#disturbedAt = performance.now();
  }

  /** What was missing up to now does not count: they were still being registered. */
  begin(): void {
    this.#missed.clear();
    this.longestMissingMs = 0;
  }

  /** What is missing or dead up to now counts, too. */
  look(): void {
    const now = performance.now();
    for (const since of this.#missingSince.values())
      this.longestMissingMs = Math.max(this.longestMissingMs, now - since);
    for (const since of this.#resurrectedSince.values())
      this.longestResurrectedMs = Math.max(this.longestResurrectedMs, now - since);
    for (const { id } of this.#last?.instances ?? []) this.#dead(id, now);
  }

  close(): Promise<void> {
    this.look();
    return this.#registry.close();
  }

  #judge(snapshot: Snapshot): void {
    const now = performance.now();
    this.look();
    this.snapshots++;
    if (snapshot.revision < this.#revision) this.goneBack++;
    this.#revision = snapshot.revision;
    this.#last = snapshot;
    const known = new Set(snapshot.instances.map(({ id }) => id));
    for (const { id, killedAt } of this.#members.values()) {
      if (!known.has(id)) this.#resurrectedSince.delete(id);
      if (known.has(id)) {
        this.#missingSince.delete(id);
        if (this.#buried.has(id)) this.#resurrected(id, now);
      } else if (killedAt === null) {
        if (!this.#missingSince.has(id)) this.#missingSince.set(id, now);
        this.#missed.add(id);
      } else {
        this.#missingSince.delete(id);
        this.#buried.add(id);
      }
    }
  }

  #resurrected(id: string, now: number): void {
    this.resurrections++;
    if (!this.#resurrectedSince.has(id)) this.#resurrectedSince.set(id, now);
  }

  #dead(id: string, now: number): void {
    const killedAt = this.#members.get(id)?.killedAt ?? null;
    if (killedAt === null) return;
    this.longestDeadMs = Math.max(this.longestDeadMs, now - killedAt);
    this.longestDeadSinceMs = Math.max(this.longestDeadSinceMs, now - Math.max(killedAt, this.#disturbedAt));
  }
}

/** Waits until a condition holds; gives the ms that it took, or rejects. */
export async function waitUntil(
  what: string,
  condition: () => boolean | Promise<boolean>,
  withinMs: number,
): Promise<number> {
  const begun = performance.now();
  while (!(await condition())) {
    if (performance.now() - begun > withinMs) throw new Error(`${withinMs} ms passed before ${what}`);
    await pause(10);
  }
  return performance.now() - begun;
}

/** Lets time pass: an experiment's own, not a test's. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
