import { isFinalFailure } from "../http/http-error.ts";
import type { RegistryConfig, RegistryContext } from "../registry-config.ts";
import { localAddressTowards } from "../remote/local-address.ts";
import { type RemoteProduct, RemoteRegistry } from "../remote/remote-registry.ts";
import { keyOf, SharedByKey } from "../remote/shared-by-key.ts";
import { EurekaClient } from "./client.ts";
import { readInstance, writeInstance } from "./format.ts";
import { type CheckedEurekaOptions, checkEurekaOptions, completeEurekaOptions, type EurekaOptions } from "./options.ts";
import { EurekaEntryKeeper } from "./registrar.ts";
import { EurekaDirectory } from "./watcher.ts";

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
  const isHosts = options === undefined || typeof options === "string" || isList(options);
  const given: EurekaOptions = isHosts ? { hosts: options } : options;
  checkEurekaOptions(given);
  return {
    name: "eureka",
    create: (context) =>
      new RemoteRegistry(eurekaProduct(completeEurekaOptions(given, context.environment), context), context),
  };
}

function eurekaProduct(options: CheckedEurekaOptions, context: RegistryContext): RemoteProduct {
  const { hosts, ttlSeconds } = options;
  const { clock, random, report = () => {} } = context;
  const labels = hosts.map(({ label }) => label);
  const shared = connections.acquire(
    clock,
    keyOf(options),
    () => {
      const client = new EurekaClient(options, clock, report);
      return { client, directory: new EurekaDirectory({ client, options, clock, random }) };
    },
    ({ client }) => client.close(),
  );
  const { client, directory } = shared.value;
  return {
    name: "eureka",
    place: labels.join(","),
    renewMs: (ttlSeconds * 1000) / 3,
    expiryMs: ttlSeconds * 1000,
    isFinal: isFinalFailure,
    entry(service, instance) {
      writeInstance(service, "", instance, options, 0);
      return new EurekaEntryKeeper(service, instance.id, client, options, clock);
    },
    watch: (service, handler) => directory.watch(service, handler),
    // Applications of others are named in lower case, as Spring Cloud names them.
    async services() {
      const { apps } = await client.all();
      const nameOf = (app: string, entry: unknown): string => readInstance(entry, options).service || app.toLowerCase();
      return [...new Set(apps.flatMap(({ name, instances }) => instances.map((each) => nameOf(name, each))))];
    },
    async reachedFrom() {
      const address = await localAddressTowards(labels);
      return address === null || address.startsWith("127.") || address === "::1" ? null : address;
    },
    release: () => shared.release(),
  };
}

function isList(options: readonly string[] | EurekaOptions): options is readonly string[] {
  return Array.isArray(options);
}
