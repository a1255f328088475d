import type { KeyValue } from "../../gen/etcd/etcdserverpb_pb.ts";
import { checkChange } from "../instance/instance.ts";
import type { Instance, Registration } from "../registry.ts";
import type { EtcdOperation } from "./client.ts";
import type { EtcdError } from "./etcd-error.ts";
import { keySuffix, type ServiceKeys, writeDetails, writeValue } from "./format.ts";
import type { CheckedEtcdOptions } from "./options.ts";
import { type RangeHandler, RangeWatch } from "./watch/range-watch.ts";
import type { WatchHub } from "./watch/watch-hub.ts";

/** What a registration needs of the registrar. */
export interface RegistrationHost {
  readonly hub: WatchHub;
  /** The lease was not renewed in time. */
  readonly isInDoubt: boolean;
  /** A registration is not as it should be. */
  wake(): void;
  /** Takes its keys out. */
  remove(registration: EtcdRegistration): Promise<void>;
}

/** Where a registration stands. */
export interface RegistrationPlace {
  readonly keys: ServiceKeys;
  /** Tells the registrations of one service on one lease apart; from 1. */
  readonly slot: number;
  /** Hears of trouble that no caller waits for. */
  readonly report: (error: Error) => void;
  /** It is closed, and its keys were taken out if that was possible. */
  readonly onClose: () => void;
}

/** One put of a registration. */
interface Put {
  readonly lease: bigint;
  readonly texts: readonly string[];
  revision: bigint;
}

/**
 * One instance in etcd: what should stand there, what does, and a watch of its own keys that tells when they differ.
 *
 * `pending` — not put yet, lost, or the lease is in doubt. `registered`. `closed` — for good.
 */
export class EtcdRegistration implements Registration, RangeHandler {
  readonly service: string;
  readonly place: RegistrationPlace;
  /** Monotonic ms before which it is not put: etcd has refused it. */
  notBefore: number = Number.NEGATIVE_INFINITY;
  readonly #options: CheckedEtcdOptions;
  readonly #host: RegistrationHost;
  #instance: Instance;
  #isDirty = true;
  #losses = 0;
  /** The last put that was sent; null if nothing of it can be there. */
  #put: Put | null = null;
  #watch: RangeWatch | null = null;
  #watchedLease: bigint | null = null;
  /** Ranges that a full read has found as they should be. */
  #found = 0;
  #closing: Promise<void> | null = null;
  #waiting: ((error: EtcdError | null) => void)[] = [];

  constructor(
    service: string,
    instance: Instance,
    place: RegistrationPlace,
    options: CheckedEtcdOptions,
    host: RegistrationHost,
  ) {
    this.service = service;
    this.place = place;
    this.#instance = instance;
    this.#options = options;
    this.#host = host;
  }

  get id(): string {
    return this.#instance.id;
  }

  get state(): "pending" | "registered" | "closed" {
    if (this.#closing !== null) return "closed";
    const isThere = !this.#isDirty && this.#put !== null && this.#put.revision > 0n;
    return isThere && !this.#host.isInDoubt ? "registered" : "pending";
  }

  get losses(): number {
    return this.#losses;
  }

  /** It is to be put. */
  get isDirty(): boolean {
    return this.#isDirty;
  }

  /** The lease that its keys may hang on, or null if there can be none. */
  get lease(): bigint | null {
    return this.#put?.lease ?? null;
  }

  /** Resolves when the next attempt has ended, with null or why it failed. */
  attempted(): Promise<EtcdError | null> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async update(change: Partial<Pick<Instance, "weight" | "state" | "tags">>): Promise<void> {
    if (this.#closing !== null) {
      throw new Error(`etcd registry: ${this.id} is closed and can't be updated; register it again`);
    }
    const { weight, state, tags } = this.#instance;
    const next = { weight: change.weight ?? weight, state: change.state ?? state, tags: change.tags ?? tags };
    checkChange(next);
    this.#instance = { ...this.#instance, ...next };
    const ended = this.attempted();
    // What etcd refused before may be what was changed.
    this.notBefore = Number.NEGATIVE_INFINITY;
    this.#becomeDirty();
    const error = await ended;
    if (error !== null) throw error;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#stopWatching();
    this.settle(null);
    await this.#host.remove(this).finally(this.place.onClose);
  }

  // --- called by the registrar ---

  /** Its keys on a lease. */
  keys(lease: bigint): string[] {
    const { keys, slot } = this.place;
    const suffix = keySuffix(lease, slot);
    return this.#options.metadata ? [keys.values + suffix, keys.details + suffix] : [keys.values + suffix];
  }

  /** What makes true what is wanted now. */
  beginPut(lease: bigint): EtcdOperation[] {
    const texts = [writeValue(this.#instance, this.#options.register), writeDetails(this.#instance)];
    this.#put = { lease, texts, revision: this.#put?.lease === lease ? this.#put.revision : 0n };
    this.#isDirty = false;
    return this.keys(lease).map((key, index) => ({
      request: { case: "requestPut", value: { key: Buffer.from(key), value: Buffer.from(texts[index]), lease } },
    }));
  }

  putDone(lease: bigint, revision: bigint): void {
    if (this.#put?.lease === lease) this.#put.revision = revision;
    if (this.#closing !== null) return;
    if (this.#watchedLease !== lease) this.#startWatching(lease, revision);
    if (!this.#isDirty) this.settle(null);
  }

  /** `mayBeThere` is false when it is certain that etcd has not taken it. */
  putFailed(mayBeThere: boolean): void {
    this.#isDirty = true;
    // Nothing of it can be there, so nothing is to be taken out.
    if (!mayBeThere && this.#put?.revision === 0n) this.#put = null;
  }

  /** The lease is gone, and the keys with it. */
  lost(): void {
    this.#countLoss();
    this.#put = null;
    this.#isDirty = true;
    this.#stopWatching();
  }

  /** Tells those who wait for an attempt how it ended. */
  settle(error: EtcdError | null): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const tell of waiting) tell(error);
  }

  // --- RangeHandler: its own keys ---

  listing(): void {
    this.#found = 0;
  }

  entry(range: number, entry: KeyValue): void {
    if (this.#isAsWanted(range, entry)) this.#found++;
  }

  listed(): void {
    if (this.#found < (this.#options.metadata ? 2 : 1)) this.#missed();
  }

  put(range: number, entry: KeyValue): void {
    // What stood there before the last put is of no interest, and neither is that put itself.
    if (this.#isNews(entry) && !this.#isAsWanted(range, entry)) this.#missed();
  }

  removed(_range: number, entry: KeyValue): void {
    if (this.#isNews(entry)) this.#missed();
  }

  changed(): void {
    // Each change was judged by itself.
  }

  failed(error: EtcdError): void {
    // Members out of reach show in the renewals; rights show here only.
    if (error.fault === "permission") this.place.report(error);
  }

  // --- in detail ---

  #isNews(entry: KeyValue): boolean {
    return this.#put !== null && entry.modRevision > this.#put.revision;
  }

  #isAsWanted(range: number, entry: KeyValue): boolean {
    const put = this.#put;
    return put !== null && entry.lease === put.lease && Buffer.from(entry.value).equals(Buffer.from(put.texts[range]));
  }

  #missed(): void {
    this.#countLoss();
    this.#becomeDirty();
  }

  /** Both keys may go, and the lease with them: that is one loss. */
  #countLoss(): void {
    if (!this.#isDirty && this.#closing === null) this.#losses++;
  }

  #becomeDirty(): void {
    if (this.#closing !== null) return;
    this.#isDirty = true;
    this.#host.wake();
  }

  #startWatching(lease: bigint, revision: bigint): void {
    this.#stopWatching();
    const ranges = this.keys(lease).map((key) => ({ key: Buffer.from(key), end: null, label: key }));
    this.#watchedLease = lease;
    this.#watch = new RangeWatch(this.#host.hub, ranges, this);
    this.#watch.startAt(revision);
  }

  #stopWatching(): void {
    this.#watch?.close();
    this.#watch = null;
    this.#watchedLease = null;
  }
}
