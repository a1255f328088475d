import { retryBackoffMs } from "../../resilience/backoff.ts";
import type { Clock, Timer } from "../../rpc/clock.ts";
import type { Random } from "../../rpc/random.ts";
import { inNextTurn } from "../../rpc/turn.ts";
import { HttpError } from "../http/http-error.ts";
import type { Instance, Watcher, WatchHandler } from "../registry.ts";
import { LOST_RETRY, REFUSED_RETRY } from "../remote/retry.ts";
import { reused, ServiceFeed } from "../remote/service-feed.ts";
import type { TurnTaking } from "../remote/turn-taking.ts";
import type { HealthAnswer } from "./answers.ts";
import type { ConsulClient } from "./client.ts";
import { readEntry } from "./format.ts";
import type { CheckedConsulOptions } from "./options.ts";

/** Changes in a row are seen at this distance: each answer is the full set. Twice as long each time where an answer comes too soon. */
const MIN_INTERVAL_MS = 100;
const MAX_INTERVAL_MS = 10_000;
/** `refresh` asks at most this often. */
const MIN_REFRESH_MS = 1000;
/** Entries that are read before others get their turn: about 2 ms. */
const SLICE = 250;

/** What a watch needs of the registry that made it. */
export interface ConsulWatchContext {
  readonly client: ConsulClient;
  readonly options: CheckedConsulOptions;
  readonly clock: Clock;
  readonly random: Random;
  /** Connections for questions that are held. */
  readonly turns: TurnTaking;
  /** Services that are watched. */
  readonly watched: () => number;
  /** Nobody watches any more. */
  readonly onIdle: () => void;
}

/**
 * Watches one service for all of a process: asks, and is answered when something changes or the wait is over.
 *
 * The rules of the index are those of https://developer.hashicorp.com/consul/api-docs/features/blocking: it starts again from 0 when
 * it goes back, and a 0 is never waited on. And one more: what has gone back is believed only once a `consistent` read says the same.
 */
export class ConsulWatch {
  readonly #service: string;
  readonly #context: ConsulWatchContext;
  readonly #feed: ServiceFeed;
  /** What the next question is asked with. */
  #index = "0";
  /** Of the last answer that counted. */
  #seenIndex = "0";
  /** An answer was older than one before: what comes next counts only if a majority confirms it. */
  #mustConfirm = false;
  #failures = 0;
  #intervalMs = MIN_INTERVAL_MS;
  #timer: Timer | null = null;
  /** Ends the question that is asked now. */
  #asking: AbortController | null = null;
  #lastAskedAt = Number.NEGATIVE_INFINITY;
  #lastRefreshAt = Number.NEGATIVE_INFINITY;
  #isClosed = false;

  constructor(service: string, context: ConsulWatchContext) {
    this.#service = service;
    this.#context = context;
    this.#feed = new ServiceFeed(`consul registry: service ${JSON.stringify(service)}`);
    this.#askIn(0);
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

  /** Asks at once, without waiting for a change; a failure before is forgiven. */
  #refresh(): void {
    const now = this.#context.clock.fresh();
    if (this.#isClosed || now - this.#lastRefreshAt < MIN_REFRESH_MS) return;
    this.#lastRefreshAt = now;
    this.#index = "0";
    this.#asking?.abort();
    this.#askIn(0);
  }

  #close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#context.client.outage.forget(this.#askAgain);
    this.#asking?.abort();
    this.#context.onIdle();
  }

  /** A question that came before there was a leader is held by a server for seconds after there is one. */
  readonly #askAgain = (): void => {
    this.#failures = 0;
    this.#asking?.abort();
    this.#askIn(0);
  };

  #askIn(delayMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#context.clock.setTimeout(() => void this.#ask(), delayMs);
  }

  async #ask(): Promise<void> {
    const asking = new AbortController();
    this.#asking = asking;
    const turn = await this.#context.turns.take(asking.signal);
    if (turn === undefined) return;
    this.#lastAskedAt = this.#context.clock.fresh();
    const { turns, options, watched } = this.#context;
    const waitMs = turns.waitMs(options.waitMs, watched());
    const answer = await this.#answer(waitMs, asking.signal).catch((error: Error) => error);
    turn.end();
    // Another question has been put in its place.
    if (this.#isClosed || this.#asking !== asking || asking.signal.aborted) return;
    if (answer instanceof Error) this.#failed(answer);
    else await this.#found(answer, waitMs, asking);
  }

  async #answer(waitMs: number, signal: AbortSignal): Promise<HealthAnswer> {
    const { client, options } = this.#context;
    const consistency = this.#mustConfirm ? "consistent" : options.consistency;
    const answer = await client.health(this.#service, {
      index: this.#index,
      waitMs,
      consistency,
      signal,
    });
    // A stream of changes that is silent may come from a server that is cut off from the others.
    const isSilent = answer.isStreamed && answer.index === this.#seenIndex;
    return isSilent && !(await client.hasLeader(signal)) ? { ...answer, knowsLeader: false } : answer;
  }

  async #found(answer: HealthAnswer, waitMs: number, asking: AbortController): Promise<void> {
    const heldMs = this.#context.clock.fresh() - this.#lastAskedAt;
    this.#context.client.outage.forget(this.#askAgain);
    if (BigInt(answer.index) < BigInt(this.#seenIndex) && !this.#mustConfirm) {
      // A server that lags, a leader that was elected before it had read its own log, or a cluster that was restored: the index alone
      // does not say which.
      this.#mustConfirm = true;
      this.#index = "0";
      return this.#askIn(MIN_INTERVAL_MS);
    }
    const doubt = this.#doubt(answer);
    if (doubt !== undefined) {
      if (!answer.knowsLeader && !this.#feed.isKnown) await this.#tell(answer, asking, "stale");
      if (!asking.signal.aborted) this.#failed(doubt);
      return;
    }
    this.#mustConfirm = false;
    this.#failures = 0;
    const isTooSoon = heldMs < waitMs && BigInt(answer.index) <= BigInt(this.#index);
    this.#index = answer.index;
    this.#seenIndex = answer.index;
    await this.#tell(answer, asking, "live");
    if (asking.signal.aborted) return;
    const since = this.#context.clock.fresh() - this.#lastAskedAt;
    if (!isTooSoon) this.#intervalMs = MIN_INTERVAL_MS;
    this.#askIn(Math.max(0, this.#intervalMs - since));
    if (isTooSoon) this.#intervalMs = Math.min(MAX_INTERVAL_MS, 2 * this.#intervalMs);
  }

  /** Why an answer is not what the cluster knows. */
  #doubt({ knowsLeader, isFiltered, entries }: HealthAnswer): Error | undefined {
    const subject = `consul registry: service ${JSON.stringify(this.#service)}`;
    if (!knowsLeader) {
      return new Error(
        `${subject}: the server that answers knows no leader, so that what it says may be old; it is asked again`,
      );
    }
    if (isFiltered && entries.length === 0) {
      return new Error(
        `${subject}: the token may not see its instances; give it service:read and node:read, or set consul(…).token`,
      );
    }
    return undefined;
  }

  async #tell(answer: HealthAnswer, asking: AbortController, freshness: "live" | "stale"): Promise<void> {
    const instances = new Map<string, Instance>();
    const faults: string[] = [];
    for (const [at, entry] of answer.entries.entries()) {
      if (at % SLICE === SLICE - 1) await nextTurn();
      if (asking.signal.aborted) return;
      const read = readEntry(entry, this.#context.options.health);
      if (read === undefined) continue;
      if (read.fault !== undefined) faults.push(read.fault);
      // Two agents may hold one instance, after the one that it was registered at was away.
      else if (!instances.has(read.instance.id)) {
        instances.set(read.instance.id, reused(read.instance, this.#feed.known(read.instance.id)));
      }
    }
    if (answer.isFiltered) faults.push("some, which the token may not see: give it node:read, or set consul(…).token");
    if (answer.isAnonymous && answer.entries.length === 0) {
      faults.push(
        "perhaps all, since no token is set and this Consul shows nothing without a right: set consul(…).token",
      );
    }
    this.#feed.found([...instances.values()], faults, freshness);
  }

  #failed(error: Error): void {
    this.#index = "0";
    const isFinal = error instanceof HttpError && !error.isTransient;
    // Full jitter: what lost its registry together does not come back together.
    const delayMs = retryBackoffMs(this.#failures, this.#context.random, isFinal ? REFUSED_RETRY : LOST_RETRY);
    this.#failures++;
    this.#askIn(Math.max(MIN_INTERVAL_MS, delayMs));
    if (!isFinal) this.#context.client.outage.wait(this.#askAgain);
    this.#feed.failed(error);
  }
}

function nextTurn(): Promise<void> {
  return new Promise(inNextTurn);
}
