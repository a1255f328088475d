import { HttpError } from "../http/http-error.ts";
import { checkInstance, checkServiceName } from "../instance/instance.ts";
import type { Instance, Registration, Registry, Watcher, WatchHandler } from "../registry.ts";
import type { RegistryConfig, RegistryContext } from "../registry-config.ts";
import { KeptRegistration } from "../remote/kept-registration.ts";
import { localAddressTowards } from "../remote/local-address.ts";
import { keyOf, type Share, SharedByKey } from "../remote/shared-by-key.ts";
import { TurnTaking } from "../remote/turn-taking.ts";
import { ConsulClient } from "./client.ts";
import { writeService } from "./format.ts";
import { type CheckedConsulOptions, type ConsulOptions, checkConsulOptions, completeConsulOptions } from "./options.ts";
import { ConsulEntry } from "./registrar.ts";
import { ConsulWatch } from "./watcher.ts";

const OWNER = "consul registry";

/** What registries of equal options in one process have in common. */
interface Connection {
  readonly client: ConsulClient;
  readonly turns: TurnTaking;
  /** By service. */
  readonly watches: Map<string, ConsulWatch>;
}

const connections: SharedByKey<Connection> = new SharedByKey();

/**
 * A registry in Consul: `consul("10.0.0.1:8500")`, `consul(["10.0.0.1:8500", "10.0.0.2:8500"])`, `consul({ hosts, token, datacenter … })`,
 * or `consul()` for the agent of this machine.
 *
 * An instance that is killed is out after `ttlSeconds`; one that closes is out at once. What the agent has lost is put back within a
 * third of `ttlSeconds`.
 *
 * @throws TypeError or RangeError if an option is malformed
 */
export function consul(options: string | readonly string[] | ConsulOptions = {}): RegistryConfig {
  const given: ConsulOptions = typeof options === "string" || isList(options) ? { hosts: options } : options;
  checkConsulOptions(given);
  return { name: "consul", create: (context) => createConsulRegistry(given, context) };
}

/**
 * Starts what {@link consul} describes. No agent is asked before the first registration or watch.
 *
 * @throws TypeError for variables of the environment or TLS files that can't be used
 */
export function createConsulRegistry(options: ConsulOptions, context: RegistryContext): Registry {
  return new ConsulRegistry(completeConsulOptions(options, context.environment), context);
}

class ConsulRegistry implements Registry {
  readonly name: string = "consul";
  readonly place: string;
  readonly #options: CheckedConsulOptions;
  readonly #context: RegistryContext;
  readonly #shared: Share<Connection>;
  readonly #registrations = new Set<KeptRegistration>();
  /** By service and id: what this registry keeps. */
  readonly #ids = new Map<string, KeptRegistration>();
  readonly #watchers = new Set<Watcher>();
  #closing: Promise<void> | null = null;

  constructor(options: CheckedConsulOptions, context: RegistryContext) {
    this.#options = options;
    this.#context = context;
    const { datacenter, namespace, partition } = options;
    const hosts = options.hosts.map(({ label }) => label).join(",");
    this.place = [hosts, datacenter, namespace, partition, ...options.tag]
      .filter((part) => part !== undefined)
      .join(" ");
    const report = context.report ?? (() => {});
    this.#shared = connections.acquire(
      context.clock,
      keyOf(options),
      () => ({
        client: new ConsulClient(options, context.clock, report),
        turns: new TurnTaking(options.maxConnections),
        watches: new Map(),
      }),
      ({ client }) => client.close(),
    );
  }

  async register(service: string, instance: Instance): Promise<Registration> {
    this.#checkOpen();
    checkService(service);
    checkInstance(instance);
    // What can't be written is the caller's mistake, and known before anybody is asked.
    writeService(service, instance, this.#options);
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
    checkService(service);
    const inner = this.#watchOf(service).add(handler);
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
    if (address !== null && !isLoopback(address)) return address;
    // The agent of this machine: others reach it, and so this process, by what it advertises.
    const advertised = await this.#shared.value.client.agentAddress().catch(() => "");
    return advertised === "" || isLoopback(advertised) ? null : advertised;
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

  #watchOf(service: string): ConsulWatch {
    const { client, turns, watches } = this.#shared.value;
    let watch = watches.get(service);
    if (watch === undefined) {
      const made: ConsulWatch = new ConsulWatch(service, {
        client,
        turns,
        watched: () => watches.size,
        options: this.#options,
        clock: this.#context.clock,
        random: this.#context.random,
        onIdle: () => {
          if (watches.get(service) === made) watches.delete(service);
        },
      });
      watches.set(service, (watch = made));
    }
    return watch;
  }

  #newRegistration(key: string, service: string, instance: Instance): KeptRegistration {
    const { clock, random, report = () => {} } = this.#context;
    const { check, ttlSeconds, checkIntervalSeconds } = this.#options;
    const entry = new ConsulEntry(service, instance.id, this.#shared.value.client, this.#options);
    const registration: KeptRegistration = new KeptRegistration(entry, instance, {
      owner: OWNER,
      clock,
      random,
      renewMs: (check.kind === "ttl" ? ttlSeconds / 3 : checkIntervalSeconds) * 1000,
      expiryMs: (check.kind === "ttl" ? ttlSeconds : checkIntervalSeconds * 2) * 1000,
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

/** A service's name stands in the path of a URL, where some parts have a meaning of their own whatever their encoding. */
function checkService(service: string): void {
  checkServiceName(service);
  if (service.split("/").every((part) => part !== "" && part !== "." && part !== "..")) return;
  throw new TypeError(
    `${OWNER}: service: ${JSON.stringify(service)} can't be asked for: no part between slashes may be empty, "." or ".."`,
  );
}

function isFinal(error: Error): boolean {
  return !(error instanceof HttpError) || !(error.isTransient || error.kind === "tls" || error.kind === "cancelled");
}

function isList(options: readonly string[] | ConsulOptions): options is readonly string[] {
  return Array.isArray(options);
}

function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}

function takenError(instanceId: string, service: string): Error {
  return new Error(
    `${OWNER}: instance ${JSON.stringify(instanceId)} of ${service} is registered by this registry already; ` +
      "each instance needs an id of its own",
  );
}
