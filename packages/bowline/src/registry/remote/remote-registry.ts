import { callStorage } from "../../rpc/call-context.ts";
import { within } from "../../rpc/clock.ts";
import { checkInstance, checkServiceName } from "../instance/instance.ts";
import type { Instance, Registration, Registry, Watcher, WatchHandler } from "../registry.ts";
import type { RegistryContext } from "../registry-config.ts";
import { KeptRegistration, type RemoteEntry } from "./kept-registration.ts";

/** What a {@link RemoteRegistry} needs to know of the product that it stands for; connections are the product's own. */
export interface RemoteProduct
  extends Required<Pick<Registry, "name" | "place" | "watch" | "services" | "reachedFrom">> {
  /** Between two renewals of an entry, in ms. */
  readonly renewMs: number;
  /** Life of an entry that is not renewed, in ms. */
  readonly expiryMs: number;
  /** @throws TypeError for names that can't be asked for there */
  checkService?(service: string): void;
  /** The entry of an instance, not written yet. @throws TypeError for an instance that can't be written there */
  entry(service: string, instance: Instance): RemoteEntry;
  /** True for errors that trying again can't mend. */
  isFinal(error: Error): boolean;
  /** Lets go of its connections, which others may share. */
  release(): void;
}

/** How long a registry that is closed tries to take out what it could not take out at once: the process may end then. */
const REMOVE_GRACE_MS = 3000;
/** Servers that take connections and never answer hold each request up for its time, one server after the other: not the end of a process. */
const CLOSE_MS = 10_000;

/** The registry of one client or server in a product that keeps entries alive as long as they are renewed: what is open in it, and its end. */
export class RemoteRegistry implements Registry {
  readonly name: string;
  readonly place: string;
  readonly #product: RemoteProduct;
  readonly #context: RegistryContext;
  /** By service and id. */
  readonly #registrations = new Map<string, KeptRegistration>();
  readonly #watchers = new Set<Watcher>();
  #closing: Promise<void> | null = null;

  constructor(product: RemoteProduct, context: RegistryContext) {
    this.name = product.name;
    this.place = product.place;
    this.#product = product;
    this.#context = context;
  }

  async register(service: string, instance: Instance): Promise<Registration> {
    this.#check(service);
    checkInstance(instance);
    // What can't be written is the caller's mistake, and known before anybody is asked.
    const entry = this.#product.entry(service, instance);
    const key = JSON.stringify([service, instance.id]);
    for (let held = this.#registrations.get(key); held !== undefined; held = this.#registrations.get(key)) {
      if (held.state !== "closed") throw this.#takenError(service, instance.id);
      // It is still being taken out: what comes late must not take out the new one.
      await held.abandon();
    }
    this.#check(service);
    const registration = this.#keep(key, entry, instance);
    // A registration outlives the call in which it is made.
    await callStorage.exit(() => registration.start());
    // Closed while it was being written: then it is out again.
    if (registration.state === "closed") this.#check(service);
    return registration;
  }

  watch(service: string, handler: WatchHandler): Watcher {
    this.#check(service);
    const inner = callStorage.exit(() => this.#product.watch(service, handler));
    const watcher: Watcher = {
      get skipped() {
        return inner.skipped;
      },
      refresh: () => inner.refresh(),
      close: () => {
        inner.close();
        this.#watchers.delete(watcher);
      },
    };
    this.#watchers.add(watcher);
    return watcher;
  }

  async services(): Promise<readonly string[]> {
    this.#checkOpen();
    return [...(await callStorage.exit(() => this.#product.services()))].sort();
  }

  reachedFrom(): Promise<string | null> {
    return this.#product.reachedFrom();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const watcher of this.#watchers) watcher.close();
    const registrations = [...this.#registrations.values()];
    const { clock } = this.#context;
    // Between two tries to take something out there are timers only.
    const hold = clock.hold?.();
    try {
      await within(clock, takeOut(registrations), CLOSE_MS);
    } finally {
      hold?.cancel();
    }
    // What is under way still is not tried again.
    for (const registration of registrations) void registration.abandon();
    this.#product.release();
  }

  #keep(key: string, entry: RemoteEntry, instance: Instance): KeptRegistration {
    const { clock, random, report = () => {} } = this.#context;
    const { renewMs, expiryMs } = this.#product;
    const registration: KeptRegistration = new KeptRegistration(entry, instance, {
      owner: this.#owner,
      clock,
      random,
      renewMs,
      expiryMs,
      isFinal: (error) => this.#product.isFinal(error),
      report,
      onClose: () => {
        if (this.#registrations.get(key) === registration) this.#registrations.delete(key);
      },
    });
    this.#registrations.set(key, registration);
    return registration;
  }

  get #owner(): string {
    return `${this.name} registry`;
  }

  #check(service: string): void {
    this.#checkOpen();
    checkServiceName(service);
    this.#product.checkService?.(service);
  }

  #checkOpen(): void {
    if (this.#closing !== null) throw new Error(`${this.#owner}: closed; make another one`);
  }

  #takenError(service: string, instanceId: string): Error {
    return new Error(
      `${this.#owner}: instance ${JSON.stringify(instanceId)} of ${service} is registered by this registry already; ` +
        "each instance needs an id of its own",
    );
  }
}

async function takeOut(registrations: readonly KeptRegistration[]): Promise<void> {
  await Promise.all(registrations.map((registration) => registration.close()));
  await Promise.all(registrations.map((registration) => registration.abandon(REMOVE_GRACE_MS)));
}
