import { callApart } from "../../rpc/turn.ts";
import type { Instance, Snapshot, WatchHandler } from "../registry.ts";

/** Faults of entries that one message names; the others are counted. */
const MAX_NAMED_FAULTS = 3;

/** One watch of a service. */
interface Listener {
  readonly handler: WatchHandler;
  isClosed: boolean;
  /** True once it has heard what there was to hear when it came. */
  isCaughtUp: boolean;
}

/**
 * What one process knows of a service in a registry, told to all who watch it there: snapshots only when something is new,
 * stale once when the registry can't be reached, each failure once until it is another or over.
 *
 * A watch is never told anything from inside the call that made it. A handler that throws stops nobody: its error is thrown where the
 * process sees it as uncaught.
 */
export class ServiceFeed {
  readonly #subject: string;
  readonly #listeners = new Set<Listener>();
  #known: Snapshot | undefined;
  /** By id. */
  #byId = new Map<string, Instance>();
  #failure: Error | undefined;
  #lastFaults = "";
  #skipped = 0;

  /** `subject` begins messages about entries: `consul registry: service "user.rpc"`. */
  constructor(subject: string) {
    this.#subject = subject;
  }

  /** True while somebody watches. */
  get isWatched(): boolean {
    return this.#listeners.size > 0;
  }

  /** True once a set is known. */
  get isKnown(): boolean {
    return this.#known !== undefined;
  }

  /** Entries that the last full read had to leave out. */
  get skipped(): number {
    return this.#skipped;
  }

  /** The object that is known for this id, so that an instance which did not change stays the same object. */
  known(id: string): Instance | undefined {
    return this.#byId.get(id);
  }

  /** Begins to tell a handler; what is returned ends that. */
  add(handler: WatchHandler): { close(): void } {
    const listener: Listener = { handler, isClosed: false, isCaughtUp: false };
    this.#listeners.add(listener);
    queueMicrotask(() => this.#catchUp(listener));
    return {
      close: () => {
        listener.isClosed = true;
        this.#listeners.delete(listener);
      },
    };
  }

  /**
   * A full read: `instances` without an id twice, objects of `known` where nothing changed; `faults` says what is wrong with each
   * entry that was left out. `stale`: it comes from a server that may be behind.
   */
  found(instances: readonly Instance[], faults: readonly string[] = [], freshness: "live" | "stale" = "live"): void {
    const isSame = this.#known !== undefined && this.#isSame(instances);
    if (freshness === "live") this.#failure = undefined;
    if (!isSame || this.#known?.freshness !== freshness) {
      if (!isSame) this.#byId = new Map(instances.map((instance) => [instance.id, instance]));
      const kept = isSame && this.#known !== undefined ? this.#known.instances : instances;
      this.#deliver({ instances: kept, revision: this.#nextRevision(isSame), freshness });
    }
    this.#tellFaults(faults);
  }

  /** The registry can't be reached or can't be used: what is known stays, as stale. */
  failed(error: Error): void {
    const isNews = error.message !== this.#failure?.message;
    this.#failure = error;
    const known = this.#known;
    if (known?.freshness === "live") this.#deliver({ ...known, freshness: "stale" });
    if (isNews) this.#tell((handler) => handler.failed(error));
  }

  /** Tells something that does not make the set doubtful, as often as it is called. */
  warn(error: Error): void {
    this.#tell((handler) => handler.failed(error));
  }

  #nextRevision(isSame: boolean): number {
    const revision = this.#known?.revision ?? 0;
    return isSame ? revision : revision + 1;
  }

  #isSame(instances: readonly Instance[]): boolean {
    if (instances.length !== this.#byId.size) return false;
    // One that went and came back in one batch of changes is another object.
    return instances.every((instance) => {
      const known = this.#byId.get(instance.id);
      return known === instance || (known !== undefined && isSameInstance(instance, known));
    });
  }

  #deliver(snapshot: Snapshot): void {
    this.#known = snapshot;
    this.#tell((handler) => handler.snapshot(snapshot));
  }

  #tellFaults(faults: readonly string[]): void {
    this.#skipped = faults.length;
    const named = faults.slice(0, MAX_NAMED_FAULTS).join("; ");
    const more = faults.length > MAX_NAMED_FAULTS ? `; and ${faults.length - MAX_NAMED_FAULTS} more` : "";
    const text = faults.length === 0 ? "" : `${this.#subject}: entries are skipped: ${named}${more}`;
    const isNews = text !== this.#lastFaults;
    this.#lastFaults = text;
    if (text !== "" && isNews) this.warn(new Error(text));
  }

  #catchUp(listener: Listener): void {
    listener.isCaughtUp = true;
    const [known, failure, faults] = [this.#known, this.#failure, this.#lastFaults];
    if (known !== undefined) tellOne(listener, (handler) => handler.snapshot(known));
    if (failure !== undefined) tellOne(listener, (handler) => handler.failed(failure));
    if (faults !== "") tellOne(listener, (handler) => handler.failed(new Error(faults)));
  }

  #tell(tell: (handler: WatchHandler) => void): void {
    for (const listener of [...this.#listeners]) if (listener.isCaughtUp) tellOne(listener, tell);
  }
}

function tellOne(listener: Listener, tell: (handler: WatchHandler) => void): void {
  if (!listener.isClosed) callApart(() => tell(listener.handler));
}

/** `made`, or the known object that says the same. */
export function reused(made: Instance, known: Instance | undefined): Instance {
  return known !== undefined && isSameInstance(made, known) ? known : made;
}

function isSameInstance(a: Instance, b: Instance): boolean {
  return (
    a.id === b.id &&
    a.weight === b.weight &&
    a.zone === b.zone &&
    a.version === b.version &&
    a.state === b.state &&
    a.addresses.length === b.addresses.length &&
    a.addresses.every(
      ({ address, network }, index) => address === b.addresses[index].address && network === b.addresses[index].network,
    ) &&
    isSameRecord(a.tags, b.tags)
  );
}

function isSameRecord(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key]);
}
