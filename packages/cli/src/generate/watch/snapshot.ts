import type { BigIntStats, Dirent } from "node:fs";
import { readdir, readlink, stat } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { BUF_CONFIG_FILES } from "../compile/buf-modules.ts";
import { protoFolders, realPath } from "../compile/proto-folders.ts";
import type { WatchedPlaces } from "./watched-places.ts";

/** The files that matter as they are at a time. */
export interface Snapshot {
  /** What tells two states of a file apart, by absolute path; files that are not there are left out. */
  readonly stamps: ReadonlyMap<string, string>;
  /** Folders in which a change may be one of these files. */
  readonly folders: ReadonlySet<string>;
}

/** Looks at all places. What is not there is waited for in the nearest folder that is. */
export async function takeSnapshot({ trees, files }: WatchedPlaces): Promise<Snapshot> {
  const stamps = new Map<string, string>();
  const folders = new Set<string>();
  for (const file of files) {
    await stamp(file, stamps);
    for (const place of [file, ...(await linkedFrom(file))]) folders.add(await nearestFolder(dirname(place)));
  }
  for (const tree of trees) {
    const there = await nearestFolder(tree);
    // Its own folder as well: a folder that is moved away and back again tells only those who watch its parent.
    folders.add(await nearestFolder(dirname(tree)));
    folders.add(there);
    if (there === tree) await walk(tree, stamps, folders);
  }
  return { stamps, folders };
}

/** True when a file was added, removed or written between the two. */
export function differ(before: Snapshot, after: Snapshot): boolean {
  if (before.stamps.size !== after.stamps.size) return true;
  return Array.from(after.stamps).some(([file, stamped]) => before.stamps.get(file) !== stamped);
}

async function walk(tree: string, stamps: Map<string, string>, folders: Set<string>): Promise<void> {
  for (const { folder, files } of await protoFolders(tree, readOrNothing)) {
    folders.add(folder);
    for (const file of files) {
      if (!file.endsWith(".proto") && !BUF_CONFIG_FILES.includes(basename(file))) continue;
      await stamp(file, stamps);
      for (const place of await linkedFrom(file)) folders.add(await nearestFolder(dirname(place)));
    }
  }
}

/** More links in a row lead in a circle. */
const MAX_LINKS = 40;

/** For a link to a file each path that it leads to, one after the other: in the folders of all of them its text may change. */
async function linkedFrom(file: string): Promise<string[]> {
  const paths: string[] = [];
  for (let at = file; paths.length < MAX_LINKS; paths.push(at)) {
    const target = await readlink(at).catch(() => undefined);
    if (target === undefined) break;
    at = resolve(await realPath(dirname(at)), target);
  }
  return paths;
}

/** A folder may go while it is looked at. */
function readOrNothing(folder: string): Promise<Dirent[]> {
  return readdir(folder, { withFileTypes: true }).catch(() => []);
}

/** Inode for editors that write a new file and rename it; change time for those that restore the time of writing. */
async function stamp(path: string, stamps: Map<string, string>): Promise<void> {
  const stats = await statOf(path);
  if (stats?.isFile() === true) stamps.set(path, `${stats.ino} ${stats.size} ${stats.mtimeNs} ${stats.ctimeNs}`);
}

async function nearestFolder(folder: string): Promise<string> {
  const isFolder = (await statOf(folder))?.isDirectory() === true;
  return isFolder || basename(folder) === "" ? folder : nearestFolder(dirname(folder));
}

function statOf(path: string): Promise<BigIntStats | undefined> {
  return stat(path, { bigint: true }).catch(() => undefined);
}
