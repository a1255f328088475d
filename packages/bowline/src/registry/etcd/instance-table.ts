import type { Instance } from "../registry.ts";
import { joinInstance, type ReadDetails, type ReadValue } from "./format.ts";

/** What stands under one suffix. */
interface Entry {
  value: ReadValue | null;
  /** Revisions of the two keys; 0 when there is none. */
  valueRevision: number;
  details: ReadDetails | null;
  detailsRevision: number;
  /** The full reads that found the two keys last. */
  valueRead: number;
  detailsRead: number;
  /** Null without a readable value. */
  instance: Instance | null;
  /** The address that all clients see, with its network: the same one in two networks is two. */
  place: string;
  /** Another entry with the same place or id is newer. */
  isHidden: boolean;
  /** Grows from entry to entry. */
  readonly number: number;
}

/**
 * The instances of a service, from the keys that hold their addresses and those that hold the rest; a change costs the same whatever
 * the number of instances. Of several with one address or one id, as after a restart, the newest counts.
 */
export class InstanceTable {
  readonly #entries: Map<string, Entry> = new Map();
  readonly #byPlace: Groups = new Groups();
  readonly #byId: Groups = new Groups();
  readonly #hasDetails: boolean;
  #lastNumber = 0;
  /** Counts full reads. */
  #read = 0;
  /** Suffixes of which one key may be on its way. */
  readonly #halves: Set<string> = new Set();
  /** By id: what went since the list was told last, and may be back under another lease before it is told again. */
  readonly #gone: Map<string, Instance> = new Map();

  /** `hasDetails` is false where only addresses are read. */
  constructor(hasDetails: boolean) {
    this.#hasDetails = hasDetails;
  }

  /** True when an entry came without its second key, or lost it first: both change at one revision but come one after the other. */
  get hasHalves(): boolean {
    return this.#halves.size > 0;
  }

  /** The list is told: halves are taken as they are, and what went is gone. */
  told(): void {
    this.#halves.clear();
    this.#gone.clear();
  }

  /** All instances, in the order in which their keys came. */
  list(): Instance[] {
    const list: Instance[] = [];
    for (const { instance, isHidden } of this.#entries.values())
      if (instance !== null && !isHidden) list.push(instance);
    return list;
  }

  /** What a key of addresses says; null for what can't be read. */
  setValue(suffix: string, value: ReadValue | null, revision: number): void {
    const entry = this.#entry(suffix);
    entry.value = value;
    entry.valueRevision = revision;
    entry.valueRead = this.#read;
    this.#update(suffix, entry);
  }

  /** What a key of details says; null for what can't be read. */
  setDetails(suffix: string, details: ReadDetails | null, revision: number): void {
    const entry = this.#entry(suffix);
    entry.details = details;
    entry.detailsRevision = revision;
    entry.detailsRead = this.#read;
    this.#update(suffix, entry);
  }

  /** A key of a range is gone. */
  remove(suffix: string, range: number): void {
    const entry = this.#entries.get(suffix);
    if (entry === undefined) return;
    if (range === 0) {
      entry.value = null;
      entry.valueRevision = 0;
    } else {
      entry.details = null;
      entry.detailsRevision = 0;
    }
    this.#update(suffix, entry);
    if (entry.valueRevision === 0 && entry.detailsRevision === 0) this.#entries.delete(suffix);
  }

  /** A full read begins. */
  beginRead(): void {
    this.#read++;
  }

  /** It found the key of a range; true if that is known already, with what it holds. */
  found(suffix: string, range: number, revision: number): boolean {
    const entry = this.#entries.get(suffix);
    if (entry === undefined || (range === 0 ? entry.valueRevision : entry.detailsRevision) !== revision) return false;
    if (range === 0) entry.valueRead = this.#read;
    else entry.detailsRead = this.#read;
    return true;
  }

  /** It is over: keys that it did not find go, and are told to `gone`. */
  endRead(gone: (suffix: string, range: number) => void): void {
    for (const [suffix, entry] of this.#entries) {
      if (entry.valueRevision > 0 && entry.valueRead !== this.#read) {
        this.remove(suffix, 0);
        gone(suffix, 0);
      }
      if (entry.detailsRevision > 0 && entry.detailsRead !== this.#read) {
        this.remove(suffix, 1);
        gone(suffix, 1);
      }
    }
  }

  /** An id that two instances with different addresses have, of which one is hidden; undefined if the entry has no such rival. */
  rivalOf(suffix: string): { readonly id: string; readonly addresses: readonly string[] } | undefined {
    const instance = this.#entries.get(suffix)?.instance;
    if (instance === null || instance === undefined) return undefined;
    const addresses = new Set(this.#byId.all(instance.id).map((each) => each.instance?.addresses[0].address ?? ""));
    return addresses.size > 1 ? { id: instance.id, addresses: [...addresses] } : undefined;
  }

  #entry(suffix: string): Entry {
    let entry = this.#entries.get(suffix);
    if (entry === undefined) {
      entry = newEntry(++this.#lastNumber);
      this.#entries.set(suffix, entry);
    }
    return entry;
  }

  #update(suffix: string, entry: Entry): void {
    const { value, details } = entry;
    const before = entry.instance;
    const joined = value === null ? null : joinInstance(value, details ?? undefined);
    const isHalf = this.#hasDetails && joined !== null && joined !== details;
    if (isHalf) this.#halves.add(suffix);
    else this.#halves.delete(suffix);
    const next = joined === null ? null : this.#knownAs(joined, before);
    if (joined === details) entry.details = next;
    const place = next === null || value === null ? "" : placeOf(next, value.address);
    if (before !== next || entry.place !== place) {
      this.#leave(entry);
      entry.instance = next;
      entry.place = place;
      if (next !== null) {
        this.#byPlace.add(place, entry);
        this.#byId.add(next.id, entry);
      }
    }
    if (next !== null) this.#settle(place, next.id);
  }

  /** The object that stands for an equal instance already: who compares objects sees no change. */
  #knownAs(instance: Instance, before: Instance | null): Instance {
    if (before !== null && isSame(before, instance)) return before;
    for (const { instance: other } of this.#byId.all(instance.id)) {
      if (other !== null && isSame(other, instance)) return other;
    }
    const gone = this.#gone.get(instance.id);
    return gone !== undefined && isSame(gone, instance) ? gone : instance;
  }

  #leave(entry: Entry): void {
    const { instance, place } = entry;
    if (instance === null) return;
    this.#byPlace.remove(place, entry);
    this.#byId.remove(instance.id, entry);
    if (!this.#gone.has(instance.id)) this.#gone.set(instance.id, instance);
    this.#settle(place, instance.id);
  }

  /** Shows the newest of the entries that share a place or an id. */
  #settle(place: string, id: string): void {
    for (const entry of this.#byPlace.all(place)) entry.isHidden = this.#hasNewer(entry);
    for (const entry of this.#byId.all(id)) entry.isHidden = this.#hasNewer(entry);
  }

  #hasNewer(entry: Entry): boolean {
    const isRival = (other: Entry): boolean => other !== entry && isNewer(other, entry);
    return this.#byPlace.all(entry.place).some(isRival) || this.#byId.all(entry.instance?.id ?? "").some(isRival);
  }
}

/** Entries by a key that mostly one of them has: that one needs no list. */
class Groups {
  readonly #groups: Map<string, Entry | Entry[]> = new Map();

  all(key: string): readonly Entry[] {
    const group = this.#groups.get(key);
    if (group === undefined) return [];
    return Array.isArray(group) ? group : [group];
  }

  add(key: string, entry: Entry): void {
    const group = this.all(key);
    this.#groups.set(key, group.length === 0 ? entry : [...group, entry]);
  }

  remove(key: string, entry: Entry): void {
    const rest = this.all(key).filter((each) => each !== entry);
    if (rest.length === 0) this.#groups.delete(key);
    else this.#groups.set(key, rest.length === 1 ? rest[0] : rest);
  }
}

function newEntry(number: number): Entry {
  return {
    value: null,
    valueRevision: 0,
    details: null,
    detailsRevision: 0,
    valueRead: 0,
    detailsRead: 0,
    instance: null,
    place: "",
    isHidden: false,
    number,
  };
}

/** By the revision of the address; several of one transaction have the same, the one that was told later wins then. */
function isNewer(a: Entry, b: Entry): boolean {
  return a.valueRevision > b.valueRevision || (a.valueRevision === b.valueRevision && a.number > b.number);
}

function placeOf(instance: Instance, address: string): string {
  const known = instance.addresses.find((each) => each.address === address);
  // The text that is there already: thousands of them add up.
  return known === undefined || known.network === "" ? (known?.address ?? address) : `${address} ${known.network}`;
}

function isSame(a: Instance, b: Instance): boolean {
  if (a === b) return true;
  return a.id === b.id && JSON.stringify(a) === JSON.stringify(b);
}
