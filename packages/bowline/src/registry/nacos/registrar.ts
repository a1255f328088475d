import type { Clock } from "../../rpc/clock.ts";
import type { Random } from "../../rpc/random.ts";
import type { Instance } from "../registry.ts";
import type { RemoteEntry } from "../remote/kept-registration.ts";
import type { NacosLink } from "./client.ts";
import { keyOfEntry, type NacosInstance, placeOf, writeInstance } from "./format.ts";
import { NacosError } from "./nacos-error.ts";
import type { CheckedNacosOptions } from "./options.ts";
import type { NacosSession } from "./session.ts";

/** Whose instance it is: an entry of this process. */
interface Owner {
  /** The server had lost it; it has it again. */
  putBack(): void;
  /** It is on a new link. */
  moved(): void;
}

/** A change that has not been published yet. */
interface Change {
  /** Undefined: it is to go. */
  readonly instance: NacosInstance | undefined;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** How often a process looks whether the server still has what it said it took. */
const LOOK_MS = 30_000;

/**
 * The instances of one service that a process has registered. Nacos keeps one registration a connection and service, so that all of them
 * are always published together; what comes while that goes on follows in one more.
 */
export class NacosPublication {
  readonly #service: string;
  readonly #session: NacosSession;
  /** What is wanted. */
  readonly #entries = new Map<Owner, NacosInstance>();
  readonly #changes = new Map<Owner, Change[]>();
  readonly #cluster: string;
  readonly #onIdle: () => void;
  /** The link on which all entries are published. */
  #link: NacosLink | null = null;
  /** The link on which that was tried last. */
  #tried: NacosLink | null = null;
  #isRunning = false;
  #looking: Promise<ReadonlySet<string>> | null = null;
  readonly #observation: { end(): void };

  constructor(service: string, session: NacosSession, cluster: string, onIdle: () => void) {
    this.#service = service;
    this.#session = session;
    this.#cluster = cluster;
    this.#onIdle = onIdle;
    this.#observation = session.observe({
      up: () => this.#run(),
      down: () => {},
      pushed: () => {},
      putBack: (instance) => {
        for (const [owner, each] of this.#entries) if (each === instance) owner.putBack();
      },
      wants: (name, instance) =>
        name === service && [...this.#entries.values()].some((each) => placeOf(each) === placeOf(instance)),
    });
  }

  /** Makes this the instance of `owner`; undefined takes it out. Resolves when the server has it; rejects with NacosError. */
  set(owner: Owner, instance: NacosInstance | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const changes = this.#changes.get(owner) ?? [];
    changes.push({ instance, resolve, reject });
    this.#changes.set(owner, changes);
    void this.#run();
    return promise;
  }

  /** False: what was set last is not on the link that there is now. Rejects while there is none. */
  async isOn(): Promise<boolean> {
    const { current, failure } = this.#session;
    if (current === null && failure !== null) throw failure;
    return (await this.#session.link()) === this.#link;
  }

  /** What the server tells others of this service, by `keyOfEntry`; those who ask meanwhile get the same answer. */
  look(): Promise<ReadonlySet<string>> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  async #look(): Promise<ReadonlySet<string>> {
    const link = await this.#session.link();
    const { hosts } = await link.query(this.#service, [this.#cluster]);
    return new Set(hosts.map(keyOfEntry));
  }

  async #run(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    while (this.#changes.size > 0 || this.#isOutdated()) {
      const changes = new Map(this.#changes);
      this.#changes.clear();
      await this.#apply(changes);
    }
    this.#isRunning = false;
    if (this.#entries.size > 0) return;
    this.#observation.end();
    this.#onIdle();
  }

  /** True when there is a link on which nothing has been tried. Where that fails, whoever looks after an entry finds it missing. */
  #isOutdated(): boolean {
    const { current } = this.#session;
    return this.#entries.size > 0 && current !== null && current !== this.#tried;
  }

  async #apply(changes: ReadonlyMap<Owner, readonly Change[]>): Promise<void> {
    const before = new Map(this.#entries);
    for (const [owner, list] of changes) this.#put(owner, list[list.length - 1].instance);
    const all = [...changes.values()].flat();
    try {
      await this.#publish();
      for (const { resolve } of all) resolve();
    } catch (error) {
      const isFinal = error instanceof NacosError && error.isPermanent;
      // What is wanted stays wanted: it goes with the next change, or on the next link.
      if (!isFinal || changes.size === 0) return this.#giveUp(all, error as Error);
      for (const owner of changes.keys()) this.#put(owner, before.get(owner));
      if (changes.size === 1) return this.#giveUp(all, error as Error);
      // One of them is to blame: the others must not suffer from it.
      for (const [owner, list] of changes) await this.#apply(new Map([[owner, list]]));
    }
  }

  #giveUp(changes: readonly Change[], error: Error): void {
    for (const { instance, reject, resolve } of changes) {
      // Without a link a server has nothing of this process either, or will soon have missed it.
      if (instance === undefined && this.#session.current === null) resolve();
      else reject(error);
    }
  }

  async #publish(): Promise<void> {
    const link = await this.#session.link();
    const isNew = link !== this.#tried;
    this.#tried = link;
    this.#link = null;
    await link.publish(this.#service, [...this.#entries.values()]);
    this.#link = link;
    if (isNew) for (const owner of this.#entries.keys()) owner.moved();
  }

  #put(owner: Owner, instance: NacosInstance | undefined): void {
    if (instance === undefined) this.#entries.delete(owner);
    else this.#entries.set(owner, instance);
  }
}

/** What an entry needs of the registry that made it. */
export interface NacosEntryContext {
  readonly options: CheckedNacosOptions;
  readonly clock: Clock;
  readonly random: Random;
  /** The publication of its service; another one after the last was idle. */
  readonly publication: () => NacosPublication;
}

/** The entry of one instance. */
export class NacosEntry implements RemoteEntry {
  onBack: () => void = () => {};
  readonly #context: NacosEntryContext;
  #written: NacosInstance | undefined;
  #lookedAt = 0;
  #losses = 0;

  constructor(context: NacosEntryContext) {
    this.#context = context;
  }

  get losses(): number {
    return this.#losses;
  }

  putBack(): void {
    this.#losses++;
  }

  moved(): void {
    this.#look();
    this.onBack();
  }

  async put(instance: Instance): Promise<void> {
    const written = writeInstance(instance, this.#context.options);
    await this.#context.publication().set(this, written);
    this.#written = written;
    this.#look();
  }

  /** Looks each 30 s whether others are really told of it; in between the link alone says whether it is there. */
  async renew(): Promise<boolean> {
    const { clock, publication } = this.#context;
    if (!(await publication().isOn())) return false;
    if (clock.fresh() - this.#lookedAt < LOOK_MS) return true;
    const seen = await publication().look();
    this.#look();
    return seen.has(keyOfEntry(this.#written));
  }

  async remove(): Promise<void> {
    this.#written = undefined;
    await this.#context.publication().set(this, undefined);
  }

  /** Those who were registered together need not look together. */
  #look(): void {
    const { clock, random } = this.#context;
    this.#lookedAt = clock.fresh() - (random() * LOOK_MS) / 2;
  }
}
