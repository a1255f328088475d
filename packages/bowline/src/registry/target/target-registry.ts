import { createDnsRegistry } from "../dns/dns.ts";
import { formatHostPort } from "../instance/address.ts";
import { createLocalRegistry } from "../local/local.ts";
import type { Registry } from "../registry.ts";
import type { RegistryContext } from "../registry-config.ts";
import { createStaticRegistry } from "../static.ts";
import { LazyRegistry } from "./lazy-registry.ts";
import { printTarget, type Target } from "./target.ts";

/** Where to watch a target. */
export interface TargetRegistry {
  readonly registry: Registry;
  /** What to pass to `registry.watch`. */
  readonly service: string;
  /** True if the registry was made for this target: whoever asked closes it. False for the configured one. */
  readonly isOwned: boolean;
}

/**
 * The registry in which a target is looked up, and the name to look for.
 *
 * `configured` is the registry that the client was given: it answers bare names, and `local:///` if it is a local one.
 *
 * @throws TypeError if the target is a bare name and no registry is configured
 */
export function registryOf(target: Target, context: RegistryContext, configured?: Registry): TargetRegistry {
  switch (target.kind) {
    case "static":
      return { registry: createStaticRegistry(target.addresses), service: printTarget(target), isOwned: true };
    case "unix":
      return { registry: createStaticRegistry([`unix:${target.path}`]), service: printTarget(target), isOwned: true };
    case "dns": {
      const registry = createDnsRegistry(target.server === "" ? {} : { server: target.server }, context);
      return { registry, service: formatHostPort(target), isOwned: true };
    }
    case "srv": {
      const server = target.server === "" ? {} : { server: target.server };
      const registry = createDnsRegistry({ ...server, records: "srv" }, context);
      return { registry, service: target.name, isOwned: true };
    }
    case "local": {
      if (configured?.name === "local" && target.namespace === "") {
        return { registry: configured, service: target.service, isOwned: false };
      }
      const registry = createLocalRegistry(target.namespace === "" ? {} : { namespace: target.namespace }, context);
      return { registry, service: target.service, isOwned: true };
    }
    case "remote":
      return { registry: new LazyRegistry(target, context), service: target.path, isOwned: true };
    case "registry":
      if (configured !== undefined) return { registry: configured, service: target.service, isOwned: false };
      throw new TypeError(
        `target "${target.service}": a bare service name needs a registry; give the client one, such as ` +
          `registry: local(), or write the address with its port, "${target.service}:8080"`,
      );
  }
}
