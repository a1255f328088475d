import { identityOf } from "../../client/channel/channel-pool.ts";
import { callStorage } from "../../rpc/call-context.ts";
import { checkInstance, checkServiceName } from "../instance/instance.ts";
import type { Instance, Registration, Registry, Watcher, WatchHandler } from "../registry.ts";
import type { RegistryConfig, RegistryContext } from "../registry-config.ts";
import { localAddressTowards } from "../remote/local-address.ts";
import { type Share, SharedByKey } from "../remote/shared-by-key.ts";
import { EtcdClient } from "./client.ts";
import { serviceOfKey } from "./format.ts";
import {
  type CheckedEtcdOptions,
  checkEtcdOptions,
  checkEtcdService,
  type EtcdOptions,
  etcdCredentials,
} from "./options.ts";
import { Registrar } from "./registrar.ts";
import type { EtcdRegistration } from "./registration.ts";
import { WatchHub } from "./watch/watch-hub.ts";
import { EtcdWatcher } from "./watcher.ts";

/**
 * A registry in etcd 3.4 or later, as go-zero's services use it: the key `<service>/<lease id>` holds `host:port`, on a lease of 10 s
 * that is renewed as long as the process lives. Weight, zone, version, tags and state stand beside it, under `bowline/instances/`, where
 * no Go client looks; an instance without them is as good as any.
 *
 * `etcd("10.0.0.1:2379")`, `etcd(["10.0.0.1:2379", "10.0.0.2:2379"])`, or options. Registries of equal options in one process share
 * one connection, one stream of watches and one lease.
 *
 * @throws TypeError or RangeError that names the option, its value and what is allowed
 */
export function etcd(options: string | readonly string[] | EtcdOptions): RegistryConfig {
  const checked = checkEtcdOptions(optionsOf(options));
  return { name: "etcd", create: (context) => new EtcdRegistry(checked, context) };
}

function optionsOf(options: string | readonly string[] | EtcdOptions | undefined): EtcdOptions {
  // The message about hosts says how to write one.
  if (options === undefined) return { hosts: [] };
  if (typeof options === "string") return { hosts: [options] };
  return isList(options) ? { hosts: options } : options;
}

function isList(options: readonly string[] | EtcdOptions): options is readonly string[] {
  return Array.isArray(options);
}

/** What registries of equal options share. */
interface Session {
  readonly client: EtcdClient;
  readonly hub: WatchHub;
  readonly registrar: Registrar;
}

const sessions: SharedByKey<Session> = new SharedByKey();

class EtcdRegistry implements Registry {
  readonly name: string = "etcd";
  readonly place: string;
  readonly #options: CheckedEtcdOptions;
  readonly #context: RegistryContext;
  readonly #session: Share<Session>;
  readonly #registrations: Set<EtcdRegistration> = new Set();
  readonly #watchers: Set<EtcdWatcher> = new Set();
  #closing: Promise<void> | null = null;

  constructor(options: CheckedEtcdOptions, context: RegistryContext) {
    this.#options = options;
    this.#context = context;
    this.place = `${options.hosts.join(",")}/${options.prefix}`;
    this.#session = callStorage.exit(() => openSession(options, context));
  }

  async register(service: string, instance: Instance): Promise<Registration> {
    this.#checkOpen();
    checkServiceName(service);
    checkEtcdService(service);
    checkInstance(instance);
    // A registration outlives the call in which it is made.
    const { registration, attempted } = callStorage.exit(() => this.#begin(service, instance));
    const error = await attempted;
    if (error?.isPermanent !== true) {
      if (this.#closing !== null) this.#checkOpen();
      return registration;
    }
    await registration.close().catch(() => {});
    throw error;
  }

  watch(service: string, handler: WatchHandler): Watcher {
    this.#checkOpen();
    checkServiceName(service);
    checkEtcdService(service);
    return callStorage.exit(() => {
      const watcher: EtcdWatcher = new EtcdWatcher(
        service,
        this.#session.value.hub,
        this.#options,
        this.#context.clock,
        handler,
        () => this.#watchers.delete(watcher),
      );
      this.#watchers.add(watcher);
      return watcher;
    });
  }

  async services(): Promise<readonly string[]> {
    this.#checkOpen();
    const { prefix } = this.#options;
    const found = new Set<string>();
    const look = (key: Uint8Array): void => {
      const service = serviceOfKey(key, prefix);
      if (service !== undefined) found.add(service);
    };
    await callStorage.exit(() => this.#session.value.client.keys(prefix, look));
    return [...found].sort();
  }

  /** The channel keeps its sockets to itself: the routing table knows the same. */
  reachedFrom(): Promise<string | null> {
    // Another network than this machine's sockets has addresses of its own.
    if (this.#options.network !== undefined) return Promise.resolve(null);
    return localAddressTowards(this.#options.hosts);
  }

  /** What can't be taken out of etcd now is reported; its lease ends it. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const watcher of this.#watchers) watcher.close();
    const report = this.#report();
    const closing = [...this.#registrations].map((registration) => registration.close().catch(report));
    await Promise.all(closing);
    this.#session.release();
  }

  #begin(
    service: string,
    instance: Instance,
  ): {
    readonly registration: EtcdRegistration;
    readonly attempted: ReturnType<EtcdRegistration["attempted"]>;
  } {
    const registration = this.#session.value.registrar.register(service, instance, this.#report(), () =>
      this.#registrations.delete(registration),
    );
    this.#registrations.add(registration);
    return { registration, attempted: registration.attempted() };
  }

  #report(): (error: Error) => void {
    return this.#context.report ?? ignore;
  }

  #checkOpen(): void {
    if (this.#closing !== null) throw new Error("etcd registry: closed; make another one");
  }
}

function ignore(): void {
  // Nobody wants to hear of it.
}

function openSession(options: CheckedEtcdOptions, context: RegistryContext): Share<Session> {
  // Whom etcd takes one for is a part of what is shared.
  const credentials = etcdCredentials(options, context.environment);
  return sessions.acquire(
    context.clock,
    identity({ ...options, ...credentials }),
    () => newSession(options, context),
    endSession,
  );
}

function newSession(options: CheckedEtcdOptions, context: RegistryContext): Session {
  const client = new EtcdClient(options, context);
  const hub = new WatchHub(client, options, context);
  return { client, hub, registrar: new Registrar(client, hub, options, context) };
}

function endSession({ client, hub, registrar }: Session): void {
  registrar.close();
  hub.close();
  client.close();
}

/** A text that is the same for equal plain values; what has methods counts as itself. */
function identity(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(identity).join(",")}]`;
  if (value instanceof Uint8Array) return JSON.stringify(Buffer.from(value).toString("latin1"));
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype)
    return identityOf(value);
  const entries = Object.entries(value).filter(([, each]) => each !== undefined);
  return `{${entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, each]) => `${name}:${identity(each)}`)}}`;
}
