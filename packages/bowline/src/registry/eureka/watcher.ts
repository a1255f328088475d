import { retryBackoffMs } from "../../resilience/backoff.ts";
import type { Clock, Timer } from "../../rpc/clock.ts";
import type { Random } from "../../rpc/random.ts";
import { inNextTurn } from "../../rpc/turn.ts";
import { HttpError } from "../http/http-error.ts";
import type { Instance, Watcher, WatchHandler } from "../registry.ts";
import { LOST_RETRY, REFUSED_RETRY } from "../remote/retry.ts";
import { reused, ServiceFeed } from "../remote/service-feed.ts";
import type { Applications, EurekaClient } from "./client.ts";
import { appName, type EurekaEntry, hashCodeOf, readInstance } from "./format.ts";
import type { CheckedEurekaOptions } from "./options.ts";

/** `refresh` asks at most this often. */
const MIN_REFRESH_MS = 1000;
/** Many that started together shall not ask together. */
const REFRESH_JITTER = 0.2;
/** A server forgets changes after three minutes: whoever was away for longer than this has missed some. */
const MAX_GAP_MS = 120_000;
/** Where no deltas are, they are asked for again after this: it may have been a proxy that said so, while the server started. */
const NO_CHANGES_MS = 300_000;
/** After so many refreshes some applications are read by themselves: a server's cache may hold an old delta for three minutes. */
const REFRESHES_A_CHECK = 6;
/** Of all that are watched, in turn. */
const APPS_A_CHECK = 8;
/** Entries that are read before others get their turn: about 2 ms. */
const SLICE = 250;

/** What a directory needs of the registry that made it. */
export interface EurekaDirectoryContext {
  readonly client: EurekaClient;
  readonly options: CheckedEurekaOptions;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * What a process knows of all applications, as Eureka's own clients do it: read whole once, then changes, which count only as long as
 * `apps__hashcode` of the server fits what came out of them. Asks only while somebody watches.
 */
export class EurekaDirectory {
  readonly #context: EurekaDirectoryContext;
  /** By service, those that are watched. */
  readonly #feeds = new Map<string, ServiceFeed>();
  /** By application and id. */
  #apps = new Map<string, Map<string, EurekaEntry>>();
  /** False: read whole next time. */
  #isCurrent = false;
  /** Before this time no delta is asked for: the server gives none. */
  #changesFrom = Number.NEGATIVE_INFINITY;
  #failures = 0;
  #failure: Error | undefined;
  #lastReadAt = Number.NEGATIVE_INFINITY;
  #refreshes = 0;
  /** Services in the order in which they are checked. */
  #unchecked: string[] = [];
  #lastRefreshAt = Number.NEGATIVE_INFINITY;
  #timer: Timer | null = null;
  #asking: AbortController | null = null;

  constructor(context: EurekaDirectoryContext) {
    this.#context = context;
  }

  /** Begins to watch a service. */
  watch(service: string, handler: WatchHandler): Watcher {
    let feed = this.#feeds.get(service);
    if (feed === undefined) {
      feed = new ServiceFeed(`eureka registry: service ${JSON.stringify(service)}`);
      this.#feeds.set(service, feed);
      if (this.#isCurrent) this.#tell(service, feed);
      else if (this.#failure !== undefined) feed.failed(this.#failure);
    }
    const [own, listener] = [feed, feed.add(handler)];
    if (this.#timer === null && this.#asking === null) this.#askIn(0);
    return {
      get skipped() {
        return own.skipped;
      },
      refresh: () => this.#refresh(),
      close: () => {
        listener.close();
        if (!own.isWatched && this.#feeds.get(service) === own) this.#forget(service);
      },
    };
  }

  #forget(service: string): void {
    this.#feeds.delete(service);
    if (this.#feeds.size > 0) return;
    this.#timer?.cancel();
    this.#timer = null;
    this.#asking?.abort();
    this.#asking = null;
    this.#isCurrent = false;
    this.#failure = undefined;
    this.#failures = 0;
    this.#apps = new Map();
  }

  #refresh(): void {
    const now = this.#context.clock.fresh();
    if (this.#feeds.size === 0 || this.#asking !== null || now - this.#lastRefreshAt < MIN_REFRESH_MS) return;
    this.#lastRefreshAt = now;
    this.#askIn(0);
  }

  #askIn(delayMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#context.clock.setTimeout(() => void this.#ask(), delayMs);
  }

  async #ask(): Promise<void> {
    const asking = new AbortController();
    this.#asking = asking;
    this.#timer = null;
    const failure = await this.#read(asking.signal).catch((error: Error) => error);
    if (asking.signal.aborted) return;
    this.#asking = null;
    if (failure instanceof Error) this.#failed(failure);
    else {
      this.#failures = 0;
      this.#askIn(this.#context.options.refreshSeconds * 1000 * (1 - REFRESH_JITTER * this.#context.random()));
    }
  }

  async #read(signal: AbortSignal): Promise<void> {
    const now = this.#context.clock.fresh();
    const isGap = now - this.#lastReadAt > MAX_GAP_MS;
    if (this.#isCurrent && !isGap && now >= this.#changesFrom) {
      const changes = await this.#context.client.changes(signal);
      if (changes === undefined) this.#changesFrom = now + NO_CHANGES_MS;
      else if ((await this.#apply(changes, signal)) && !(await this.#hasMissed(signal))) return;
    }
    if (!signal.aborted) await this.#readAll(signal);
  }

  async #readAll(signal: AbortSignal): Promise<void> {
    const { apps } = await this.#context.client.all(signal);
    const read = new Map<string, Map<string, EurekaEntry>>();
    const slices = new Slices();
    for (const { name, instances } of apps) {
      const app = read.get(name) ?? new Map<string, EurekaEntry>();
      read.set(name, app);
      for (const each of instances) {
        if (slices.isOver()) await nextTurn();
        const entry = this.#entry(each, name);
        app.set(entry.id, entry);
      }
    }
    if (signal.aborted) return;
    this.#apps = read;
    this.#isCurrent = true;
    this.#wasRead();
    for (const [service, feed] of [...this.#feeds]) this.#tell(service, feed);
  }

  /** True if what came out of it is what the server has. */
  async #apply({ hash, apps }: Applications, signal: AbortSignal): Promise<boolean> {
    // A delta repeats all that happened in some minutes: only the last of an instance says how it is now.
    const last = new Map<string, Map<string, EurekaEntry>>();
    const slices = new Slices();
    for (const { name, instances } of apps) {
      const app = last.get(name) ?? new Map<string, EurekaEntry>();
      last.set(name, app);
      for (const each of instances) {
        if (slices.isOver()) await nextTurn();
        const entry = this.#entry(each, name);
        app.set(entry.id, entry);
      }
    }
    if (signal.aborted) return true;
    const changed = new Set([...last].filter(([name, entries]) => this.#change(name, entries)).map(([name]) => name));
    this.#isCurrent = hash === hashCodeOf(this.#counts());
    if (!this.#isCurrent) return false;
    this.#wasRead();
    for (const [service, feed] of [...this.#feeds]) if (changed.has(appName(service))) this.#tell(service, feed);
    return true;
  }

  /**
   * Whether an application has changed without a delta that says so. Eureka's cache of answers may take an answer in that was made just
   * before a change, and keeps it until the next change or for three minutes; `apps__hashcode` is as old then and fits.
   */
  async #hasMissed(signal: AbortSignal): Promise<boolean> {
    if (++this.#refreshes % REFRESHES_A_CHECK !== 0) return false;
    if (this.#unchecked.length === 0) this.#unchecked = [...this.#feeds.keys()];
    for (const service of this.#unchecked.splice(0, APPS_A_CHECK)) {
      const name = appName(service);
      const now = (await this.#context.client.one(name, signal)).map((each) => this.#entry(each, name));
      const known = this.#apps.get(name);
      if (signal.aborted) return false;
      if (now.length !== (known?.size ?? 0)) return true;
      if (
        now.some(
          ({ id, status, instance }) => known?.get(id)?.status !== status || known.get(id)?.instance !== instance,
        )
      ) {
        return true;
      }
    }
    return false;
  }

  #wasRead(): void {
    this.#failure = undefined;
    this.#lastReadAt = this.#context.clock.fresh();
  }

  /** True if it changed something. */
  #change(name: string, entries: ReadonlyMap<string, EurekaEntry>): boolean {
    const app = this.#apps.get(name) ?? new Map<string, EurekaEntry>();
    this.#apps.set(name, app);
    let hasChanged = false;
    for (const [id, entry] of entries) {
      const known = app.get(id);
      if (entry.action === "DELETED") hasChanged = app.delete(id) || hasChanged;
      else {
        app.set(id, entry);
        hasChanged ||=
          known?.instance !== entry.instance || known?.status !== entry.status || known.fault !== entry.fault;
      }
    }
    return hasChanged;
  }

  #entry(value: unknown, name: string): EurekaEntry {
    const entry = readInstance(value, this.#context.options);
    const known = this.#apps.get(name)?.get(entry.id)?.instance;
    return entry.instance === undefined ? entry : { ...entry, instance: reused(entry.instance, known) };
  }

  #counts(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const app of this.#apps.values()) {
      for (const { status } of app.values()) counts.set(status, (counts.get(status) ?? 0) + 1);
    }
    return counts;
  }

  #tell(service: string, feed: ServiceFeed): void {
    const instances = new Map<string, Instance>();
    const faults: string[] = [];
    for (const entry of this.#apps.get(appName(service))?.values() ?? []) {
      // Eureka has one application for `user` and `User`.
      if (entry.service !== "" && entry.service !== service) continue;
      if (entry.fault !== "") faults.push(entry.fault);
      if (entry.instance !== undefined) instances.set(entry.instance.id, entry.instance);
    }
    feed.found([...instances.values()], faults);
  }

  #failed(error: Error): void {
    this.#isCurrent = false;
    this.#failure = error;
    const isFinal = error instanceof HttpError && !error.isTransient;
    // Full jitter: what lost its registry together does not come back together.
    const delayMs = retryBackoffMs(this.#failures, this.#context.random, isFinal ? REFUSED_RETRY : LOST_RETRY);
    this.#failures++;
    this.#askIn(Math.max(100, delayMs));
    for (const feed of [...this.#feeds.values()]) feed.failed(error);
  }
}

/** Counts, and says when others should have their turn. */
class Slices {
  #count = 0;

  isOver(): boolean {
    return ++this.#count % SLICE === 0;
  }
}

function nextTurn(): Promise<void> {
  return new Promise(inNextTurn);
}
