import { HttpError } from "../http/http-error.ts";
import { checkInstance, checkServiceName } from "../instance/instance.ts";
import type { Instance, Registration, Registry, Watcher, WatchHandler } from "../registry.ts";
import type { RegistryConfig, RegistryContext } from "../registry-config.ts";
import { KeptRegistration } from "../remote/kept-registration.ts";
import { localAddressTowards } from "../remote/local-address.ts";
import { keyOf, type Share, SharedByKey } from "../remote/shared-by-key.ts";
import { EurekaClient } from "./client.ts";
import { writeInstance } from "./format.ts";
import { type CheckedEurekaOptions, checkEurekaOptions, completeEurekaOptions, type EurekaOptions } from "./options.ts";
import { EurekaEntryKeeper } from "./registrar.ts";
import { EurekaDirectory } from "./watcher.ts";

const OWNER = "eureka registry";

/** What registries of equal options in one process have in common. */
interface Connection {
  readonly client: EurekaClient;
  readonly directory: EurekaDirectory;
}

const connections: SharedByKey<Connection> = new SharedByKey();

/**
 * A registry in Eureka: `eureka("10.0.0.1:8761")`, `eureka(["10.0.0.1:8761", "10.0.0.2:8761"])`, or
 * `eureka({ hosts, user, password, tls … })`.
 *
 * Changes are seen after `refreshSeconds`, and after the time for which the server keeps its answers (30 s unless it is told otherwise).
 * An instance that is killed is out after `ttlSeconds` and the minute in which the server looks for dead ones; one that closes, with the
 * next refresh.
 *
 * @throws TypeError or RangeError if an option is malformed
 */
export function eureka(options: string | readonly string[] | EurekaOptions): RegistryConfig {
  const given: EurekaOptions = typeof options === "string" || isList(options) ? { hosts: options } : options;
  checkEurekaOptions(given);
  return { name: "eureka", create: (context) => createEurekaRegistry(given, context) };
}

/**
 * Starts what {@link eureka} describes. No server is asked before the first registration or watch.
 *
 * @throws TypeError for variables of the environment or TLS files that can't be used
 */
export function createEurekaRegistry(options: EurekaOptions, context: RegistryContext): Registry {
  return new EurekaRegistry(completeEurekaOptions(options, context.environment), context);
}

class EurekaRegistry implements Registry {
  readonly name: string = "eureka";
  readonly place: string;
  readonly #options: CheckedEurekaOptions;
  readonly #context: RegistryContext;
  readonly #shared: Share<Connection>;
  readonly #registrations = new Set<KeptRegistration>();
  /** By service and id: what this registry keeps. */
  readonly #ids = new Map<string, KeptRegistration>();
  readonly #watchers = new Set<Watcher>();
  #closing: Promise<void> | null = null;

  constructor(options: CheckedEurekaOptions, context: RegistryContext) {
    this.#options = options;
    this.#context = context;
    this.place = options.hosts.map(({ label }) => label).join(",");
    const { clock, random, report = () => {} } = context;
    this.#shared = connections.acquire(
      clock,
      keyOf(options),
      () => {
        const client = new EurekaClient(options, clock, report);
        return { client, directory: new EurekaDirectory({ client, options, clock, random }) };
      },
      ({ client }) => client.close(),
    );
  }

  async register(service: string, instance: Instance): Promise<Registration> {
    this.#checkOpen();
    checkServiceName(service);
    checkInstance(instance);
    // What can't be written is the caller's mistake, and known before anybody is asked.
    writeInstance(service, "", instance, this.#options, 0);
    const key = JSON.stringify([service, instance.id]);
    for (let held = this.#ids.get(key); held !== undefined; held = this.#ids.get(key)) {
      if (held.state !== "closed") throw takenError(instance.id, service);
      // It is still being taken out: what comes late must not take out the new one.
      await held.abandon();
    }
    this.#checkOpen();
    const registration = this.#newRegistration(key, service, instance);
    this.#registrations.add(registration);
    this.#ids.set(key, registration);
    await registration.start();
    // Closed while it was being written: then it is out again.
    if (registration.state === "closed") this.#checkOpen();
    return registration;
  }

  watch(service: string, handler: WatchHandler): Watcher {
    this.#checkOpen();
    checkServiceName(service);
    const inner = this.#shared.value.directory.watch(service, handler);
    const watcher: Watcher = {
      refresh: () => inner.refresh(),
      close: () => {
        inner.close();
        this.#watchers.delete(watcher);
      },
    };
    this.#watchers.add(watcher);
    return watcher;
  }

  async reachedFrom(): Promise<string | null> {
    const address = await localAddressTowards(this.#options.hosts.map(({ label }) => label));
    return address === null || address.startsWith("127.") || address === "::1" ? null : address;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const watcher of this.#watchers) watcher.close();
    await Promise.all([...this.#registrations].map((registration) => registration.close()));
    await Promise.all([...this.#registrations].map((registration) => registration.abandon()));
    this.#shared.release();
  }

  #newRegistration(key: string, service: string, instance: Instance): KeptRegistration {
    const { clock, random, report = () => {} } = this.#context;
    const { ttlSeconds } = this.#options;
    const entry = new EurekaEntryKeeper(service, instance.id, this.#shared.value.client, this.#options, clock);
    const registration: KeptRegistration = new KeptRegistration(entry, instance, {
      owner: OWNER,
      clock,
      random,
      renewMs: (ttlSeconds * 1000) / 3,
      expiryMs: ttlSeconds * 1000,
      isFinal,
      report,
      onClose: () => {
        this.#registrations.delete(registration);
        if (this.#ids.get(key) === registration) this.#ids.delete(key);
      },
    });
    return registration;
  }

  #checkOpen(): void {
    if (this.#closing !== null) throw new Error(`${OWNER}: closed; make another one`);
  }
}

function isFinal(error: Error): boolean {
  return !(error instanceof HttpError) || !(error.isTransient || error.kind === "tls" || error.kind === "cancelled");
}

function isList(options: readonly string[] | EurekaOptions): options is readonly string[] {
  return Array.isArray(options);
}

function takenError(instanceId: string, service: string): Error {
  return new Error(
    `${OWNER}: instance ${JSON.stringify(instanceId)} of ${service} is registered by this registry already; ` +
      "each instance needs an id of its own",
  );
}
