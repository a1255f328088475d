import type { Logger } from "../../observe/logger.ts";
import { newInstanceId } from "../../registry/instance/instance.ts";
import type { Registration, Registry } from "../../registry/registry.ts";
import type { RegistryConfig } from "../../registry/registry-config.ts";
import type { Clock } from "../../rpc/clock.ts";
import { environment } from "../../rpc/platform.ts";
import type { Random } from "../../rpc/random.ts";
import { advertisedAddress } from "./advertise.ts";

/** What a server's entry is made of; see `ServerOptions`. */
export interface EntryOptions {
  readonly name: string;
  readonly registry: RegistryConfig | Registry;
  readonly advertise: string | undefined;
  readonly instanceId: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** The entry of a server in its registry: made once it serves, taken out before it stops. */
export class RegistryEntry {
  readonly #options: EntryOptions;
  #registry: Registry | null = null;
  #registering: Promise<Registration> | null = null;

  constructor(options: EntryOptions) {
    this.#options = options;
  }

  /** Registers the server that is bound to `bound`. Rejects when the registry can't be used at all. */
  async open(bound: string): Promise<void> {
    const { name, advertise, instanceId, random } = this.#options;
    this.#registry = this.#openRegistry();
    this.#registering = this.#registry.register(name, {
      id: instanceId ?? newInstanceId(name, process.pid, random),
      addresses: [{ address: advertisedAddress(advertise, bound), network: "" }],
      weight: 1,
      zone: "",
      version: "",
      tags: {},
      state: "ready",
    });
    await this.#registering;
  }

  /** Takes the entry out, also one that is still being made. What fails is logged: an entry that stays expires in the registry. */
  async close(): Promise<void> {
    const registration = await this.#registering?.catch(() => null);
    this.#registering = null;
    const { logger, registry } = this.#options;
    try {
      await registration?.update({ state: "draining" });
      await registration?.close();
      if ("create" in registry) await this.#registry?.close();
    } catch (error) {
      logger.warn({ error }, "taking the instance out of the registry failed; it will expire there");
    }
    this.#registry = null;
  }

  #openRegistry(): Registry {
    const { registry, clock, random, logger } = this.#options;
    if (!("create" in registry)) return registry;
    const report = (error: Error): void => logger.warn({ error }, "trouble with the registry");
    return registry.create({ clock, random, environment: environment(), report });
  }
}
