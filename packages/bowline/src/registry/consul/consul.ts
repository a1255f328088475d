import { isFinalFailure } from "../http/http-error.ts";
import type { RegistryConfig, RegistryContext } from "../registry-config.ts";
import { localAddressTowards } from "../remote/local-address.ts";
import { type RemoteProduct, RemoteRegistry } from "../remote/remote-registry.ts";
import { keyOf, SharedByKey } from "../remote/shared-by-key.ts";
import { TurnTaking } from "../remote/turn-taking.ts";
import { ConsulClient } from "./client.ts";
import { writeService } from "./format.ts";
import { type CheckedConsulOptions, type ConsulOptions, checkConsulOptions, completeConsulOptions } from "./options.ts";
import { ConsulEntry } from "./registrar.ts";
import { ConsulWatch } from "./watcher.ts";

const OWNER = "consul registry";

/** By equal options. */
const connections: SharedByKey<Connection> = new SharedByKey();

/**
 * A registry in Consul: `consul("10.0.0.1:8500")`, `consul(["10.0.0.1:8500", "10.0.0.2:8500"])`, `consul({ hosts, token, datacenter … })`,
 * or `consul()` for the agent of this machine.
 *
 * An instance that is killed is out after `ttlSeconds`; one that closes is out at once. What an agent, or the servers behind it, have
 * lost by a restart is put back as soon as they answer, or into the next of `hosts`; anything else within a third of `ttlSeconds`.
 *
 * @throws TypeError or RangeError if an option is malformed
 */
export function consul(options: string | readonly string[] | ConsulOptions = {}): RegistryConfig {
  const given: ConsulOptions = typeof options === "string" || isList(options) ? { hosts: options } : options;
  checkConsulOptions(given);
  return {
    name: "consul",
    create: (context) =>
      new RemoteRegistry(consulProduct(completeConsulOptions(given, context.environment), context), context),
  };
}

function consulProduct(options: CheckedConsulOptions, context: RegistryContext): RemoteProduct {
  const { check, ttlSeconds, checkIntervalSeconds, tag } = options;
  const isTtl = check.kind === "ttl";
  const shared = connections.acquire(
    context.clock,
    keyOf(options),
    () => new Connection(options, context),
    ({ client }) => client.close(),
  );
  const { client } = shared.value;
  const { random } = context;
  return {
    name: "consul",
    place: placeOf(options),
    renewMs: (isTtl ? ttlSeconds / 3 : checkIntervalSeconds) * 1000,
    expiryMs: (isTtl ? ttlSeconds : checkIntervalSeconds * 2) * 1000,
    isFinal: isFinalFailure,
    checkService: checkConsulService,
    entry(service, instance) {
      const run = random().toString(36).slice(2);
      writeService(service, instance, options, run);
      return new ConsulEntry(service, instance.id, run, client, options);
    },
    watch: (service, handler) => shared.value.watch(service).add(handler),
    // Those with all tags that are asked for, though perhaps no instance that has them all.
    async services() {
      const services = [...(await client.services())];
      return services.flatMap(([name, tags]) => (tag.every((each) => tags.includes(each)) ? [name] : []));
    },
    async reachedFrom() {
      const address = await localAddressTowards(options.hosts.map(({ label }) => label));
      if (address !== null && !isLoopback(address)) return address;
      // The agent of this machine: others reach it, and so this process, by what it advertises.
      const advertised = await client.agentAddress().catch(() => "");
      return advertised === "" || isLoopback(advertised) ? null : advertised;
    },
    release: () => shared.release(),
  };
}

/** What registries of equal options in one process have in common. */
class Connection {
  readonly client: ConsulClient;
  readonly #options: CheckedConsulOptions;
  readonly #context: RegistryContext;
  readonly #turns: TurnTaking;
  /** By service. */
  readonly #watches = new Map<string, ConsulWatch>();

  constructor(options: CheckedConsulOptions, context: RegistryContext) {
    this.client = new ConsulClient(options, context.clock, context.random, context.report ?? (() => {}));
    this.#options = options;
    this.#context = context;
    this.#turns = new TurnTaking(options.maxConnections);
  }

  /** The one watch of a service. */
  watch(service: string): ConsulWatch {
    const known = this.#watches.get(service);
    if (known !== undefined) return known;
    const { clock, random } = this.#context;
    const made: ConsulWatch = new ConsulWatch(service, {
      client: this.client,
      turns: this.#turns,
      watched: () => this.#watches.size,
      options: this.#options,
      clock,
      random,
      onIdle: () => {
        if (this.#watches.get(service) === made) this.#watches.delete(service);
      },
    });
    this.#watches.set(service, made);
    return made;
  }
}

function placeOf({ hosts, datacenter, namespace, partition, tag }: CheckedConsulOptions): string {
  const parts = [hosts.map(({ label }) => label).join(","), datacenter, namespace, partition, ...tag];
  return parts.filter((part) => part !== undefined).join(" ");
}

/**
 * A service's name stands in the path of a URL, where some parts have a meaning of their own whatever their encoding.
 *
 * @throws TypeError that names it
 */
export function checkConsulService(service: string): void {
  if (service.split("/").every((part) => part !== "" && part !== "." && part !== "..")) return;
  throw new TypeError(
    `${OWNER}: service: ${JSON.stringify(service)} can't be asked for: no part between slashes may be empty, "." or ".."`,
  );
}

function isList(options: readonly string[] | ConsulOptions): options is readonly string[] {
  return Array.isArray(options);
}

function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}
