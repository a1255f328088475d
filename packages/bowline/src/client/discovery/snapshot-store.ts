import type { FileSystem } from "../../registry/local/file-system.ts";
import type { Instance } from "../../registry/registry.ts";
import type { Clock, Timer } from "../../rpc/clock.ts";
import type { Random } from "../../rpc/random.ts";
import { decodeSnapshot, encodeSnapshot, snapshotFileName } from "./snapshot-file.ts";

/** Older snapshots are not used, and removed, in ms: a week. */
export const MAX_AGE_MS = 604_800_000;
/** A larger file is neither written nor read, in bytes. 5,000 instances with a few tags take 1.5 MB. */
const MAX_FILE_BYTES = 16_777_216;
/** Time from the first change to the file, in ms: changes that come together are written together. */
const FIRST_WRITE_MS = 1000;
/** Shortest time between two writes, in ms. */
export const WRITE_PERIOD_MS = 10_000;
/** What has not changed is written again after this time, in ms, so that it does not grow old. */
const RENEW_MS = 3_600_000;
/** What a process left half written is removed after this time, in ms. */
const ORPHAN_MS = 3_600_000;
/** Most files of the folder that are looked at for removal. */
const MAX_SWEPT = 1000;

/** What a store is made with. */
export interface SnapshotStoreOptions {
  readonly files: FileSystem;
  readonly clock: Clock;
  readonly random: Random;
  /** Absolute path; made for this user alone if it is missing. */
  readonly folder: string;
  /** Registry and target; a file is used for the same ones only. */
  readonly source: string;
  /** Told once of each new trouble. */
  warn(text: string): void;
}

/** What was read. */
export interface StoredSnapshot {
  readonly instances: readonly Instance[];
  /** Time since the registry said so, in ms. */
  readonly ageMs: number;
}

/**
 * The last snapshot of one target on disk, for a client that starts while the registry is out of reach. A file is replaced as a whole or not
 * at all, and used only if it is whole, of the same target, not too old, and in a folder where nobody else can write. Trouble with it is
 * told and otherwise changes nothing.
 */
export class SnapshotStore {
  readonly #options: SnapshotStoreOptions;
  readonly #path: string;
  readonly #told: Set<string> = new Set();
  #kept: readonly Instance[] | null = null;
  #timer: Timer | null = null;
  /** The timer repeats what has not changed. */
  #isRenewing = false;
  #writtenAt: number = Number.NEGATIVE_INFINITY;
  #writing: Promise<void> = Promise.resolve();
  #isDirty = false;
  #hasSwept = false;
  #isClosed = false;

  constructor(options: SnapshotStoreOptions) {
    this.#options = options;
    this.#path = `${options.folder}/${snapshotFileName(options.source)}`;
  }

  /** The stored snapshot; null if there is none that may be used. Never rejects. */
  async load(): Promise<StoredSnapshot | null> {
    const { files, source } = this.#options;
    try {
      if (!(await this.#isOurs())) return null;
      const { sizeBytes, kind } = await files.facts(this.#path);
      if (kind !== "file" || sizeBytes > MAX_FILE_BYTES) throw new Error("is no file, or too large for a snapshot");
      const { instances, savedAtMs } = decodeSnapshot(await files.read(this.#path, sizeBytes), source);
      // A clock that was set back makes it seem to come from the future: it is as new as can be then.
      const ageMs = Math.max(0, files.wallTimeMs() - savedAtMs);
      if (ageMs > MAX_AGE_MS) throw new Error(`is ${Math.floor(ageMs / 86_400_000)} days old, 7 are allowed`);
      return instances.length === 0 ? null : { instances, ageMs };
    } catch (error) {
      if (codeOf(error) !== "ENOENT") this.#warn(`the snapshot ${this.#path} is ignored: it ${messageOf(error)}`);
      return null;
    }
  }

  /** The registry says so now. It is written soon; several changes are written as one. */
  keep(instances: readonly Instance[]): void {
    if (this.#isClosed || instances.length === 0) return;
    this.#kept = instances;
    this.#isDirty = true;
    const sinceMs = this.#options.clock.now() - this.#writtenAt;
    this.#writeIn(Math.max(FIRST_WRITE_MS, WRITE_PERIOD_MS - sinceMs), false);
  }

  /** The registry is out of reach: what was kept grows old from now on. */
  pause(): void {
    if (!this.#isDirty) this.#stopTimer();
  }

  /** Writes what has not been written. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopTimer();
    await this.#writing;
    if (this.#isDirty) await this.#write();
  }

  #writeIn(delayMs: number, isRenewal: boolean): void {
    // A change that waits already is not put off by the next one.
    if (this.#timer !== null && !this.#isRenewing) return;
    this.#stopTimer();
    this.#isRenewing = isRenewal;
    this.#timer = this.#options.clock.setTimeout(() => {
      this.#timer = null;
      this.#writing = this.#writing.then(() => this.#write());
    }, delayMs);
  }

  #stopTimer(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  async #write(): Promise<void> {
    const { files, source, clock, random } = this.#options;
    if (this.#kept === null) return;
    this.#isDirty = false;
    this.#writtenAt = clock.now();
    try {
      const text = encodeSnapshot({ source, savedAtMs: files.wallTimeMs(), instances: this.#kept });
      if (Buffer.byteLength(text) > MAX_FILE_BYTES) throw new Error(`would be larger than ${MAX_FILE_BYTES} bytes`);
      await files.makeDirectory(this.#options.folder);
      if (!(await this.#isOurs())) return;
      await this.#sweep();
      const chance = Math.floor(random() * 36 ** 8).toString(36);
      await files.writeAtomically(this.#path, `${this.#path}.${process.pid}-${chance}.tmp`, text);
    } catch (error) {
      this.#warn(`the snapshot ${this.#path} is not written: it ${messageOf(error)}`);
    }
    if (!this.#isClosed && this.#timer === null) this.#writeIn(RENEW_MS, true);
  }

  /** False for a folder in which others could write: they would decide where calls go. */
  async #isOurs(): Promise<boolean> {
    const { files, folder } = this.#options;
    const { kind, ownerId, permissions } = await files.facts(folder);
    const isOurs = files.userId === undefined || (ownerId === files.userId && (permissions & 0o022) === 0);
    if (kind === "directory" && isOurs) return true;
    this.#warn(
      `${folder} is not used for snapshots: it must be a directory of this user in which nobody else can write; set snapshotFolder`,
    );
    return false;
  }

  /** Removes what nobody will use any more, once. */
  async #sweep(): Promise<void> {
    if (this.#hasSwept) return;
    this.#hasSwept = true;
    const { files, folder } = this.#options;
    for (const name of (await files.list(folder)).slice(0, MAX_SWEPT)) {
      const isHalf = name.includes(".snapshot.") && name.endsWith(".tmp");
      if (!isHalf && !name.endsWith(".snapshot")) continue;
      const path = `${folder}/${name}`;
      const facts = await files.facts(path).catch(() => null);
      const maxAgeMs = isHalf ? ORPHAN_MS : MAX_AGE_MS;
      if (facts !== null && files.wallTimeMs() - facts.modifiedMs > maxAgeMs) await files.remove(path).catch(() => {});
    }
  }

  #warn(text: string): void {
    if (this.#told.has(text)) return;
    this.#told.add(text);
    this.#options.warn(text);
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

function messageOf(error: unknown): string {
  const { message } = error as Error;
  const code = codeOf(error);
  return code === undefined ? message : `can't be used (${code}): ${message}`;
}
