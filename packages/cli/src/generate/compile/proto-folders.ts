import type { Dirent } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { dirname, join, sep } from "node:path";

/** A folder, and the paths of the files in it. */
export interface ProtoFolder {
  readonly folder: string;
  readonly files: readonly string[];
}

/**
 * A folder and all below it in which .proto files are looked for, with all their files: hidden ones and node_modules are left out,
 * links to folders are followed. Each folder is there once, under its own path rather than a link's; a link to a folder around itself
 * leads nowhere. `read` decides what becomes of a folder that can't be read.
 */
export async function protoFolders(
  root: string,
  read: (folder: string) => Promise<readonly Dirent[]>,
): Promise<ProtoFolder[]> {
  const found: ProtoFolder[] = [];
  const seen = new Set<string>();
  const links: string[] = [];
  const walk = async (folder: string): Promise<void> => {
    const real = await realPath(folder);
    if (seen.has(real)) return;
    seen.add(real);
    const files: string[] = [];
    found.push({ folder, files });
    // Which of two links to one folder is followed must not depend on the file system.
    const entries = (await read(folder)).toSorted((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      if (entry.name.startsWith(".") || entry.name === "node_modules") continue;
      const path = join(folder, entry.name);
      if (entry.isDirectory()) await walk(path);
      else if (entry.isSymbolicLink() && (await isFolder(path))) links.push(path);
      else files.push(path);
    }
  };
  await walk(root);
  const realRoot = await realPath(root);
  // The list grows by the links that are met behind links.
  for (const link of links) {
    const [target, place] = [await realPath(link), await realPath(dirname(link))];
    if (!isWithin(target, place) && !isWithin(target, realRoot)) await walk(link);
  }
  return found;
}

/** Whether `path` is `root` or below it; both absolute. */
export function isWithin(root: string, path: string): boolean {
  return path === root || path.startsWith(root.endsWith(sep) ? root : root + sep);
}

/** The path without links in it; of one that is not there, the path itself. */
export function realPath(folder: string): Promise<string> {
  return realpath(folder).catch(() => folder);
}

function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
}
