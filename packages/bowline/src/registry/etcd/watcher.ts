import type { KeyValue } from "../../gen/etcd/etcdserverpb_pb.ts";
import type { Clock, Timer } from "../../rpc/clock.ts";
import { callApart } from "../../rpc/turn.ts";
import type { Instance, Watcher, WatchHandler } from "../registry.ts";
import type { EtcdError } from "./etcd-error.ts";
import { rangeEnd, readDetails, readValue, serviceKeys } from "./format.ts";
import { InstanceTable } from "./instance-table.ts";
import type { CheckedEtcdOptions } from "./options.ts";
import { type KeyRange, type RangeHandler, RangeWatch } from "./watch/range-watch.ts";
import type { WatchHub } from "./watch/watch-hub.ts";

/** Changes come in swarms: at most one set is told in this time. Long enough for the second key of an instance to come, too. */
const SET_DELAY_MS = 5;
/** `refresh` reads at most this often. */
const MIN_REFRESH_MS = 1000;
/** Bad entries, and different messages of one time of trouble, that are told. */
const MAX_TOLD = 1000;

const decoder = new TextDecoder();

/** Watches one service: its instances from the keys with the addresses, joined with what Bowline has put beside them. */
export class EtcdWatcher implements Watcher, RangeHandler {
  readonly #clock: Clock;
  readonly #handler: WatchHandler;
  readonly #onClose: () => void;
  readonly #ranges: readonly KeyRange[];
  readonly #watch: RangeWatch;
  readonly #table: InstanceTable;
  #instances: readonly Instance[] = [];
  #freshness: "live" | "stale" | "none" = "none";
  #revision = 0;
  /** Keys whose entries can't be used. */
  readonly #bad: Set<string> = new Set();
  readonly #toldBad: Set<string> = new Set();
  /** What was told of the failure that lasts. */
  readonly #toldFailures: Set<string> = new Set();
  #soon: Timer | null = null;
  #toldAt: number = Number.NEGATIVE_INFINITY;
  #refresh: Timer | null = null;
  #readAt: number;
  #isClosed = false;

  constructor(
    service: string,
    hub: WatchHub,
    options: CheckedEtcdOptions,
    clock: Clock,
    handler: WatchHandler,
    onClose: () => void,
  ) {
    this.#clock = clock;
    this.#handler = handler;
    this.#onClose = onClose;
    this.#table = new InstanceTable(options.metadata);
    this.#ranges = rangesOf(service, options);
    this.#watch = new RangeWatch(hub, this.#ranges, this);
    this.#readAt = clock.fresh();
    this.#watch.start();
  }

  /** Entries that are skipped because they can't be used. */
  get skipped(): number {
    return this.#bad.size;
  }

  refresh(): void {
    if (this.#isClosed || this.#refresh !== null) return;
    const waitMs = Math.max(0, this.#readAt + MIN_REFRESH_MS - this.#clock.fresh());
    this.#refresh = this.#clock.setTimeout(() => {
      this.#refresh = null;
      this.#readAt = this.#clock.fresh();
      this.#watch.readAgain();
    }, waitMs);
  }

  close(): void {
    this.#isClosed = true;
    this.#soon?.cancel();
    this.#refresh?.cancel();
    this.#watch.close();
    this.#onClose();
  }

  // --- RangeHandler ---

  listing(): void {
    this.#table.beginRead();
  }

  entry(range: number, entry: KeyValue): void {
    this.put(range, entry);
  }

  listed(): void {
    this.#readAt = this.#clock.fresh();
    this.#table.endRead((suffix, range) => this.#bad.delete(this.#ranges[range].label + suffix));
    this.#toldFailures.clear();
    this.#tell("live");
  }

  put(range: number, entry: KeyValue): void {
    const suffix = this.#suffixOf(range, entry);
    if (suffix !== undefined) this.#read(range, suffix, entry);
  }

  removed(range: number, entry: KeyValue): void {
    const suffix = this.#suffixOf(range, entry);
    if (suffix === undefined) return;
    this.#bad.delete(this.#ranges[range].label + suffix);
    this.#table.remove(suffix, range);
  }

  changed(): void {
    if (this.#freshness === "none") return;
    const isSoonAfter = this.#clock.fresh() - this.#toldAt < SET_DELAY_MS;
    if (!this.#table.hasHalves && !isSoonAfter) return this.#tell(this.#freshness);
    this.#soon ??= this.#clock.setTimeout(
      () => this.#tell(this.#freshness === "stale" ? "stale" : "live"),
      SET_DELAY_MS,
    );
  }

  failed(error: EtcdError): void {
    if (this.#freshness === "live") {
      this.#tell("live");
      this.#tell("stale");
    }
    if (this.#isClosed || this.#toldFailures.has(error.message) || this.#toldFailures.size >= MAX_TOLD) return;
    this.#toldFailures.add(error.message);
    const known = this.#instances.length > 0 ? `; going on with the ${this.#instances.length} known` : "";
    this.#call(() => this.#handler.failed(known === "" ? error : new Error(error.message + known, { cause: error })));
  }

  // --- in detail ---

  /** What stands behind the service; deeper keys belong to a service with a slash in its name. */
  #suffixOf(range: number, entry: KeyValue): string | undefined {
    const suffix = decoder.decode(entry.key.subarray(this.#ranges[range].key.length));
    return suffix.includes("/") ? undefined : suffix;
  }

  #read(range: number, suffix: string, entry: KeyValue): void {
    const revision = Number(entry.modRevision);
    if (this.#table.found(suffix, range, revision)) return;
    const key = this.#ranges[range].label + suffix;
    const read = range === 0 ? readValue(entry.value) : readDetails(entry.value);
    if (typeof read === "string") this.#skip(key, read);
    else this.#bad.delete(key);
    if (range === 0)
      this.#table.setValue(suffix, typeof read === "string" || !("address" in read) ? null : read, revision);
    else this.#table.setDetails(suffix, typeof read === "string" || !("id" in read) ? null : read, revision);
    const rival = this.#table.rivalOf(suffix);
    if (rival !== undefined) {
      this.#tellBad(
        key,
        `the id ${JSON.stringify(rival.id)} belongs to ${rival.addresses.join(" and ")}; the newest is used`,
      );
    }
  }

  #skip(key: string, problem: string): void {
    this.#bad.add(key);
    this.#tellBad(key, `${problem}; the entry is skipped`);
  }

  #tellBad(key: string, problem: string): void {
    const text = `etcd registry: ${JSON.stringify(key)}: ${problem}`;
    if (this.#toldBad.has(text) || this.#toldBad.size >= MAX_TOLD) return;
    this.#toldBad.add(text);
    this.#call(() => this.#handler.failed(new Error(text)));
  }

  /** Tells the set if it, or its freshness, is news. */
  #tell(freshness: "live" | "stale"): void {
    this.#soon?.cancel();
    this.#soon = null;
    if (this.#isClosed) return;
    this.#table.told();
    const instances = freshness === "stale" ? this.#instances : this.#table.list();
    const isSame = isSameList(instances, this.#instances) && this.#freshness !== "none";
    if (isSame && freshness === this.#freshness) return;
    if (!isSame) this.#revision++;
    this.#instances = instances;
    this.#freshness = freshness;
    this.#toldAt = this.#clock.fresh();
    const revision = this.#revision;
    this.#call(() => this.#handler.snapshot({ instances, revision, freshness }));
  }

  /** What a handler throws is its own affair: it must not end the stream that serves others, too. */
  #call(tell: () => void): void {
    if (!this.#isClosed) callApart(tell);
  }
}

function rangesOf(service: string, options: CheckedEtcdOptions): readonly KeyRange[] {
  const { values, details } = serviceKeys(options.prefix, service);
  return (options.metadata ? [values, details] : [values]).map((label) => {
    const key = Buffer.from(label);
    return { key, end: rangeEnd(key), label };
  });
}

function isSameList(a: readonly Instance[], b: readonly Instance[]): boolean {
  return a.length === b.length && a.every((instance, index) => instance === b[index]);
}
