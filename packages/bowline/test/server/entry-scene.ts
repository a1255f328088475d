import { afterEach } from "vitest";
import type { Instance, Registration, Registry, Watcher, WatchHandler } from "../../src/registry/registry.ts";
import type { Interfaces } from "../../src/server/lifecycle/interfaces.ts";
import { type EntryOptions, RegistryEntry } from "../../src/server/lifecycle/registration.ts";
import { type MemoryRegistry, memoryRegistry } from "../../src/testing/memory-registry.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { RecordingLogger } from "./server-scene.ts";

/** Two networks, of which one is an intranet's. */
export const TWO: Interfaces = {
  eth0: [{ address: "203.0.113.9", family: "IPv4", internal: false }],
  eth1: [{ address: "10.0.0.7", family: "IPv4", internal: false }],
};

/** A registry on another machine: as one in memory, but others need an address, and it can refuse. */
export class RemoteRegistry implements Registry {
  readonly name = "remote";
  readonly backend: MemoryRegistry = memoryRegistry();
  readonly view: Registry = this.backend.create();
  reached: string | null = null;
  refusal: Error | null = null;
  /** What registrations say of themselves in place of the truth. */
  said: Registration["state"] | null = null;
  losses = 0;
  /** What an update, and the end of a registration, fail with. */
  readonly faults: { update: Error | null; close: Error | null } = { update: null, close: null };
  closes = 0;

  async register(service: string, instance: Instance): Promise<Registration> {
    if (this.refusal !== null) throw this.refusal;
    const made = await this.view.register(service, instance);
    const said = (): Registration["state"] => this.said ?? made.state;
    const losses = (): number => this.losses;
    return {
      get state() {
        return said();
      },
      get losses() {
        return losses();
      },
      update: async (change) => {
        if (this.faults.update !== null) throw this.faults.update;
        await made.update(change);
      },
      close: async () => {
        this.closes++;
        if (this.faults.close !== null) throw this.faults.close;
        await made.close();
      },
    };
  }

  watch(service: string, handler: WatchHandler): Watcher {
    return this.view.watch(service, handler);
  }

  async reachedFrom(): Promise<string | null> {
    return this.reached;
  }

  close(): Promise<void> {
    return this.view.close();
  }
}

/** An entry of `user.rpc` in virtual time, and all that it has to do with. */
export interface EntryScene {
  readonly clock: VirtualClock;
  readonly log: RecordingLogger;
  readonly registry: RemoteRegistry;
  /** Not open yet. */
  readonly entry: RegistryEntry;
  readonly instances: () => readonly Instance[];
  readonly addresses: () => readonly string[];
  /** What was logged, each with its level. */
  readonly texts: () => readonly string[];
}

const entries: RegistryEntry[] = [];

/** Makes scenes whose entries are closed after each test. The interfaces are those of one network unless they are given. */
export function useEntries(): (options?: Partial<EntryOptions>, interfaces?: Interfaces) => EntryScene {
  afterEach(async () => {
    for (const entry of entries.splice(0)) await entry.close(5000);
  });
  return entryScene;
}

function entryScene(options: Partial<EntryOptions> = {}, interfaces: Interfaces = { eth1: TWO.eth1 }): EntryScene {
  const clock = new VirtualClock();
  const log = new RecordingLogger();
  const registry = new RemoteRegistry();
  const context = { clock, random: () => 0.5, logger: log, environment: {}, interfaces: () => interfaces };
  const entry = new RegistryEntry({ name: "user.rpc", registry, ...options }, context);
  entries.push(entry);
  const instances = () => registry.backend.instances("user.rpc");
  const addresses = () => instances().flatMap((instance) => instance.addresses.map(({ address }) => address));
  const texts = () => log.lines.map(({ level, text }) => `${level} ${text}`);
  return { clock, log, registry, entry, instances, addresses, texts };
}
