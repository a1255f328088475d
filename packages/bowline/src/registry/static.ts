import { checkAddress } from "./instance/address.ts";
import { checkInstance, instanceAt } from "./instance/instance.ts";
import type { Instance, Registration, Registry, Watcher, WatchHandler } from "./registry.ts";
import type { RegistryConfig } from "./registry-config.ts";

/** A fixed address with what else is known of it; the defaults are those of {@link Instance}. */
export interface StaticAddress extends Partial<Pick<Instance, "weight" | "zone" | "version" | "tags">> {
  /** `10.0.0.7:8080`, `user.internal:8080`, `[fd00::7]:8080`, `unix:/run/user.sock`. Also the id of the instance. */
  readonly address: string;
}

/**
 * A registry in which each service has the same fixed instances: `staticRegistry(["10.0.0.7:8080", "10.0.0.8:8080"])`.
 *
 * @throws TypeError or RangeError if there is no address, one is malformed or one is listed twice
 */
export function staticRegistry(addresses: readonly (string | StaticAddress)[]): RegistryConfig {
  const instances = toInstances(addresses);
  return { name: "static", create: () => new StaticRegistry(instances) };
}

/** Starts what {@link staticRegistry} describes; it needs neither clock nor chance. */
export function createStaticRegistry(addresses: readonly (string | StaticAddress)[]): Registry {
  return new StaticRegistry(toInstances(addresses));
}

class StaticRegistry implements Registry {
  readonly name: string = "static";
  readonly #instances: readonly Instance[];
  #isClosed = false;

  constructor(instances: readonly Instance[]) {
    this.#instances = instances;
  }

  async register(service: string): Promise<Registration> {
    throw new TypeError(
      `static registry: ${JSON.stringify(service)} can't be registered, a fixed list takes no entries; ` +
        "give the server a registry such as local()",
    );
  }

  watch(_service: string, handler: WatchHandler): Watcher {
    if (this.#isClosed) throw new Error("static registry: closed");
    let isClosed = false;
    // Not from inside this call: the caller has no watcher yet.
    queueMicrotask(() => {
      if (!isClosed && !this.#isClosed)
        handler.snapshot({ instances: this.#instances, revision: 1, freshness: "live" });
    });
    return {
      refresh: () => {},
      close: () => {
        isClosed = true;
      },
    };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }
}

function toInstances(addresses: readonly (string | StaticAddress)[]): readonly Instance[] {
  if (!Array.isArray(addresses) || addresses.length === 0) {
    throw new TypeError('static registry: addresses: at least one is needed, such as "10.0.0.7:8080"');
  }
  const byAddress = new Map<string, Instance>();
  addresses.forEach((entry: string | StaticAddress, index) => {
    const field = `static registry: addresses[${index}]`;
    const {
      address,
      weight = 1,
      zone = "",
      version = "",
      tags = {},
    }: StaticAddress = typeof entry === "string" ? { address: entry } : entry;
    const checked = checkAddress(address, field);
    if (byAddress.has(checked)) throw new TypeError(`${field}: ${checked} is listed twice; list it once`);
    const instance = { ...instanceAt(checked), weight, zone, version, tags };
    checkInstance(instance);
    byAddress.set(checked, instance);
  });
  return [...byAddress.values()];
}
