import { retryBackoffMs } from "../../resilience/backoff.ts";
import type { Timer } from "../../rpc/clock.ts";
import { callApart } from "../../rpc/turn.ts";
import { HttpError } from "../http/http-error.ts";
import type { HttpStream } from "../http/http-request.ts";
import { readLines } from "../http/lines.ts";
import type { Watcher, WatchHandler } from "../registry.ts";
import type { RegistryContext } from "../registry-config.ts";
import { type ClusterClient, isGone } from "./client.ts";
import { readSlice } from "./endpoint-slice.ts";
import { OWNER } from "./options.ts";
import type { ServiceName } from "./service-name.ts";
import { SliceSet } from "./slice-set.ts";

/** A slice holds 1,000 endpoints at most. */
const MAX_LINE_BYTES = 4_194_304;
/** `refresh` reads everything anew at most this often: the watch tells what changes by itself. */
const MIN_REFRESH_MS = 10_000;
const RETRY = { baseMs: 1_000, maxMs: 30_000 };
/** A watch works once it has told something or has lasted for this long. */
const SHORT_WATCH_MS = 1_000;
/** After so many failures in a row everything is read anew each time: a version that a server never reaches mends itself by nothing else. */
const FAILURES_TO_LIST = 3;

/**
 * One service: list, watch from there, list again when the watch has lost its place ("Efficient detection of changes").
 *
 * It is live from the first list on, and stale from a failure until there is news or a watch works: a server that takes watches and ends
 * them at once does not make it live, nor the wait before the next try short. A handler that throws does not end it: its error is thrown
 * where the process sees it as uncaught.
 */
export class SliceWatcher implements Watcher {
  readonly #service: string;
  readonly #read: (ownNamespace: string) => ServiceName;
  readonly #client: ClusterClient;
  readonly #context: RegistryContext;
  readonly #handler: WatchHandler;
  readonly #onClose: () => void;
  #slices: SliceSet = new SliceSet(undefined);
  /** Empty: everything must be read anew. */
  #resourceVersion = "";
  #freshness: "live" | "stale" | "none" = "none";
  #revision = 0;
  /** The instances are others than those that were told. */
  #isChanged = false;
  /** In a row, without a watch that works. */
  #failures = 0;
  /** Its place was forgotten, and no watch has worked since. */
  #wasGone = false;
  #lastFailure = "";
  readonly #toldFaults: Set<string> = new Set();
  #stream: HttpStream | null = null;
  #sleep: { readonly timer: Timer; readonly wake: () => void } | null = null;
  #listedAt = Number.NEGATIVE_INFINITY;
  #isClosed = false;

  /** `read` makes of the namespace of this process the service to watch. */
  constructor(
    service: string,
    read: (ownNamespace: string) => ServiceName,
    client: ClusterClient,
    context: RegistryContext,
    handler: WatchHandler,
    onClose: () => void,
  ) {
    this.#service = service;
    this.#read = read;
    this.#client = client;
    this.#context = context;
    this.#handler = handler;
    this.#onClose = onClose;
    void this.#run();
  }

  /** Endpoints, and slices without the port that is wanted. */
  get skipped(): number {
    return this.#slices.faults.length;
  }

  refresh(): void {
    if (this.#isClosed || this.#context.clock.fresh() - this.#listedAt < MIN_REFRESH_MS) return;
    this.#listedAt = this.#context.clock.fresh();
    this.#resourceVersion = "";
    this.#stream?.close();
    this.#sleep?.wake();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#stream?.close();
    this.#sleep?.wake();
    this.#onClose();
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      try {
        const name = this.#read(await this.#client.ownNamespace().catch(noCluster));
        if (this.#resourceVersion === "") await this.#list(name);
        if (!this.#isClosed) await this.#watch(name);
      } catch (error) {
        if (this.#isClosed) return;
        await this.#recover(error);
      }
    }
  }

  async #list(name: ServiceName): Promise<void> {
    const { slices, resourceVersion, strangers } = await this.#client.list(name);
    if (this.#isClosed) return;
    this.#listedAt = this.#context.clock.fresh();
    if (this.#revision === 0) this.#slices = new SliceSet(name.port);
    this.#resourceVersion = resourceVersion;
    this.#isChanged = this.#slices.replace(slices) || this.#isChanged;
    this.#tell(this.#isChanged || this.#freshness !== "stale" ? "live" : "stale");
    if (strangers > 0) this.#complain(`${strangers} items of the list are no EndpointSlices; they are skipped`);
  }

  async #watch(name: ServiceName): Promise<void> {
    const begun = this.#context.clock.fresh();
    const stream = await this.#client.watch(name, this.#resourceVersion);
    if (this.#isClosed) return stream.close();
    this.#stream = stream;
    const works = this.#context.clock.setTimeout(() => this.#works(), SHORT_WATCH_MS);
    let isSilent = true;
    try {
      for await (const lines of readLines(stream.chunks, MAX_LINE_BYTES)) {
        if (this.#isClosed || this.#resourceVersion === "") return;
        for (const line of lines) this.#take(line);
        // What came together is told together.
        this.#works();
        isSilent = false;
      }
    } catch (error) {
      // `refresh` has ended it on purpose.
      if (this.#resourceVersion !== "") throw error;
    } finally {
      works.cancel();
      this.#stream = null;
      stream.close();
    }
    if (this.#resourceVersion === "" || this.#context.clock.fresh() - begun >= SHORT_WATCH_MS) return;
    if (isSilent) throw new Error(`${OWNER}: ${this.#service}: the watch was ended as soon as it had begun`);
    await this.#wait(RETRY.baseMs);
  }

  #take(line: string): void {
    const { type, object } = JSON.parse(line) as { type?: string; object?: EventObject };
    if (type === "ERROR") throw new WatchEnded(object?.code ?? 0, object?.message ?? "no reason given");
    const version = object?.metadata?.resourceVersion;
    if (typeof version === "string" && version !== "") this.#resourceVersion = version;
    if (type === "BOOKMARK") return;
    const slice = readSlice(object);
    if (slice === undefined) {
      this.#complain(`an event of the type ${JSON.stringify(type)} without an EndpointSlice is skipped`);
      return;
    }
    const isChanged = type === "DELETED" ? this.#slices.delete(slice.name) : this.#slices.put(slice);
    this.#isChanged ||= isChanged;
  }

  /** The watch goes on where the last one ended: nothing was missed. */
  #works(): void {
    this.#failures = 0;
    this.#wasGone = false;
    this.#lastFailure = "";
    this.#tell("live");
  }

  /** Goes on where it was, or from the start when its place is lost; not together with all others whom the same thing befell. */
  async #recover(error: unknown): Promise<void> {
    // What came before the error counts.
    if (this.#isChanged) this.#tell("live");
    if (isGone(error)) {
      this.#resourceVersion = "";
      // A list mends that; where it does not, the server is out of order.
      if (!this.#wasGone) {
        this.#wasGone = true;
        return this.#wait(this.#context.random() * RETRY.baseMs);
      }
    }
    this.#failures++;
    // A server that is back after an outage can do without the lists of all its clients.
    const isAway = error instanceof HttpError && error.kind === "unreachable";
    if (this.#failures >= FAILURES_TO_LIST && !isAway) this.#resourceVersion = "";
    const isFinal = error instanceof NoClusterError;
    const told = isFinal ? error.cause : error instanceof Error ? error : new Error(String(error));
    if (this.#freshness === "live") this.#tell("stale");
    if (told.message !== this.#lastFailure) this.#call(() => this.#handler.failed(told, isFinal));
    this.#lastFailure = told.message;
    await this.#wait(retryBackoffMs(this.#failures - 1, this.#context.random, RETRY));
  }

  /** Tells the set if it, or its freshness, is news. */
  #tell(freshness: "live" | "stale"): void {
    const isNew = this.#isChanged || this.#revision === 0;
    if (isNew) this.#revision++;
    if (isNew || freshness !== this.#freshness) {
      this.#isChanged = false;
      this.#freshness = freshness;
      const snapshot = { instances: this.#slices.instances, revision: this.#revision, freshness };
      this.#call(() => this.#handler.snapshot(snapshot));
    }
    for (const fault of this.#slices.faults) this.#complain(fault);
  }

  /** Once for each text: a slice with a fault comes again and again. */
  #complain(fault: string): void {
    if (this.#isClosed || this.#toldFaults.has(fault) || this.#toldFaults.size >= MAX_TOLD_FAULTS) return;
    this.#toldFaults.add(fault);
    const error = new Error(`${OWNER}: ${this.#service}: ${fault}`);
    this.#call(() => this.#handler.failed(error));
  }

  #call(tell: () => void): void {
    if (!this.#isClosed) callApart(tell);
  }

  #wait(delayMs: number): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        timer.cancel();
        this.#sleep = null;
        resolve();
      };
      const timer = this.#context.clock.setTimeout(wake, delayMs);
      this.#sleep = { timer, wake };
    });
  }
}

/** Nothing says which cluster to ask, or what says it can't be used: a matter of settings, `cause` tells. */
class NoClusterError extends Error {
  declare readonly cause: Error;
}

function noCluster(error: Error): never {
  throw new NoClusterError(error.message, { cause: error });
}

/** Faults of one service that are told, each once. */
const MAX_TOLD_FAULTS = 100;

interface EventObject {
  readonly metadata?: { readonly resourceVersion?: unknown };
  readonly code?: number;
  readonly message?: string;
}

/** The server has ended a watch with a Status. */
class WatchEnded extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(`${OWNER}: the watch was ended with ${status} (${message})`);
    this.status = status;
  }
}
