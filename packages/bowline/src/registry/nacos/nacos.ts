import { identityOf } from "../../client/channel/channel-pool.ts";
import { callStorage } from "../../rpc/call-context.ts";
import type { RegistryConfig, RegistryContext } from "../registry-config.ts";
import { localAddressTowards } from "../remote/local-address.ts";
import { type RemoteProduct, RemoteRegistry } from "../remote/remote-registry.ts";
import { keyOf, SharedByKey } from "../remote/shared-by-key.ts";
import { writeInstance, writtenService } from "./format.ts";
import { NacosError } from "./nacos-error.ts";
import { type CheckedNacosOptions, checkNacosOptions, completeNacosOptions, type NacosOptions } from "./options.ts";
import { NacosEntry, NacosPublication } from "./registrar.ts";
import { NacosSession } from "./session.ts";
import { NacosWatch } from "./watcher.ts";

/** As often it is found out that there is no link, or another one. */
const RENEW_MS = 5000;
/** A server misses a connection after 20 s, and beats after 30 s. */
const EXPIRY_MS = 30_000;

/** By equal options. */
const connections: SharedByKey<Connection> = new SharedByKey();

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
    create: (context) =>
      new RemoteRegistry(nacosProduct(completeNacosOptions(given, context.environment), context), context),
  };
}

function nacosProduct(options: CheckedNacosOptions, context: RegistryContext): RemoteProduct {
  const { network, ...plain } = options;
  const { clock, random } = context;
  const labels = options.hosts.map(({ label }) => label);
  const shared = callStorage.exit(() =>
    connections.acquire(
      clock,
      `${keyOf(plain)} ${identityOf(network)}`,
      () => new Connection(options, context),
      ({ session }) => session.close(),
    ),
  );
  const { session } = shared.value;
  return {
    name: "nacos",
    place: [labels.join(","), options.namespace, options.group, ...options.clusters].join("/"),
    renewMs: RENEW_MS,
    expiryMs: EXPIRY_MS,
    isFinal: (error) => !(error instanceof NacosError) || error.isPermanent,
    checkService: writtenService,
    entry(service, instance) {
      writeInstance(instance, options);
      return new NacosEntry({ options, clock, random, publication: () => shared.value.publication(service) });
    },
    watch: (service, handler) => shared.value.watch(service).add(handler),
    services: async () => (await session.link()).services(),
    // The channel keeps its sockets to itself: the routing table knows the same.
    reachedFrom: () => localAddressTowards(labels),
    release: () => shared.release(),
  };
}

/** What registries of equal options in one process have in common. */
class Connection {
  readonly session: NacosSession;
  readonly #options: CheckedNacosOptions;
  readonly #context: RegistryContext;
  /** By service. */
  readonly #watches = new Map<string, NacosWatch>();
  readonly #publications = new Map<string, NacosPublication>();

  constructor(options: CheckedNacosOptions, context: RegistryContext) {
    this.session = new NacosSession(options, context);
    this.#options = options;
    this.#context = context;
  }

  /** The one watch of a service. */
  watch(service: string): NacosWatch {
    const { session } = this;
    const { clock, random } = this.#context;
    const onIdle = (): void => void this.#watches.delete(service);
    return madeOnce(this.#watches, service, () => new NacosWatch(service, { session, clock, random, onIdle }));
  }

  /** What is registered of a service; another one after it was idle. */
  publication(service: string): NacosPublication {
    const onIdle = (): void => void this.#publications.delete(service);
    const make = (): NacosPublication => new NacosPublication(service, this.session, this.#options.cluster, onIdle);
    return madeOnce(this.#publications, service, make);
  }
}

function madeOnce<T>(known: Map<string, T>, key: string, make: () => T): T {
  let value = known.get(key);
  if (value === undefined) known.set(key, (value = make()));
  return value;
}

function isList(options: readonly string[] | NacosOptions): options is readonly string[] {
  return Array.isArray(options);
}
