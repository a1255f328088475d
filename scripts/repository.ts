import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's folder. */
export const root: string = resolve(dirname(fileURLToPath(import.meta.url)), "..");

/** Folders that hold nothing anybody wrote. */
const SKIPPED = new Set([".bowline", ".cache", ".git", "coverage", "dist", "node_modules"]);

/** A file of the repository: its path from the root, with `/`, and its text. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** Paths of all files below folders of the repository (default: all of it), sorted; absent folders have none. */
export function filesBelow(...folders: readonly string[]): string[] {
  const found: string[] = [];
  const visit = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        if (!SKIPPED.has(entry.name)) visit(path);
      } else if (entry.isFile()) {
        found.push(relative(root, path).replaceAll("\\", "/"));
      }
    }
  };
  for (const folder of folders.length === 0 ? ["."] : folders) {
    if (existsSync(join(root, folder))) visit(join(root, folder));
  }
  return found.sort();
}

/** The text of a file of the repository. */
export function readText(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

/** Does the repository have this file or folder? */
export function exists(path: string): boolean {
  return existsSync(join(root, path));
}

/** Bytes of a file, or of all files below a folder. */
export function bytesOf(path: string): number {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.size;
  return readdirSync(path).reduce((sum, name) => sum + bytesOf(join(path, name)), 0);
}

/** TypeScript that a person wrote: not generated, not only types. */
export function isSource(path: string): boolean {
  return path.endsWith(".ts") && !path.endsWith(".d.ts") && !isGenerated(path);
}

/** Written by a generator: it lies below a folder `gen`. */
export function isGenerated(path: string): boolean {
  return path.startsWith("gen/") || path.includes("/gen/");
}

/** A test beside its source. */
export function isTest(path: string): boolean {
  return path.endsWith(".test.ts");
}

/** The names of folders that hold workspace packages: `packages/bowline`, `examples/shop`, … */
export function workspaceFolders(): string[] {
  return ["packages", "examples"].flatMap((parent) =>
    exists(parent)
      ? readdirSync(join(root, parent))
          .map((name) => `${parent}/${name}`)
          .filter((folder) => exists(`${folder}/package.json`))
      : [],
  );
}
