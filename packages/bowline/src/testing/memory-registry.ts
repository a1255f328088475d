import { checkChange, checkInstance, checkServiceName, instanceAt } from "../registry/instance/instance.ts";
import type { Instance, Registration, Registry, Watcher, WatchHandler } from "../registry/registry.ts";
import type { RegistryConfig, RegistryContext } from "../registry/registry-config.ts";

/** A watch of a service. */
interface Watch {
  readonly service: string;
  readonly handler: WatchHandler;
  revision: number;
  isTold: boolean;
}

/** A registry in memory, as a test holds it. Each server and client makes its own view of it. */
export interface MemoryRegistry extends RegistryConfig {
  /** A view of it, for tests without server or client; it needs nothing of a process. */
  create(context?: RegistryContext): Registry;
  /** The instances of a service, in the order in which they came. */
  instances(service: string): readonly Instance[];
  /** Makes these addresses the instances of a service, in place of all that it had. @throws TypeError for a malformed one */
  set(service: string, addresses: readonly string[]): void;
  /** Nobody can reach it: who watches hears `error`, changes are not seen, and who registers waits, until `recover`. */
  fail(error?: Error): void;
  /** Ends `fail`: who watches hears what has changed. */
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
  #outage: { readonly error: Error; readonly over: Promise<void>; readonly end: () => void } | null = null;

  create(): Registry {
    return new RegistryView(this);
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
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#outage ??= { error, over: promise, end: resolve };
    for (const watch of [...this.#watches]) watch.handler.failed(error);
  }

  recover(): void {
    this.#outage?.end();
    this.#outage = null;
    for (const watch of this.#watches) this.#tellSoon(watch);
  }

  async put(service: string, instance: Instance, isNew: boolean): Promise<void> {
    await this.#outage?.over;
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
    const watch: Watch = { service, handler, revision: 0, isTold: true };
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
      if (this.#outage !== null) return watch.handler.failed(this.#outage.error);
      watch.handler.snapshot({
        instances: this.instances(watch.service),
        revision: ++watch.revision,
        freshness: "live",
      });
    });
  }
}

/** The registry of one server or client. */
class RegistryView implements Registry {
  readonly name: string = "memory";
  readonly #place: RegistryPlace;
  readonly #registrations: Set<Registration> = new Set();
  readonly #watchers: Set<Watcher> = new Set();
  #isClosed = false;

  constructor(place: RegistryPlace) {
    this.#place = place;
  }

  async register(service: string, instance: Instance): Promise<Registration> {
    this.#checkOpen();
    checkServiceName(service);
    checkInstance(instance);
    await this.#place.put(service, instance, true);
    const registration = new MemoryRegistration(this.#place, service, instance);
    this.#registrations.add(registration);
    if (this.#isClosed) {
      await registration.close();
      this.#checkOpen();
    }
    return registration;
  }

  watch(service: string, handler: WatchHandler): Watcher {
    this.#checkOpen();
    checkServiceName(service);
    const watcher = this.#place.watch(service, handler);
    this.#watchers.add(watcher);
    return watcher;
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
  state: "pending" | "registered" | "closed" = "registered";
  readonly #place: RegistryPlace;
  readonly #service: string;
  #instance: Instance;

  constructor(place: RegistryPlace, service: string, instance: Instance) {
    this.#place = place;
    this.#service = service;
    this.#instance = instance;
  }

  async update(change: Partial<Pick<Instance, "weight" | "state" | "tags">>): Promise<void> {
    if (this.state === "closed") {
      throw new Error(`memory registry: ${this.#instance.id} is closed and can't be updated; register it again`);
    }
    const given = Object.entries(change).filter(([, value]) => value !== undefined);
    const next: Instance = { ...this.#instance, ...Object.fromEntries(given) };
    checkChange(next);
    this.#instance = next;
    await this.#place.put(this.#service, next, false);
  }

  async close(): Promise<void> {
    if (this.state === "closed") return;
    this.state = "closed";
    this.#place.remove(this.#service, this.#instance.id);
  }
}
