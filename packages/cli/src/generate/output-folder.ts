import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import type { GeneratedText } from "./emit/generate-files.ts";
import { GENERATED_MARK } from "./emit/generated-head.ts";

/** How a file on disk relates to what was generated: `gone` means that its .proto is not generated from any more. */
export type FileState = "new" | "changed" | "unchanged" | "gone";

/** A file of the output folder. */
export interface OutputFile {
  /** From the output folder, with `/`. */
  readonly path: string;
  readonly state: FileState;
  /** Empty for those that are gone. */
  readonly text: string;
}

/** Compares what was generated with the folder, in order of paths. Left-over files are looked for only if `withGone`. */
export async function compareOutput(
  folder: string,
  texts: readonly GeneratedText[],
  withGone: boolean,
): Promise<OutputFile[]> {
  const files: OutputFile[] = [];
  for (const { path, text } of texts) files.push({ path, text, state: await stateOf(join(folder, path), text) });
  if (withGone) {
    const generated = new Set(texts.map((each) => each.path));
    for (const path of await generatedFiles(folder)) {
      if (!generated.has(path)) files.push({ path, text: "", state: "gone" });
    }
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/**
 * Makes the folder hold the files. Each is written beside its place and moved there, so that a reader sees the old text or
 * the new one; unchanged files keep their time stamp. Folders that become empty are removed with the last file.
 */
export async function writeOutput(folder: string, files: readonly OutputFile[]): Promise<void> {
  for (const file of files) {
    const path = join(folder, file.path);
    if (file.state === "gone") await removeFile(folder, path);
    else if (file.state !== "unchanged") await writeWhole(path, file.text);
  }
}

async function stateOf(path: string, text: string): Promise<FileState> {
  if (!existsSync(path)) return "new";
  return (await readFile(path, "utf8")) === text ? "unchanged" : "changed";
}

async function writeWhole(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const draft = `${path}.${process.pid}.tmp`;
  try {
    await writeFile(draft, text);
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

async function removeFile(folder: string, path: string): Promise<void> {
  await rm(path);
  for (let at = dirname(path); at !== folder && at.startsWith(folder); at = dirname(at)) {
    if ((await readdir(at)).length > 0) return;
    await rm(at, { recursive: true });
  }
}

async function generatedFiles(folder: string): Promise<string[]> {
  if (!existsSync(folder)) return [];
  const found: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile() || !/_(pb|rpc)\.ts$/.test(entry.name)) continue;
    const path = join(entry.parentPath, entry.name);
    if ((await readFile(path, "utf8")).startsWith(GENERATED_MARK))
      found.push(relative(folder, path).replaceAll(sep, "/"));
  }
  return found;
}
