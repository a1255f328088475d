import { checkChange, checkInstance, checkServiceName, instanceAt } from "../registry/instance/instance.ts";
import type { Instance, Registration, Registry, Watcher, WatchHandler } from "../registry/registry.ts";
import type { RegistryConfig, RegistryContext } from "../registry/registry-config.ts";

/** A watch of a service, and what it was told last. */
interface Watch {
  readonly service: string;
  readonly handler: WatchHandler;
  revision: number;
  instances: readonly Instance[];
  freshness: "none" | "live" | "stale";
  /** The outage that it has heard of. */
  heardOf: Outage | null;
  isTold: boolean;
}

interface Outage {
  readonly error: Error;
  readonly over: Promise<void>;
  readonly end: () => void;
}

/** A registry in memory, as a test holds it. Each server and client makes its own view of it. */
export interface MemoryRegistry extends RegistryConfig {
  /** A view of it, for tests without server or client; it needs nothing of a process. */
  create(context?: RegistryContext): Registry;
  /** The instances of a service, in the order in which they came. */
  instances(service: string): readonly Instance[];
  /** Makes these addresses the instances of a service, in place of all that it had. @throws TypeError for a malformed one */
  set(service: string, addresses: readonly string[]): void;
  /**
   * Nobody can reach it until `recover`: who watches hears `error` and that what it knows is stale, and changes are not seen. A
   * registration is `pending`, and made then; an update rejects with `error`, and is made then.
   */
  fail(error?: Error): void;
  /**
   * It has lost instances of a service, those with these ids or all: who watches is told of the others only, though all of them are still
   * there, until `recover`.
   */
  lose(service: string, ids?: readonly string[]): void;
  /** Ends `fail` and `lose`: who watches hears what has changed. */
  recover(): void;
}

/**
 * A registry in memory, for servers and clients of one test: give it to all of them as `registry`. Changes are seen in the
 * same turn of the event loop; a test can bring about an outage.
 */
export function memoryRegistry(): MemoryRegistry {
  return new RegistryPlace();
}

/** The place that all views of one registry share. */
class RegistryPlace implements MemoryRegistry {
  readonly name: string = "memory";
  readonly #services: Map<string, Map<string, Instance>> = new Map();
  readonly #watches: Set<Watch> = new Set();
  /** Ids by service; null stands for all. */
  readonly #lost: Map<string, readonly string[] | null> = new Map();
  #outage: Outage | null = null;

  create(context?: RegistryContext): Registry {
    return new RegistryView(this, context?.report ?? (() => {}));
  }

  /** What keeps everybody from reaching it now. */
  get outage(): Outage | null {
    return this.#outage;
  }

  /** Of services of which something is shown. Throws in an outage. */
  services(): readonly string[] {
    if (this.#outage !== null) throw this.#outage.error;
    return [...this.#services.keys()].filter((service) => this.#shown(service).length > 0).sort();
  }

  instances(service: string): readonly Instance[] {
    return [...(this.#services.get(service)?.values() ?? [])];
  }

  set(service: string, addresses: readonly string[]): void {
    checkServiceName(service);
    const instances = addresses.map((address) => instanceAt(address));
    for (const instance of instances) checkInstance(instance);
    this.#services.set(service, new Map(instances.map((instance) => [instance.id, instance])));
    this.#tell(service);
  }

  fail(error: Error = new Error("memory registry: out of reach")): void {
    if (this.#outage !== null) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#outage = { error, over: promise, end: resolve };
    for (const watch of this.#watches) this.#tellSoon(watch);
  }

  lose(service: string, ids?: readonly string[]): void {
    checkServiceName(service);
    this.#lost.set(service, ids ?? null);
    this.#tell(service);
  }

  recover(): void {
    this.#lost.clear();
    this.#outage?.end();
    this.#outage = null;
    for (const watch of this.#watches) this.#tellSoon(watch);
  }

  put(service: string, instance: Instance, isNew: boolean): void {
    let instances = this.#services.get(service);
    if (instances === undefined) this.#services.set(service, (instances = new Map()));
    if (isNew && instances.has(instance.id)) {
      const id = JSON.stringify(instance.id);
      throw new Error(`memory registry: instance ${id} of ${service} is registered already; give each its own id`);
    }
    instances.set(instance.id, instance);
    this.#tell(service);
  }

  remove(service: string, id: string): void {
    this.#services.get(service)?.delete(id);
    this.#tell(service);
  }

  watch(service: string, handler: WatchHandler): Watcher {
    const nothing = { revision: 0, instances: [], freshness: "none", heardOf: null, isTold: true } as const;
    const watch: Watch = { service, handler, ...nothing };
    this.#watches.add(watch);
    this.#tellSoon(watch);
    return { refresh: () => this.#tellSoon(watch), close: () => this.#watches.delete(watch) };
  }

  #tell(service: string): void {
    for (const watch of this.#watches) if (watch.service === service) this.#tellSoon(watch);
  }

  /** Not from inside a call, and several changes of one turn at once. */
  #tellSoon(watch: Watch): void {
    if (!watch.isTold) return;
    watch.isTold = false;
    queueMicrotask(() => {
      watch.isTold = true;
      if (!this.#watches.has(watch)) return;
      if (this.#outage !== null) this.#tellOutage(watch, this.#outage);
      else this.#tellChange(watch);
    });
  }

  #shown(service: string): readonly Instance[] {
    const lost = this.#lost.get(service);
    const all = this.instances(service);
    return lost === undefined ? all : all.filter(({ id }) => lost !== null && !lost.includes(id));
  }

  #tellOutage(watch: Watch, outage: Outage): void {
    if (watch.heardOf === outage) return;
    watch.heardOf = outage;
    const { instances, revision } = watch;
    if (watch.freshness === "live") watch.handler.snapshot({ instances, revision, freshness: "stale" });
    watch.freshness = watch.freshness === "live" ? "stale" : watch.freshness;
    // The handler may have closed the watch.
    if (this.#watches.has(watch)) watch.handler.failed(outage.error);
  }

  #tellChange(watch: Watch): void {
    const instances = this.#shown(watch.service);
    const isSame =
      instances.length === watch.instances.length && instances.every((each, at) => each === watch.instances[at]);
    if (isSame && watch.freshness === "live") return;
    if (!isSame || watch.freshness === "none") watch.revision++;
    watch.instances = instances;
    watch.freshness = "live";
    watch.handler.snapshot({ instances, revision: watch.revision, freshness: "live" });
  }
}

/** The registry of one server or client. */
class RegistryView implements Registry {
  readonly name: string = "memory";
  readonly isMachineOnly: boolean = true;
  readonly #place: RegistryPlace;
  readonly #registrations: Set<Registration> = new Set();
  readonly #watchers: Set<Watcher> = new Set();
  readonly #report: (error: Error) => void;
  #isClosed = false;

  constructor(place: RegistryPlace, report: (error: Error) => void) {
    this.#place = place;
    this.#report = report;
  }

  async register(service: string, instance: Instance): Promise<Registration> {
    this.#checkOpen();
    checkServiceName(service);
    checkInstance(instance);
    const registration = new MemoryRegistration(this.#place, service, instance, this.#report);
    registration.start();
    this.#registrations.add(registration);
    return registration;
  }

  watch(service: string, handler: WatchHandler): Watcher {
    this.#checkOpen();
    checkServiceName(service);
    const watcher = this.#place.watch(service, handler);
    this.#watchers.add(watcher);
    return watcher;
  }

  async services(): Promise<readonly string[]> {
    this.#checkOpen();
    return this.#place.services();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const watcher of this.#watchers) watcher.close();
    await Promise.all([...this.#registrations].map((registration) => registration.close()));
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new Error("memory registry: closed; make another one");
  }
}

class MemoryRegistration implements Registration {
  readonly #place: RegistryPlace;
  readonly #service: string;
  readonly #report: (error: Error) => void;
  #instance: Instance;
  #state: "pending" | "registered" | "closed" = "pending";

  constructor(place: RegistryPlace, service: string, instance: Instance, report: (error: Error) => void) {
    this.#place = place;
    this.#service = service;
    this.#instance = instance;
    this.#report = report;
  }

  get state(): "pending" | "registered" | "closed" {
    return this.#state;
  }

  /** Puts it in now or, in an outage, after it. */
  start(): void {
    const { outage } = this.#place;
    if (outage === null) return this.#put();
    this.#report(outage.error);
    void this.#putLater();
  }

  async update(change: Partial<Pick<Instance, "weight" | "state" | "tags">>): Promise<void> {
    if (this.#state === "closed") {
      throw new Error(`memory registry: ${this.#instance.id} is closed and can't be updated; register it again`);
    }
    const given = Object.entries(change).filter(([, value]) => value !== undefined);
    const next: Instance = { ...this.#instance, ...Object.fromEntries(given) };
    checkChange(next);
    this.#instance = next;
    const { outage } = this.#place;
    if (outage !== null) {
      if (this.#state === "registered") void this.#putLater();
      // As products that are out of reach do: who waits for the end of an outage may wait for ever.
      throw outage.error;
    }
    if (this.#state === "registered") this.#put();
  }

  async close(): Promise<void> {
    const isIn = this.#state === "registered";
    this.#state = "closed";
    if (isIn) this.#place.remove(this.#service, this.#instance.id);
  }

  async #putLater(): Promise<void> {
    await this.#reachable();
    if (this.#state === "closed") return;
    try {
      this.#put();
    } catch (error) {
      this.#report(error as Error);
    }
  }

  #put(): void {
    this.#place.put(this.#service, this.#instance, this.#state === "pending");
    this.#state = "registered";
  }

  async #reachable(): Promise<void> {
    while (this.#place.outage !== null) await this.#place.outage.over;
  }
}
