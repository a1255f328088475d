import type { Registry, RegistryConfig } from "bowline/registry";
import { local } from "bowline/registry/local";

/** Where instances find each other: `local` is the embedded registry, everything else names servers. */
export const REGISTRIES =
  "local, or etcd://, consul://, nacos:// or eureka:// with host:port, several with commas between";

type Adapter = (hosts: readonly string[]) => Promise<RegistryConfig>;

const ADAPTERS: Readonly<Record<string, Adapter>> = {
  etcd: async (hosts) => (await import("bowline/registry/etcd")).etcd(hosts),
  consul: async (hosts) => (await import("bowline/registry/consul")).consul(hosts),
  nacos: async (hosts) => (await import("bowline/registry/nacos")).nacos(hosts),
  eureka: async (hosts) => (await import("bowline/registry/eureka")).eureka(hosts),
};

/**
 * The registry that a flag names. Tokens and passwords come from the environment, as each product's own tools have them.
 *
 * @throws TypeError for one that there is not
 */
export async function openRegistry(name: string, namespace: string): Promise<RegistryConfig> {
  if (name === "local") return local({ namespace });
  const [, scheme = "", hosts = ""] = /^([a-z]+):\/\/([^/]+)$/.exec(name) ?? [];
  const adapter = Object.hasOwn(ADAPTERS, scheme) ? ADAPTERS[scheme] : undefined;
  if (adapter === undefined) throw new TypeError(`--registry is ${JSON.stringify(name)}: give ${REGISTRIES}`);
  return within(namespace, await adapter(hosts.split(",")));
}

/** The same registry with service names of our own: others may have a shop there, too. */
function within(namespace: string, { name, create }: RegistryConfig): RegistryConfig {
  return { name, create: (context) => named(namespace, create(context)) };
}

function named(namespace: string, registry: Registry): Registry {
  return {
    name: registry.name,
    ...(registry.place === undefined ? {} : { place: `${registry.place} ${namespace}` }),
    register: (service, instance) => registry.register(`${namespace}.${service}`, instance),
    watch: (service, handler) => registry.watch(`${namespace}.${service}`, handler),
    reachedFrom: () => registry.reachedFrom?.() ?? Promise.resolve(null),
    close: () => registry.close(),
  };
}
