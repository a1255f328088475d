import { identityOf } from "../../client/channel/channel-pool.ts";
import { callStorage } from "../../rpc/call-context.ts";
import { checkInstance, checkServiceName } from "../instance/instance.ts";
import type { Instance, Registration, Registry, Watcher, WatchHandler } from "../registry.ts";
import type { RegistryConfig, RegistryContext } from "../registry-config.ts";
import { KeptRegistration } from "../remote/kept-registration.ts";
import { localAddressTowards } from "../remote/local-address.ts";
import { keyOf, type Share, SharedByKey } from "../remote/shared-by-key.ts";
import { writeInstance, writtenService } from "./format.ts";
import { NacosError } from "./nacos-error.ts";
import { type CheckedNacosOptions, checkNacosOptions, completeNacosOptions, type NacosOptions } from "./options.ts";
import { NacosEntry, NacosPublication } from "./registrar.ts";
import { NacosSession } from "./session.ts";
import { NacosWatch } from "./watcher.ts";

const OWNER = "nacos registry";
/** As often it is found out that there is no link, or another one. */
const RENEW_MS = 5000;
/** A server misses a connection after 20 s, and beats after 30 s. */
const EXPIRY_MS = 30_000;

/** What registries of equal options in one process have in common. */
interface Shared {
  readonly session: NacosSession;
  /** By service. */
  readonly watches: Map<string, NacosWatch>;
  readonly publications: Map<string, NacosPublication>;
}

const shared: SharedByKey<Shared> = new SharedByKey();

/**
 * A registry in Nacos 2 or 3, or by HTTP in Nacos 1: `nacos("10.0.0.1:8848")`, `nacos(["10.0.0.1:8848", "10.0.0.2:8848"])`,
 * `nacos({ hosts, user, password, namespace, group … })`, or `nacos()` for what the environment says.
 *
 * Instances are ephemeral: one that is killed is out when its connection is, or after 20 s of silence; one that closes is out at once.
 * Registries of equal options in one process share one connection.
 *
 * @throws TypeError or RangeError if an option is malformed
 */
export function nacos(options: string | readonly string[] | NacosOptions = {}): RegistryConfig {
  const given: NacosOptions = typeof options === "string" || isList(options) ? { hosts: options } : options;
  checkNacosOptions(given);
  return {
    name: "nacos",
    create: (context) => new NacosRegistry(completeNacosOptions(given, context.environment), context),
  };
}

class NacosRegistry implements Registry {
  readonly name: string = "nacos";
  readonly place: string;
  readonly #options: CheckedNacosOptions;
  readonly #context: RegistryContext;
  readonly #shared: Share<Shared>;
  readonly #registrations = new Set<KeptRegistration>();
  /** By service and id: what this registry keeps. */
  readonly #ids = new Set<string>();
  readonly #watchers = new Set<Watcher>();
  #closing: Promise<void> | null = null;

  constructor(options: CheckedNacosOptions, context: RegistryContext) {
    const { network, ...plain } = options;
    this.#options = options;
    this.#context = context;
    const { namespace, group, clusters } = options;
    this.place = [options.hosts.map(({ label }) => label).join(","), namespace, group, ...clusters].join("/");
    this.#shared = callStorage.exit(() =>
      shared.acquire(
        context.clock,
        `${keyOf(plain)} ${identityOf(network)}`,
        () => ({ session: new NacosSession(options, context), watches: new Map(), publications: new Map() }),
        ({ session }) => session.close(),
      ),
    );
  }

  async register(service: string, instance: Instance): Promise<Registration> {
    this.#checkOpen();
    checkService(service);
    checkInstance(instance);
    // What can't be written is the caller's mistake, and known before anybody is asked.
    writeInstance(instance, this.#options);
    const key = JSON.stringify([service, instance.id]);
    if (this.#ids.has(key)) throw takenError(instance.id, service);
    return callStorage.exit(async () => {
      const registration = this.#newRegistration(key, service, instance);
      this.#registrations.add(registration);
      this.#ids.add(key);
      await registration.start();
      // Closed while it was being written: then it is out again.
      if (registration.state === "closed") this.#checkOpen();
      return registration;
    });
  }

  watch(service: string, handler: WatchHandler): Watcher {
    this.#checkOpen();
    checkService(service);
    return callStorage.exit(() => {
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
    });
  }

  /** The channel keeps its sockets to itself: the routing table knows the same. */
  reachedFrom(): Promise<string | null> {
    return localAddressTowards(this.#options.hosts.map(({ label }) => label));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const watcher of this.#watchers) watcher.close();
    await Promise.all([...this.#registrations].map((registration) => registration.close()));
    for (const registration of this.#registrations) registration.abandon();
    this.#shared.release();
  }

  #watchOf(service: string): NacosWatch {
    const { session, watches } = this.#shared.value;
    let watch = watches.get(service);
    if (watch === undefined) {
      const { clock, random } = this.#context;
      const onIdle = (): void => void watches.delete(service);
      watches.set(service, (watch = new NacosWatch(service, { session, clock, random, onIdle })));
    }
    return watch;
  }

  #publicationOf(service: string): NacosPublication {
    const { session, publications } = this.#shared.value;
    let publication = publications.get(service);
    if (publication === undefined) {
      const onIdle = (): void => void publications.delete(service);
      publications.set(service, (publication = new NacosPublication(service, session, this.#options.cluster, onIdle)));
    }
    return publication;
  }

  #newRegistration(key: string, service: string, instance: Instance): KeptRegistration {
    const { clock, random, report = () => {} } = this.#context;
    const publication = (): NacosPublication => this.#publicationOf(service);
    const entry = new NacosEntry({ options: this.#options, clock, random, publication });
    const registration: KeptRegistration = new KeptRegistration(entry, instance, {
      owner: OWNER,
      clock,
      random,
      renewMs: RENEW_MS,
      expiryMs: EXPIRY_MS,
      isFinal: (error) => !(error instanceof NacosError) || error.isPermanent,
      report,
      onClose: () => {
        this.#registrations.delete(registration);
        this.#ids.delete(key);
      },
    });
    return registration;
  }

  #checkOpen(): void {
    if (this.#closing !== null) throw new Error(`${OWNER}: closed; make another one`);
  }
}

function checkService(service: string): void {
  checkServiceName(service);
  writtenService(service);
}

function isList(options: readonly string[] | NacosOptions): options is readonly string[] {
  return Array.isArray(options);
}

function takenError(instanceId: string, service: string): Error {
  return new Error(
    `${OWNER}: instance ${JSON.stringify(instanceId)} of ${service} is registered by this registry already; ` +
      "each instance needs an id of its own",
  );
}
