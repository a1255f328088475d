import { constants, watch } from "node:fs";
import { lstat, mkdir, open, readdir, rename, unlink, utimes, writeFile } from "node:fs/promises";

/** What is known of a path without following links. */
export interface FileFacts {
  /** Pipes and sockets count as devices. */
  readonly kind: "file" | "directory" | "link" | "device";
  /** Differs between a file and the one that took its place. */
  readonly identity: string;
  readonly sizeBytes: number;
  /** Wall time, ms since 1970. Set by whoever wrote, so its clock may be wrong. */
  readonly modifiedMs: number;
  /** Numeric user id; 0 where the system has none. */
  readonly ownerId: number;
  /** The nine permission bits. */
  readonly permissions: number;
}

/** The few things that leases need of a file system. Errors carry the system's `code`. */
export interface FileSystem {
  /** Who files of this process belong to; undefined where the system has no numeric users. */
  readonly userId: number | undefined;
  /** Wall time, ms since 1970, comparable with `modifiedMs`. */
  wallTimeMs(): number;
  /** Makes it and its parents, for this user alone; nothing happens if it is there. */
  makeDirectory(path: string): Promise<void>;
  list(path: string): Promise<readonly string[]>;
  facts(path: string): Promise<FileFacts>;
  /** The first `maxBytes` as text. Does not follow a link and does not wait for a pipe's writer. */
  read(path: string, maxBytes: number): Promise<string>;
  /** Puts the whole text at `path` at once, through `temporaryPath` in the same directory; a failure leaves neither. */
  writeAtomically(path: string, temporaryPath: string, text: string): Promise<void>;
  /** Sets `modifiedMs` to now. */
  touch(path: string): Promise<void>;
  remove(path: string): Promise<void>;
  /**
   * Calls `changed` with the name of a file that came or went, null where the system does not say it; maybe more often, maybe never. Null
   * where watching is impossible.
   */
  watch(path: string, changed: (name: string | null) => void): { close(): void } | null;
}

/** The machine's file system. */
export const nodeFileSystem: FileSystem = {
  get userId() {
    return process.getuid?.();
  },
  // biome-ignore lint/nursery/noJsRestrictedProperties: file times are wall time, which a Clock does not have
  wallTimeMs: () => Date.now(),
  makeDirectory: async (path) => {
    await mkdir(path, { recursive: true, mode: 0o700 });
  },
  list: (path) => readdir(path),
  facts,
  read,
  writeAtomically,
  touch: async (path) => {
    const now = new Date();
    await utimes(path, now, now);
  },
  remove: (path) => unlink(path),
  watch: watchNames,
};

async function facts(path: string): Promise<FileFacts> {
  const stat = await lstat(path);
  const kind = stat.isFile() ? "file" : stat.isDirectory() ? "directory" : stat.isSymbolicLink() ? "link" : "device";
  return {
    kind,
    // Inode numbers are given again at once on some systems: the time of birth and the size tell such files apart.
    identity: `${stat.dev}:${stat.ino}:${stat.birthtimeMs}:${kind === "file" ? stat.size : ""}`,
    sizeBytes: stat.size,
    modifiedMs: stat.mtimeMs,
    ownerId: stat.uid,
    permissions: stat.mode & 0o777,
  };
}

async function read(path: string, maxBytes: number): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const buffer = Buffer.allocUnsafe(maxBytes);
    const { bytesRead } = await file.read(buffer, 0, maxBytes, 0);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await file.close();
  }
}

async function writeAtomically(path: string, temporaryPath: string, text: string): Promise<void> {
  try {
    await writeFile(temporaryPath, text, { mode: 0o600, flag: "wx" });
    await rename(temporaryPath, path);
  } catch (error) {
    await unlink(temporaryPath).catch(() => {});
    throw error;
  }
}

function watchNames(path: string, changed: (name: string | null) => void): { close(): void } | null {
  try {
    // "rename" is coming and going, "change" mostly others' heartbeats. An error ends the events, not the polling.
    const watcher = watch(path, { persistent: false }, (event, name) => event === "rename" && changed(name));
    watcher.on("error", () => watcher.close());
    return watcher;
  } catch {
    return null;
  }
}
