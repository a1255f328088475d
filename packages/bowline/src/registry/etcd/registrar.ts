import { retryBackoffMs } from "../../resilience/backoff.ts";
import type { Timer } from "../../rpc/clock.ts";
import type { Instance } from "../registry.ts";
import type { RegistryContext } from "../registry-config.ts";
import type { EtcdClient } from "./client.ts";
import { EtcdError, explainEtcdError } from "./etcd-error.ts";
import { serviceKeys } from "./format.ts";
import { LeaseKeeper, type LeaseOwner } from "./lease-keeper.ts";
import type { CheckedEtcdOptions } from "./options.ts";
import { EtcdRegistration, type RegistrationHost } from "./registration.ts";
import type { WatchHub } from "./watch/watch-hub.ts";

/** Keys that must not be there any more. */
interface Removal {
  readonly keys: readonly string[];
  /** The lease that they hang on: when it is given back, they are gone. */
  readonly lease: bigint;
  /** Monotonic ms until which it is done again: a put whose answer never came may still come to pass. */
  readonly repeatUntil: number;
  readonly release: () => void;
  readonly settle: (error: EtcdError | null) => void;
}

/** Registrations of one transaction: two keys each, and etcd takes 128 operations. */
const BATCH = 32;
const RETRY = { baseMs: 100, maxMs: 3000 } as const;
/** Different messages of one time of trouble. */
const MAX_TOLD = 100;
/** A request that was given up may still be carried out for so long: etcd itself gives up after 5 s and two elections. */
const LATE_MS = 10_000;
/** Rights and passwords are mended by people. */
const SLOW_RETRY_MS = 10_000;

/**
 * All registrations of a process in one etcd, on one lease: makes true, in passes of which one runs at a time, what is wanted.
 *
 * A pass gets a lease if there is none, puts what is not as it should be, and removes what was closed. One that fails is repeated
 * with full jitter, for ever.
 */
export class Registrar implements LeaseOwner, RegistrationHost {
  readonly #client: EtcdClient;
  readonly #hub: WatchHub;
  readonly #options: CheckedEtcdOptions;
  readonly #context: RegistryContext;
  readonly #lease: LeaseKeeper;
  readonly #registrations: Set<EtcdRegistration> = new Set();
  readonly #removals: Set<Removal> = new Set();
  /** Removals that were made and are made again later. */
  readonly #repeating: Map<Removal, Timer> = new Map();
  /** By the service's keys: the numbers in use behind the lease id. */
  readonly #slots: Map<string, Set<number>> = new Map();
  /** What each reporter has heard since all was well. */
  readonly #reported: Map<(error: Error) => void, Set<string>> = new Map();
  #isRunning = false;
  #retry: Timer | null = null;
  #failures = 0;
  #lostInARow = 0;
  #isInDoubt = false;
  #isClosed = false;

  constructor(client: EtcdClient, hub: WatchHub, options: CheckedEtcdOptions, context: RegistryContext) {
    this.#client = client;
    this.#hub = hub;
    this.#options = options;
    this.#context = context;
    this.#lease = new LeaseKeeper(client, options, context, this);
  }

  /** True when the lease was not renewed in time. */
  get isInDoubt(): boolean {
    return this.#isInDoubt;
  }

  /**
   * Begins to register; `attempted` of what it gives tells how the first attempt ended. `report` hears of trouble afterwards.
   *
   * @throws Error if this process has registered the instance already
   */
  register(service: string, instance: Instance, report: (error: Error) => void, onClose: () => void): EtcdRegistration {
    const keys = serviceKeys(this.#options.prefix, service);
    for (const each of this.#registrations) {
      if (each.service !== service || each.id !== instance.id) continue;
      throw new Error(
        `etcd registry: instance ${JSON.stringify(instance.id)} of ${service} is registered by this process already; each needs an id of its own`,
      );
    }
    const place = { keys, slot: this.#takeSlot(keys.values), report, onClose };
    const registration = new EtcdRegistration(service, instance, place, this.#options, this);
    this.#registrations.add(registration);
    // After the caller has asked how the attempt ends.
    queueMicrotask(() => this.wake());
    return registration;
  }

  /** Nothing is tried any more. Registrations are closed before. */
  close(): void {
    this.#isClosed = true;
    this.#retry?.cancel();
    for (const timer of this.#repeating.values()) timer.cancel();
    this.#lease.close();
    for (const removal of this.#removals) removal.settle(new EtcdError("unreachable", "closed"));
    this.#removals.clear();
  }

  // --- RegistrationHost ---

  get hub(): WatchHub {
    return this.#hub;
  }

  /** Something is not as it should be: a pass is made now. */
  wake(): void {
    if (this.#isRunning || this.#isClosed) return;
    this.#retry?.cancel();
    this.#isRunning = true;
    void this.#run();
  }

  /** Takes the keys of a registration out; resolves when they are gone. Rejects with EtcdError if that can't be done now. */
  async remove(registration: EtcdRegistration): Promise<void> {
    const { place, lease } = registration;
    this.#registrations.delete(registration);
    const release = (): void => this.#freeSlot(place.keys.values, place.slot);
    if (lease === null) return release();
    const error = await new Promise<EtcdError | null>((settle) => {
      const repeatUntil = this.#client.uncertainAt + LATE_MS;
      this.#removals.add({ keys: registration.keys(lease), lease, repeatUntil, release, settle });
      this.wake();
    });
    if (error !== null) throw error;
  }

  // --- LeaseOwner ---

  leaseLost(): void {
    for (const each of this.#registrations) each.lost();
    this.wake();
  }

  leaseInDoubt(error: EtcdError): void {
    this.#isInDoubt = true;
    this.#report(error);
  }

  leaseRenewed(): void {
    if (!this.#isInDoubt) return;
    this.#isInDoubt = false;
    this.#reported.clear();
  }

  // --- passes ---

  async #run(): Promise<void> {
    try {
      while (!this.#isClosed && this.#hasWork()) await this.#pass();
      this.#failures = 0;
      this.#isRunning = false;
      this.#wakeLater();
    } catch (error) {
      this.#isRunning = false;
      if (!this.#isClosed) this.#failed(explainEtcdError(error, "registering", "etcd"));
    }
  }

  #hasWork(): boolean {
    return this.#due().length > 0 || this.#removals.size > this.#repeating.size;
  }

  /** Registrations that are to be put now. */
  #due(): EtcdRegistration[] {
    const now = this.#context.clock.fresh();
    return [...this.#registrations].filter((each) => each.isDirty && each.notBefore <= now);
  }

  async #pass(): Promise<void> {
    await this.#remove();
    const due = this.#due();
    if (due.length === 0) return;
    const lease = this.#lease.id ?? (await this.#lease.grant());
    this.#isInDoubt = false;
    for (let at = 0; at < due.length; at += BATCH) await this.#put(due.slice(at, at + BATCH), lease);
    if (this.#registrations.size === 0 && this.#removals.size === 0) await this.#giveBack();
  }

  /** All were closed while it was granted: nobody needs it, and if it can't be given back it ends by itself. */
  async #giveBack(): Promise<void> {
    const lease = this.#lease.release();
    if (lease !== null) await this.#client.revokeLease(lease).catch(() => {});
  }

  async #put(batch: readonly EtcdRegistration[], lease: bigint): Promise<void> {
    const wanted = batch.filter((each) => each.isDirty && each.state !== "closed");
    // The lease may have gone with the batch before.
    if (wanted.length === 0 || this.#lease.id !== lease) return;
    const begunAt = this.#context.clock.fresh();
    try {
      const puts = wanted.flatMap((each) => each.beginPut(lease));
      const { header } = await this.#client.transact(puts, "registering");
      for (const each of wanted) each.putDone(lease, header?.revision ?? 0n);
      this.#lostInARow = 0;
      this.#reported.clear();
    } catch (error) {
      const explained = explainEtcdError(error, "registering", "etcd");
      for (const each of wanted) each.putFailed(this.#client.uncertainAt >= begunAt);
      if (explained.fault === "lease") return this.#dropLease(lease, explained);
      if (!explained.isPermanent || explained.fault === "credentials") throw explained;
      if (wanted.length > 1) for (const each of wanted) await this.#put([each], lease);
      else this.#refused(wanted[0], explained);
    }
  }

  /** It answers renewals with OK, or has not been asked yet, and yet it is gone: the next pass gets another. */
  #dropLease(lease: bigint, error: EtcdError): void {
    if (this.#lease.id === lease) this.#lease.release();
    for (const each of this.#registrations) each.lost();
    if (++this.#lostInARow > 1) throw new EtcdError("unreachable", error.message, { cause: error });
  }

  /** One registration that etcd does not take; the others go on. */
  #refused(registration: EtcdRegistration, error: EtcdError): void {
    const { clock, random } = this.#context;
    registration.notBefore = clock.fresh() + SLOW_RETRY_MS * (0.5 + random());
    const { values, details } = registration.place.keys;
    const both = this.#options.metadata
      ? `${JSON.stringify(values)} and ${JSON.stringify(details)}`
      : JSON.stringify(values);
    const explained =
      error.fault === "permission"
        ? new EtcdError(
            "permission",
            `the user may not write ${both}: grant it, etcdctl role grant-permission ROLE readwrite --prefix=true KEY${this.#options.metadata ? " for each of them, or set metadata: false for the first alone" : ""}`,
            { cause: error },
          )
        : error;
    registration.settle(explained);
    this.#tell(registration.place.report, explained);
  }

  async #remove(): Promise<void> {
    const removals = [...this.#removals].filter((removal) => !this.#repeating.has(removal));
    if (removals.length === 0) return;
    const held = this.#lease.id;
    const isNeeded = this.#registrations.size > 0;
    try {
      // Without its lease a key goes, and a put that is still on its way fails.
      if (!isNeeded) this.#lease.release();
      const single = isNeeded ? removals.filter(({ lease }) => lease === held) : [];
      if (single.length > 0) await this.#delete(single);
      const leases = new Set(removals.filter((removal) => !single.includes(removal)).map(({ lease }) => lease));
      for (const lease of leases) await this.#client.revokeLease(lease);
    } catch (error) {
      throw this.#notRemoved(removals, explainEtcdError(error, "taking an instance out", "etcd"));
    }
    const now = this.#context.clock.fresh();
    for (const removal of removals) {
      removal.settle(null);
      if (removal.repeatUntil > now && this.#lease.id === removal.lease) this.#repeatLater(removal);
      else this.#removed(removal);
    }
  }

  /** It is tried again, unless that is of no use; the lease ends it in any case. */
  #notRemoved(removals: readonly Removal[], error: EtcdError): EtcdError {
    const text = `${error.message.replace(/^etcd registry: /, "")}; it goes within ${Math.ceil(this.#lease.ttlMs / 1000)} s of the last renewal`;
    const explained = new EtcdError(error.fault, text, { cause: error });
    for (const removal of removals) {
      removal.settle(explained);
      if (error.isPermanent) this.#removed(removal);
    }
    return explained;
  }

  async #delete(removals: readonly Removal[]): Promise<void> {
    const encode = new TextEncoder();
    const keys = removals.flatMap((removal) => removal.keys);
    for (let at = 0; at < keys.length; at += 2 * BATCH) {
      const operations = keys
        .slice(at, at + 2 * BATCH)
        .map((key) => ({ request: { case: "requestDeleteRange" as const, value: { key: encode.encode(key) } } }));
      await this.#client.transact(operations, "taking an instance out");
    }
  }

  #removed(removal: Removal): void {
    this.#removals.delete(removal);
    removal.release();
  }

  // --- what is left for later ---

  #repeatLater(removal: Removal): void {
    const again = (): void => {
      this.#repeating.delete(removal);
      this.wake();
    };
    this.#repeating.set(removal, this.#context.clock.setTimeout(again, this.#lease.ttlMs / 3));
  }

  #failed(error: EtcdError): void {
    const { clock, random } = this.#context;
    this.#report(error);
    for (const each of this.#registrations) each.settle(error);
    const isSlow = error.fault === "credentials";
    const waitMs = isSlow ? SLOW_RETRY_MS * (0.5 + random()) : retryBackoffMs(++this.#failures, random, RETRY);
    this.#retry = clock.setTimeout(() => this.wake(), waitMs);
  }

  /** Registrations that were refused ask again. */
  #wakeLater(): void {
    const times = [...this.#registrations].filter((each) => each.isDirty).map((each) => each.notBefore);
    if (times.length === 0) return;
    const { clock } = this.#context;
    this.#retry?.cancel();
    this.#retry = clock.setTimeout(() => this.wake(), Math.max(1, Math.min(...times) - clock.fresh()));
  }

  #report(error: EtcdError): void {
    for (const report of new Set([...this.#registrations].map((each) => each.place.report))) this.#tell(report, error);
  }

  #tell(report: (error: Error) => void, error: EtcdError): void {
    const heard = this.#reported.get(report) ?? new Set();
    this.#reported.set(report, heard);
    if (heard.has(error.message) || heard.size >= MAX_TOLD) return;
    heard.add(error.message);
    report(error);
  }

  #takeSlot(service: string): number {
    const taken = this.#slots.get(service) ?? new Set();
    this.#slots.set(service, taken);
    let slot = 1;
    while (taken.has(slot)) slot++;
    taken.add(slot);
    return slot;
  }

  #freeSlot(service: string, slot: number): void {
    const taken = this.#slots.get(service);
    taken?.delete(slot);
    if (taken?.size === 0) this.#slots.delete(service);
  }
}
