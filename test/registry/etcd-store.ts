/** A key with what etcd knows of it. */
export interface StoredKey {
  readonly key: string;
  readonly value: string | Uint8Array;
  readonly lease: bigint;
  readonly modRevision: bigint;
}

/** One change, as a watch tells it. */
export interface StoredChange {
  readonly isDelete: boolean;
  readonly entry: StoredKey;
}

/** `[key, end)`, or one key when the end is empty; all from the key on when the end is the octet 0. */
export interface StoredRange {
  readonly key: string;
  readonly end: string;
}

/** A store as etcd's: keys with revisions, the history of all changes, and leases that hold keys. It knows no wire. */
export class EtcdStore {
  clusterId = 7n;
  revision = 1n;
  /** Changes before this revision are forgotten. */
  compacted = 0n;
  readonly leases: Map<bigint, number> = new Map();
  readonly #keys: Map<string, StoredKey> = new Map();
  #history: StoredChange[] = [];
  readonly #listeners: Set<() => void> = new Set();
  #lastLease = 7_587_883_301_129_417_000n;

  /** Called after each new revision. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get(key: string): StoredKey | undefined {
    return this.#keys.get(key);
  }

  /** Keys in a range, in the order of their octets. */
  list(range: StoredRange): StoredKey[] {
    return [...this.#keys.values()]
      .filter(({ key }) => isIn(range, key))
      .sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
  }

  /** Changes of a range from a revision on. */
  changesFrom(range: StoredRange, revision: bigint): StoredChange[] {
    let start = this.#history.length;
    while (start > 0 && this.#history[start - 1].entry.modRevision >= revision) start--;
    return this.#history.slice(start).filter(({ entry }) => isIn(range, entry.key));
  }

  /** All changes at one revision. */
  change(puts: readonly Omit<StoredKey, "modRevision">[], deletes: readonly string[]): void {
    const gone = deletes.filter((key) => this.#keys.has(key));
    if (puts.length + gone.length === 0) return;
    this.revision++;
    for (const put of puts) {
      const entry = { ...put, modRevision: this.revision };
      this.#keys.set(put.key, entry);
      this.#history.push({ isDelete: false, entry });
    }
    for (const key of gone) {
      this.#keys.delete(key);
      this.#history.push({ isDelete: true, entry: { key, value: "", lease: 0n, modRevision: this.revision } });
    }
    for (const listener of [...this.#listeners]) listener();
  }

  put(key: string, value: string | Uint8Array, lease: bigint = 0n): void {
    this.change([{ key, value, lease }], []);
  }

  delete(...keys: string[]): void {
    this.change([], keys);
  }

  grant(ttlSeconds: number): bigint {
    this.#lastLease++;
    this.leases.set(this.#lastLease, ttlSeconds);
    return this.#lastLease;
  }

  /** False if there is no such lease. */
  revoke(lease: bigint): boolean {
    if (!this.leases.delete(lease)) return false;
    this.delete(...[...this.#keys.values()].filter((entry) => entry.lease === lease).map(({ key }) => key));
    return true;
  }

  /** Forgets all changes up to now. */
  compact(): void {
    this.compacted = this.revision;
    this.#history = this.#history.filter(({ entry }) => entry.modRevision > this.compacted);
  }

  /** Another store at the same address: nothing is left, and revisions begin anew. */
  wipe(): void {
    this.clusterId++;
    this.revision = 1n;
    this.compacted = 0n;
    this.#keys.clear();
    this.#history = [];
    this.leases.clear();
  }
}

function isIn({ key, end }: StoredRange, candidate: string): boolean {
  if (end === "") return candidate === key;
  const octets = Buffer.from(candidate);
  const isBefore = end === "\0" || Buffer.compare(octets, Buffer.from(end)) < 0;
  return isBefore && Buffer.compare(octets, Buffer.from(key)) >= 0;
}
