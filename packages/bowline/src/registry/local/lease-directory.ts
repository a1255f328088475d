import { dirname, join } from "node:path";
import type { Random } from "../../rpc/random.ts";
import { newInstanceId } from "../instance/instance.ts";
import type { FileFacts, FileSystem } from "./file-system.ts";
import {
  type DecodedLease,
  decodeLease,
  fileName,
  fileRole,
  leaseFileName,
  MAX_LEASE_BYTES,
  temporaryFileName,
} from "./lease-file.ts";
import type { LeaseSet, Rubbish, ScanResult } from "./lease-set.ts";

/** Most files of one service that are looked at. */
const MAX_FILES = 10_000;
/** Files that are looked at together. */
const SCAN_PORTION = 32;

/** What to change when a call to the file system fails, by its code. */
const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full: free space there",
  EDQUOT: "this user's quota is used up: free space there",
  EROFS: "the file system is read-only",
  EACCES: "this user has no permission",
  EPERM: "this user has no permission",
  ENOTDIR: "a part of the path is a file, not a directory",
  EEXIST: "a part of the path is a file, not a directory",
  ENAMETOOLONG: "the path is too long for the file system",
  EMFILE: "this process has too many open files: raise its limit (ulimit -n)",
  ENFILE: "the system has too many open files",
};

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOENT";
}

/**
 * The files of one namespace: `<user's directory>/<namespace>/<service>/<instance>.json`.
 *
 * Nothing is used before it is certain that the user's directory is this user's and that nobody else can write there.
 * Errors say which path, why, and which option changes it; `cause` is the system's error.
 */
export class LeaseDirectory {
  readonly #files: FileSystem;
  readonly #root: string;
  readonly #namespace: string;
  readonly #random: Random;
  #isTrusted = false;

  constructor(files: FileSystem, root: string, namespace: string, random: Random) {
    this.#files = files;
    this.#root = root;
    this.#namespace = join(root, fileName(namespace));
    this.#random = random;
  }

  /** The directory in which all leases of a service are. */
  pathOf(service: string): string {
    return join(this.#namespace, fileName(service));
  }

  /** The file of one instance. */
  leasePathOf(service: string, instanceId: string): string {
    return join(this.pathOf(service), leaseFileName(instanceId));
  }

  /** Services that leases name, dead or alive; the name of a directory does not always say whose it is. */
  async services(): Promise<ReadonlySet<string>> {
    const list = (path: string): Promise<readonly string[]> =>
      this.#explained("read", path, async () => (await this.#files.list(path).catch(undefinedIfMissing)) ?? []);
    await this.#explained("use", this.#root, () => this.#trust());
    const found = new Set<string>();
    for (const directory of (await list(this.#namespace)).slice(0, MAX_FILES)) {
      const path = join(this.#namespace, directory);
      const names = await list(path).catch(() => []);
      for (const name of names.filter((each) => fileRole(each) === "lease").slice(0, MAX_FILES)) {
        const facts = await this.#files.facts(join(path, name)).catch(() => undefined);
        const decoded = facts === undefined ? undefined : await this.#read(join(path, name), facts);
        if (decoded !== undefined && "lease" in decoded) found.add(decoded.lease.service);
      }
    }
    return found;
  }

  /** Makes sure that a service's directory is there and ours. Resolves to its identity, which changes if it is lost. */
  async prepare(service: string): Promise<string> {
    const path = this.pathOf(service);
    return this.#explained("use", path, async () => {
      if (!this.#isTrusted) await this.#trust();
      return (await this.#factsOrMake(path)).identity;
    });
  }

  /**
   * Looks at all files of a service and lets `leases` judge them. Call {@link prepare} before; it gave `identity`.
   *
   * `skipped` is told of each file that is no lease, once.
   */
  async scan(leases: LeaseSet, identity: string, nowMs: number, skipped: (error: Error) => void): Promise<ScanResult> {
    const path = this.pathOf(leases.service);
    const names = await this.#explained("read", path, () => this.#files.list(path));
    if (names.length > MAX_FILES) {
      const advice = "remove what does not belong there";
      throw new Error(
        `local registry: ${path} holds ${names.length} files, at most ${MAX_FILES} are looked at; ${advice}`,
      );
    }
    leases.begin(nowMs, identity);
    // In portions: the threads that the file system's calls take are those of DNS and of compression, too.
    for (let i = 0; i < names.length; i += SCAN_PORTION) {
      await Promise.all(names.slice(i, i + SCAN_PORTION).map((name) => this.#look(leases, name, skipped)));
    }
    const result = leases.end();
    await Promise.all(result.rubbish.map((rubbish) => this.#sweep(path, rubbish)));
    return result;
  }

  /** Writes a lease, in place of an older one of the same instance; makes the directory if it is gone. */
  async put(service: string, instanceId: string, text: string): Promise<void> {
    await this.prepare(service);
    const path = this.leasePathOf(service, instanceId);
    const temporary = join(dirname(path), temporaryFileName(newInstanceId("put", process.pid, this.#random)));
    await this.#explained("write", path, () => this.#files.writeAtomically(path, temporary, text));
  }

  /** Renews a lease. Resolves to false if the file is gone. */
  async touch(service: string, instanceId: string): Promise<boolean> {
    const path = this.leasePathOf(service, instanceId);
    const done = this.#files.touch(path).then(() => true as const);
    return (await this.#explained("renew", path, () => done.catch(undefinedIfMissing))) ?? false;
  }

  /** Takes a lease out; nothing happens if it is gone. */
  async remove(service: string, instanceId: string): Promise<void> {
    const path = this.leasePathOf(service, instanceId);
    await this.#explained("remove", path, () => this.#files.remove(path).catch(undefinedIfMissing));
  }

  async #look(leases: LeaseSet, name: string, skipped: (error: Error) => void): Promise<void> {
    const role = fileRole(name);
    if (role === "foreign") return;
    const path = join(this.pathOf(leases.service), name);
    const facts = await this.#explained("read", path, () => this.#files.facts(path).catch(undefinedIfMissing));
    if (facts === undefined) return;
    if (role === "temporary") return leases.temporary(name, facts);
    if (!leases.seen(name, facts)) return;
    const decoded = await this.#read(path, facts);
    if (decoded === undefined) return;
    const problem = leases.loaded(name, facts, decoded, this.#files.wallTimeMs() - facts.modifiedMs);
    if (problem !== undefined) skipped(new Error(`local registry: skipped ${path}: ${problem}; remove it`));
  }

  /** The lease in a file, undefined if the file is gone. */
  async #read(path: string, facts: FileFacts): Promise<DecodedLease | undefined> {
    if (facts.kind !== "file") return { problem: `it is a ${facts.kind}, no file` };
    if (facts.sizeBytes > MAX_LEASE_BYTES) {
      return { problem: `it has ${facts.sizeBytes} bytes, at most ${MAX_LEASE_BYTES} are read` };
    }
    try {
      return decodeLease(await this.#files.read(path, facts.sizeBytes));
    } catch (error) {
      return isMissing(error) ? undefined : { problem: explanation(error) };
    }
  }

  /**
   * Removes a file that nobody stands for any more, unless another has taken its place meanwhile.
   *
   * Between look and removal a living owner could still put it again; such an owner notices at its next heartbeat.
   */
  async #sweep(directory: string, rubbish: Rubbish): Promise<void> {
    const path = join(directory, rubbish.name);
    try {
      const facts = await this.#files.facts(path);
      if (facts.identity === rubbish.identity) await this.#files.remove(path);
    } catch {
      // Another sweeper was faster, or the file can't be removed: then it is skipped as long as it is there.
    }
  }

  async #trust(): Promise<void> {
    const root = await this.#factsOrMake(this.#root);
    const fault = this.#faultOf(root);
    if (fault !== undefined) throw new Error(fault);
    this.#isTrusted = true;
  }

  #faultOf(root: FileFacts): string | undefined {
    const userId = this.#files.userId;
    if (root.kind === "link") return "it is a symbolic link; name the directory itself";
    if (root.kind !== "directory") return "it is no directory";
    if (userId === undefined) return undefined;
    if (root.ownerId !== userId) return `it belongs to user ${root.ownerId}, this process runs as user ${userId}`;
    if ((root.permissions & 0o022) !== 0) return "other users may write there; take that right away with chmod 700";
    return undefined;
  }

  async #factsOrMake(path: string): Promise<FileFacts> {
    const found = await this.#files.facts(path).catch(undefinedIfMissing);
    if (found !== undefined) return found;
    // The whole of the user's directory may be gone: what is there instead has to earn its trust.
    if (path !== this.#root && this.#isTrusted) await this.#trust();
    await this.#files.makeDirectory(path);
    return this.#files.facts(path);
  }

  async #explained<T>(doing: string, path: string, action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      const advice = "if that can't be changed, set the option directory of local() to another place";
      throw new Error(`local registry: cannot ${doing} ${path}: ${explanation(error)}; ${advice}`, { cause: error });
    }
  }
}

function undefinedIfMissing(error: unknown): undefined {
  if (!isMissing(error)) throw error;
  return undefined;
}

function explanation(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === undefined) return message;
  const advice = ADVICE[code];
  return advice === undefined ? message : `${advice} (${code})`;
}
