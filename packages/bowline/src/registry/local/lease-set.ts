import type { Instance } from "../registry.ts";
import type { FileFacts } from "./file-system.ts";
import { type DecodedLease, type Lease, leaseFileName } from "./lease-file.ts";
import type { ProcessTable } from "./process-table.ts";

/** How often watchers look, and how often the living renew their leases. */
export const HEARTBEAT_MS = 500;
/** A running process that has not renewed for so long is of no use; shorter stops are for the balancer to notice. */
export const STUCK_AFTER_MS = 15_000;
/** Where the process can't be seen: three heartbeats missed, less what timers are late. */
export const UNSEEN_AFTER_MS = 1_400;
/** A process whose number is in use is looked at closely when it has missed a heartbeat for certain. */
const SUSPECT_AFTER_MS = 900;
/** Whether an unseen process lives nobody knows; after so long its file is likely rubbish; if not, it is put again. */
const SWEEP_UNSEEN_AFTER_MS = 60_000;
/** A file that is being written is not left lying for so long. */
const SWEEP_TEMPORARY_AFTER_MS = 15_000;
/** Registrations put their files again within two heartbeats after the directory was lost. */
const RECOVERY_MS = 1_500;

/** What is remembered of a file between two scans. */
interface Entry {
  identity: string;
  /** Null if the file holds no lease of this service. */
  lease: Lease | null;
  /** It is no lease at all. */
  isBad: boolean;
  modifiedMs: number;
  /** How long it has been the same, counting only time in which this process was awake to see it. */
  unchangedMs: number;
  /** The process is looked at closely once at the start: the number in an old file may be another's today. */
  isNew: boolean;
  /** Number of the scan that saw it last. */
  seenIn: number;
}

/** A file that should be removed. */
export interface Rubbish {
  readonly name: string;
  readonly identity: string;
}

/** What came out of a scan. */
export interface ScanResult {
  /** The living, ordered by id; the objects of those that have not changed are the same as before. */
  readonly instances: readonly Instance[];
  /** False while instances are kept whose files were lost with the directory. */
  readonly isComplete: boolean;
  /** Files that are no leases. */
  readonly skipped: number;
  readonly rubbish: readonly Rubbish[];
}

/**
 * Who is alive, from what successive scans of a service's directory saw. No I/O: the watcher looks, this judges.
 *
 * A scan is `begin`, then `seen` for each lease file (and `loaded` if that returned true), then `end`.
 */
export class LeaseSet {
  /** Whose leases these are. */
  readonly service: string;
  readonly #processes: ProcessTable;
  readonly #entries = new Map<string, Entry>();
  /** Files being written: how long each has been seen. */
  readonly #temporaries = new Map<string, Entry>();
  #scan = 0;
  #lastScanAt: number | undefined;
  #elapsedMs = 0;
  #directory: string | undefined;
  #recoveryEndsAt = Number.NEGATIVE_INFINITY;

  constructor(service: string, processes: ProcessTable) {
    this.service = service;
    this.#processes = processes;
  }

  /** A scan begins at `nowMs` (monotonic) of the directory with this identity. */
  begin(nowMs: number, directory: string): void {
    this.#scan++;
    // After this process was stopped itself all heartbeats look old; the others get the time to show theirs.
    this.#elapsedMs = Math.min(nowMs - (this.#lastScanAt ?? nowMs), 2 * HEARTBEAT_MS);
    this.#lastScanAt = nowMs;
    if (this.#directory !== undefined && this.#directory !== directory) this.#recoveryEndsAt = nowMs + RECOVERY_MS;
    this.#directory = directory;
  }

  /** A lease file is there. Returns true if it has to be read: it is new or another took its place. */
  seen(name: string, facts: FileFacts): boolean {
    const entry = this.#entries.get(name);
    if (entry === undefined || entry.identity !== facts.identity) return true;
    this.#age(entry, facts.modifiedMs);
    return false;
  }

  /** A file that is being written is there. */
  temporary(name: string, facts: FileFacts): void {
    const entry = this.#temporaries.get(name);
    if (entry?.identity === facts.identity) this.#age(entry, facts.modifiedMs);
    else this.#temporaries.set(name, this.#newEntry(facts, null));
  }

  /**
   * The content of a file that `seen` asked for. `ageMs` is how old its last heartbeat is by wall time.
   *
   * Returns what is wrong with it, once for each file.
   */
  loaded(name: string, facts: FileFacts, decoded: DecodedLease, ageMs: number): string | undefined {
    const known = this.#entries.get(name);
    const entry = this.#newEntry(facts, null);
    this.#entries.set(name, entry);
    entry.isBad = true;
    if ("problem" in decoded) return decoded.problem;
    const { lease } = decoded;
    if (leaseFileName(lease.instance.id) !== name) return `it is the lease of another instance, ${lease.instance.id}`;
    entry.isBad = false;
    // Where file names ignore case two services share a directory: not ours, and nothing is wrong.
    if (lease.service !== this.service) return undefined;
    const isSame = known?.lease != null && JSON.stringify(known.lease) === JSON.stringify(lease);
    entry.lease = isSame ? (known?.lease ?? lease) : lease;
    // A writer whose clock is wrong looks old at first: out until its next heartbeat is seen, but not rubbish.
    entry.unchangedMs = known === undefined ? Math.min(Math.max(0, ageMs), STUCK_AFTER_MS + 1) : 0;
    return undefined;
  }

  /** The lease in the file of an instance, if the last scan saw one; its process may be dead. */
  leaseOf(instanceId: string): Lease | undefined {
    return this.#entries.get(leaseFileName(instanceId))?.lease ?? undefined;
  }

  /** The scan is over: what was not seen is gone. */
  end(): ScanResult {
    const instances: Instance[] = [];
    const rubbish: Rubbish[] = [];
    let isComplete = true;
    let skipped = 0;
    for (const [name, entry] of this.#entries) {
      const isSeen = entry.seenIn === this.#scan;
      const verdict = isSeen || this.#isRecovering() ? this.#judge(entry) : "gone";
      if (verdict === "alive") {
        instances.push((entry.lease as Lease).instance);
        isComplete &&= isSeen;
      } else if (isSeen && verdict === "rubbish") rubbish.push({ name, identity: entry.identity });
      else if (!isSeen) this.#entries.delete(name);
      if (isSeen && entry.isBad) skipped++;
      entry.isNew = false;
    }
    this.#endTemporaries(rubbish);
    instances.sort((a, b) => (a.id < b.id ? -1 : 1));
    return { instances, isComplete, skipped, rubbish };
  }

  #judge(entry: Entry): "alive" | "out" | "rubbish" {
    if (entry.lease === null) return "out";
    const state = this.#processes.state(entry.lease.process, entry.isNew || entry.unchangedMs >= SUSPECT_AFTER_MS);
    if (state === "gone") return "rubbish";
    if (state === "running") return entry.unchangedMs > STUCK_AFTER_MS ? "out" : "alive";
    if (entry.unchangedMs < UNSEEN_AFTER_MS) return "alive";
    return entry.unchangedMs > SWEEP_UNSEEN_AFTER_MS ? "rubbish" : "out";
  }

  #endTemporaries(rubbish: Rubbish[]): void {
    for (const [name, entry] of this.#temporaries) {
      if (entry.seenIn !== this.#scan) this.#temporaries.delete(name);
      else if (entry.unchangedMs > SWEEP_TEMPORARY_AFTER_MS) rubbish.push({ name, identity: entry.identity });
    }
  }

  #isRecovering(): boolean {
    return (this.#lastScanAt ?? 0) < this.#recoveryEndsAt;
  }

  #age(entry: Entry, modifiedMs: number): void {
    entry.unchangedMs = entry.modifiedMs === modifiedMs ? entry.unchangedMs + this.#elapsedMs : 0;
    entry.modifiedMs = modifiedMs;
    entry.seenIn = this.#scan;
  }

  #newEntry(facts: FileFacts, lease: Lease | null): Entry {
    const { identity, modifiedMs } = facts;
    return { identity, lease, isBad: false, modifiedMs, unchangedMs: 0, isNew: true, seenIn: this.#scan };
  }
}
