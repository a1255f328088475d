import type { Clock } from "../../rpc/clock.ts";
import type { Instance } from "../registry.ts";
import { entryId } from "../remote/entry-id.ts";
import type { RemoteEntry } from "../remote/kept-registration.ts";
import type { EurekaClient } from "./client.ts";
import { writeInstance } from "./format.ts";
import type { CheckedEurekaOptions } from "./options.ts";

/**
 * The entry of one instance. Draining is the status `OUT_OF_SERVICE`, set above the instance's own: a server keeps the status of an
 * instance that it knows, whatever the instance registers anew.
 */
export class EurekaEntryKeeper implements RemoteEntry {
  readonly #service: string;
  readonly #client: EurekaClient;
  readonly #options: CheckedEurekaOptions;
  readonly #clock: Clock;
  readonly #id: string;
  #dirtyMs = 0;
  /** It may be out; at first because of one of the same id before it, whose status would stay. */
  #mayBeOut = true;

  constructor(service: string, instanceId: string, client: EurekaClient, options: CheckedEurekaOptions, clock: Clock) {
    this.#service = service;
    this.#client = client;
    this.#options = options;
    this.#clock = clock;
    this.#id = entryId(service, instanceId);
  }

  async put(instance: Instance): Promise<void> {
    // Of two that are equally new a server keeps the one it has.
    this.#dirtyMs = Math.max(this.#dirtyMs + 1, Math.floor(performance.timeOrigin + this.#clock.fresh()));
    await this.#client.register(
      this.#service,
      writeInstance(this.#service, this.#id, instance, this.#options, this.#dirtyMs),
    );
    const isOut = instance.state === "draining";
    if (!isOut && !this.#mayBeOut) return;
    // Counted before it is known: a server that does not answer may have done it.
    this.#mayBeOut = true;
    await this.#client.override(this.#service, this.#id, isOut, this.#dirtyMs);
    this.#mayBeOut = isOut;
  }

  renew(): Promise<boolean> {
    return this.#client.renew(this.#service, this.#id, this.#dirtyMs);
  }

  async remove(): Promise<void> {
    await this.#client.cancel(this.#service, this.#id);
  }
}
