import type { RegistryConfig } from "bowline/registry";
import { local } from "bowline/registry/local";

/** Where instances find each other: `local` is the embedded registry, everything else names a server. */
export const REGISTRIES = "local, or etcd://host:port";

/**
 * The registry that a flag names.
 *
 * @throws TypeError for one that there is not
 */
export async function openRegistry(name: string, namespace: string): Promise<RegistryConfig> {
  if (name === "local") return local({ namespace });
  const hosts = /^etcd:\/\/([^/]+)$/.exec(name)?.[1];
  if (hosts === undefined) throw new TypeError(`--registry is ${JSON.stringify(name)}: give ${REGISTRIES}`);
  const { etcd } = await import("bowline/registry/etcd");
  return etcd({ hosts: hosts.split(","), prefix: `${namespace}/` });
}
