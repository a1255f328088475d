import { retryBackoffMs } from "../../resilience/backoff.ts";
import type { Clock, Timer } from "../../rpc/clock.ts";
import type { Random } from "../../rpc/random.ts";
import { inNextTurn } from "../../rpc/turn.ts";
import type { Instance, Watcher, WatchHandler } from "../registry.ts";
import { LOST_RETRY, REFUSED_RETRY } from "../remote/retry.ts";
import { reused, ServiceFeed } from "../remote/service-feed.ts";
import type { NacosLink } from "./client.ts";
import { readInstance, type ServiceInfo } from "./format.ts";
import { NacosError } from "./nacos-error.ts";
import type { NacosSession } from "./session.ts";

/** A full read comes at latest after this, and at earliest after half of it: a push may be lost. */
const RESYNC_MS = 60_000;
/** `refresh` asks at most this often. */
const MIN_REFRESH_MS = 1000;
/** What is older by more than this was not overtaken: the server's clock was set back. */
const MAX_REORDER_MS = 10_000;
/** Entries that are read before others get their turn: about 2 ms. */
const SLICE = 250;

/** What a watch needs of the registry that made it. */
export interface NacosWatchContext {
  readonly session: NacosSession;
  readonly clock: Clock;
  readonly random: Random;
  /** Nobody watches any more. */
  readonly onIdle: () => void;
}

/** Watches one service for all of a process: each link is subscribed to it once, and reads it again from time to time. */
export class NacosWatch {
  readonly #service: string;
  readonly #context: NacosWatchContext;
  readonly #feed: ServiceFeed;
  readonly #observation: { end(): void };
  /** The link that the service is subscribed on. */
  #link: NacosLink | null = null;
  /** The server's time of what was told last; servers do not share a clock, so that it counts for one link only. */
  #time = 0;
  /** Number of the newest answer or push: an older one that is still being read is not told. */
  #newest = 0;
  #failures = 0;
  #timer: Timer | null = null;
  #lastRefreshAt = Number.NEGATIVE_INFINITY;
  #isClosed = false;

  constructor(service: string, context: NacosWatchContext) {
    this.#service = service;
    this.#context = context;
    this.#feed = new ServiceFeed(`nacos registry: service ${JSON.stringify(service)}`);
    const { session } = context;
    this.#observation = session.observe({
      up: (link) => this.#up(link),
      down: (error) => this.#down(error),
      pushed: (name, info) => {
        if (name === service) void this.#tell(info);
      },
    });
    const { current, failure } = session;
    if (current !== null) void this.#up(current);
    else if (failure !== null) this.#down(failure);
  }

  /** One more who watches. */
  add(handler: WatchHandler): Watcher {
    const listener = this.#feed.add(handler);
    const feed = this.#feed;
    return {
      get skipped() {
        return feed.skipped;
      },
      refresh: () => this.#refresh(),
      close: () => {
        listener.close();
        if (!this.#feed.isWatched && !this.#isClosed) this.#close();
      },
    };
  }

  #refresh(): void {
    const now = this.#context.clock.fresh();
    if (this.#isClosed || now - this.#lastRefreshAt < MIN_REFRESH_MS) return;
    this.#lastRefreshAt = now;
    const { current } = this.#context.session;
    if (current !== null) void this.#read(current, current === this.#link);
  }

  #close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#observation.end();
    this.#context.onIdle();
    const { current } = this.#context.session;
    if (current === null || current !== this.#link) return;
    // Whoever watches again in the meantime subscribes behind it.
    current.unsubscribe(this.#service).catch(() => {
      // The link is broken, and with it what it was subscribed to.
    });
  }

  #up(link: NacosLink): Promise<void> {
    this.#link = null;
    this.#time = 0;
    this.#failures = 0;
    return this.#read(link);
  }

  #down(error: NacosError): void {
    this.#timer?.cancel();
    this.#newest++;
    this.#feed.failed(error);
  }

  /** A full read. One that subscribes mends what a server has lost of that too. */
  async #read(link: NacosLink | null = this.#context.session.current, isSubscribed: boolean = false): Promise<void> {
    this.#timer?.cancel();
    if (this.#isClosed || link === null) return;
    try {
      const info = await (isSubscribed ? link.query(this.#service) : link.subscribe(this.#service));
      if (this.#isClosed || this.#context.session.current !== link) return;
      this.#link = link;
      this.#failures = 0;
      this.#readIn(RESYNC_MS * (0.5 + this.#context.random() / 2));
      await this.#tell(info);
    } catch (error) {
      if (this.#isClosed || this.#context.session.current !== link) return;
      this.#failed(error as Error);
    }
  }

  #readIn(delayMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#context.clock.setTimeout(() => void this.#read(), delayMs);
  }

  #failed(error: Error): void {
    const isFinal = error instanceof NacosError && error.isPermanent;
    // Full jitter: what failed together does not ask again together.
    this.#readIn(retryBackoffMs(this.#failures++, this.#context.random, isFinal ? REFUSED_RETRY : LOST_RETRY));
    this.#feed.failed(error);
  }

  async #tell({ hosts, time }: ServiceInfo): Promise<void> {
    const isOld = time < this.#time && this.#time - time < MAX_REORDER_MS;
    if (this.#isClosed || isOld) return;
    this.#time = time;
    const number = ++this.#newest;
    const instances = new Map<string, Instance>();
    const faults: string[] = [];
    for (const [at, entry] of hosts.entries()) {
      if (at % SLICE === SLICE - 1) await nextTurn();
      if (this.#isClosed || number !== this.#newest) return;
      const read = readInstance(entry);
      if (read.fault !== undefined) faults.push(read.fault);
      // For a moment two servers may hold one instance, after it went from one to the other.
      else if (!instances.has(read.instance.id)) {
        instances.set(read.instance.id, reused(read.instance, this.#feed.known(read.instance.id)));
      }
    }
    this.#feed.found([...instances.values()], faults);
  }
}

function nextTurn(): Promise<void> {
  return new Promise(inNextTurn);
}
