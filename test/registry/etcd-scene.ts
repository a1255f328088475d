import { type MemoryNetwork, memoryNetwork, seededRandom, VirtualClock } from "bowline/testing";
import { type EtcdOptions, etcd } from "../../packages/bowline/src/registry/etcd/index.ts";
import { instanceAt } from "../../packages/bowline/src/registry/instance/instance.ts";
import type { Instance, Registry } from "../../packages/bowline/src/registry/registry.ts";
import { EtcdDouble } from "./etcd-double.ts";
import { EtcdStore } from "./etcd-store.ts";
import { Recording } from "./recording.ts";

/** Steps of virtual time while something is waited for. */
const STEP_MS = 50;

/** Some members of one etcd and those who use it, in virtual time. */
export class EtcdScene {
  readonly clock: VirtualClock = new VirtualClock();
  readonly network: MemoryNetwork = memoryNetwork({ clock: this.clock });
  readonly store: EtcdStore = new EtcdStore();
  readonly members: readonly EtcdDouble[];
  readonly reports: Error[] = [];
  readonly #registries: Registry[] = [];
  readonly #recordings: Recording[] = [];

  constructor(members: number = 1) {
    const hosts = Array.from({ length: members }, (_, at) => `etcd-${at + 1}:2379`);
    this.members = hosts.map((host) => new EtcdDouble(this.network, host, this.store));
  }

  /** The first member. */
  get member(): EtcdDouble {
    return this.members[0];
  }

  async start(): Promise<void> {
    await Promise.all(this.members.map((member) => member.start()));
  }

  /** A registry of all members; the first one begins with the first of them. */
  registry(options: Partial<EtcdOptions> = {}, environment: Record<string, string> = {}): Registry {
    const config = etcd({ hosts: this.members.map(({ host }) => host), network: this.network, ...options });
    const random = seededRandom(4);
    const first = random() * 0;
    let isFirst = true;
    const registry = config.create({
      clock: this.clock,
      random: () => {
        if (!isFirst) return random();
        isFirst = false;
        return first;
      },
      environment,
      report: (error) => void this.reports.push(error),
    });
    this.#registries.push(registry);
    return registry;
  }

  watch(registry: Registry, service: string = "user.rpc"): Recording {
    const recording = new Recording(registry, service, ({ id }) => id);
    this.#recordings.push(recording);
    return recording;
  }

  /** Time goes on until a condition holds. */
  async until(what: string, condition: () => boolean, withinMs: number = 30_000): Promise<void> {
    const end = this.clock.now() + withinMs;
    await this.clock.advance(0);
    while (!condition()) {
      if (this.clock.now() >= end) {
        const seen = this.#recordings.map((each) => each.describe()).join("\n");
        throw new Error(`${withinMs} ms passed before ${what}\n${seen}\n${this.reports.join("\n")}`);
      }
      await this.clock.advance(STEP_MS);
    }
  }

  /** Time goes on until a promise has settled. */
  async done<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    const ended = (): void => void (isDone = true);
    work.then(ended, ended);
    await this.until("the work is done", () => isDone);
    return work;
  }

  /** Until a watch knows exactly these ids or addresses, live. */
  knows(recording: Recording, ...ids: readonly string[]): Promise<void> {
    const wanted = [...ids].sort().join(" ");
    return this.until(
      `${wanted || "nobody"} is known`,
      () => recording.last?.freshness === "live" && recording.keys.join(" ") === wanted,
    );
  }

  /** The keys of a service, as `suffix=value`. */
  keys(prefix: string): string[] {
    return this.store
      .list({ key: prefix, end: `${prefix}\u{10ffff}` })
      .map(({ key, value }) => `${key.slice(prefix.length)}=${String(value)}`);
  }

  /** Requests to all members. */
  count(method: string): number {
    return this.members.reduce((sum, { counts }) => sum + (counts[method] ?? 0), 0);
  }

  /** Closes everything; what watches were told that no watch may be told, and timers that are left. */
  async close(): Promise<{ readonly violations: readonly string[]; readonly timers: number }> {
    for (const recording of this.#recordings) recording.close();
    await this.done(Promise.all(this.#registries.map((registry) => registry.close())));
    await this.clock.advance(10);
    await this.done(Promise.all(this.members.map((member) => member.stop())));
    await this.clock.advance(10_000);
    return { violations: this.#recordings.flatMap(({ violations }) => violations), timers: this.clock.pending };
  }
}

/** An instance at an address, with an id and a weight of its own. */
export function someInstance(number: number): Instance {
  return { ...instanceAt(`10.0.0.${number}:8080`), id: `user-${number}`, weight: number };
}
