import type { Dirent } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm, rmdir, writeFile } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { CommandError } from "../command-error.ts";
import { fileError } from "../file-error.ts";
import { CONFIG_FILE } from "./config/gen-config.ts";
import { generatedHead } from "./emit/generated-head.ts";
import type { OutputPlan } from "./plan-output.ts";

/** A folder with one of these is a project of its own. */
const PROJECT_FILES: ReadonlySet<string> = new Set(["package.json", CONFIG_FILE]);
const GENERATED = /_(?:pb|rpc)\.ts$/;

/** How a file on disk relates to what was generated: `gone` means that it is not generated any more. */
export type FileState = "new" | "changed" | "unchanged" | "gone";

/** A file of the output folder. */
export interface OutputFile {
  /** From the output folder, with `/`. */
  readonly path: string;
  readonly state: FileState;
  /** Empty for those that are gone. */
  readonly text: string;
}

/** An output folder, and how the files in it relate to what was generated, in order of paths. */
export interface OutputState {
  /** Absolute. */
  readonly folder: string;
  readonly files: readonly OutputFile[];
}

/**
 * Compares what was generated with what is there. Left-over files are looked for in folders that are to be clean; what another
 * output of the same run has put there is none. Throws a CommandError when two outputs have different texts for one file.
 */
export async function compareOutputs(plans: readonly OutputPlan[]): Promise<OutputState[]> {
  const texts = textsByFile(plans);
  const folders = [...new Set(plans.map((plan) => plan.folder))];
  return Promise.all(
    folders.map(async (folder) => {
      const own = plans.filter((plan) => plan.folder === folder);
      const paths = new Set(own.flatMap((plan) => plan.texts.map(({ path }) => path)));
      const files: OutputFile[] = [];
      for (const path of paths) {
        const text = texts.get(join(folder, path)) ?? "";
        files.push({ path, text, state: await stateOf(join(folder, path), text) });
      }
      const tests = own.flatMap((plan) => plan.isGone ?? []);
      const isGone: OutputPlan["isGone"] = (importPath) => tests.some((test) => test(importPath));
      if (tests.length > 0) files.push(...(await goneFiles(folder, texts, isGone)));
      return { folder, files: files.sort((a, b) => (a.path < b.path ? -1 : 1)) };
    }),
  );
}

/**
 * Makes the folder hold the files. Each is written beside its place and moved there, so that a reader sees the old text or the
 * new one, whoever else is writing; unchanged files keep their time stamp. Folders that become empty go with their last file.
 */
export async function writeOutput({ folder, files }: OutputState): Promise<void> {
  for (const file of files) {
    const path = join(folder, file.path);
    if (file.state === "gone") await removeFile(folder, path);
    else if (file.state !== "unchanged") await writeWhole(path, file.text);
  }
}

function textsByFile(plans: readonly OutputPlan[]): Map<string, string> {
  const texts = new Map<string, string>();
  for (const { folder, texts: own } of plans) {
    for (const { path, text } of own) {
      const file = join(folder, path);
      if ((texts.get(file) ?? text) === text) texts.set(file, text);
      else throw new CommandError(`two outputs would write ${file}`, "Give each output an out of its own.");
    }
  }
  return texts;
}

async function stateOf(path: string, text: string): Promise<FileState> {
  const before = await readFile(path, "utf8").catch((error) => {
    if (error.code === "ENOENT") return undefined;
    throw fileError("read", path, error);
  });
  if (before === undefined) return "new";
  return withoutReturns(before) === withoutReturns(text) ? "unchanged" : "changed";
}

/** Git may end the lines of a checkout with CRLF; that is no other text. */
function withoutReturns(text: string): string {
  return text.replaceAll("\r\n", "\n");
}

/** Drafts of one process have different names, those of several differ by the process. */
let drafts = 0;
const DRAFT = /_(?:pb|rpc)\.ts\.(\d+)-\d+\.tmp$/;

async function writeWhole(path: string, text: string): Promise<void> {
  drafts += 1;
  const draft = `${path}.${process.pid}-${drafts}.tmp`;
  try {
    await writeDraft(draft, text);
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined);
    throw fileError("write", path, error);
  }
}

/** Another run may remove the folder as empty just after it was made: then it is made again. */
async function writeDraft(draft: string, text: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await makeFolder(dirname(draft));
      return await writeFile(draft, text);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT" || attempt === 10) throw error;
    }
  }
}

/** Like mkdir with `recursive`, which in Node never ends below a folder such as /proc that takes no folders and says ENOENT. */
async function makeFolder(folder: string): Promise<void> {
  const made = await mkdir(folder).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === "EEXIST") return true;
      if (error.code === "ENOENT" && dirname(folder) !== folder) return false;
      throw error;
    },
  );
  if (made) return;
  await makeFolder(dirname(folder));
  await mkdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
}

async function removeFile(folder: string, path: string): Promise<void> {
  await rm(path, { force: true }).catch((error) => {
    throw fileError("remove", path, error);
  });
  for (let at = dirname(path); at !== folder && at.startsWith(folder); at = dirname(at)) {
    // Fails for a folder that is not empty, which is just right.
    const isRemoved = await rmdir(at).then(
      () => true,
      () => false,
    );
    if (!isRemoved) return;
  }
}

/** Looks at no folder of another project, where generated files are that project's affair, unless this run writes there itself. */
async function goneFiles(
  folder: string,
  kept: ReadonlyMap<string, string>,
  isGone: (importPath: string) => boolean,
): Promise<OutputFile[]> {
  const own = foldersOf(folder, kept.keys());
  const gone: OutputFile[] = [];
  const look = async (at: string): Promise<void> => {
    const entries = await entriesOf(at);
    if (!own.has(at) && entries.some(({ name }) => PROJECT_FILES.has(name))) return;
    for (const entry of entries) {
      const path = join(at, entry.name);
      if (entry.isDirectory() && entry.name !== "node_modules") await look(path);
      if (!entry.isFile() || kept.has(path)) continue;
      const fromFolder = relative(folder, path).replaceAll(sep, "/");
      if (!isLeftDraft(entry.name)) {
        if (!(await isGenerated(path, fromFolder)) || !isGone(protoOf(fromFolder))) continue;
      }
      gone.push({ path: fromFolder, text: "", state: "gone" });
    }
  };
  await look(folder);
  return gone;
}

/** The folder itself, and each below it that leads to one of the files. */
function foldersOf(folder: string, files: Iterable<string>): ReadonlySet<string> {
  const folders = new Set([folder]);
  for (const file of files) {
    for (let at = dirname(file); at.startsWith(folder) && !folders.has(at); at = dirname(at)) folders.add(at);
  }
  return folders;
}

/** None for a folder that is not there: another run may have removed it as empty. */
function entriesOf(folder: string): Promise<Dirent[]> {
  return readdir(folder, { withFileTypes: true }).catch((error) => {
    if (error.code === "ENOENT") return [];
    throw fileError("read", folder, error);
  });
}

/** By its first line, which names the .proto and so where a file is from the output folder that it was generated into. */
async function isGenerated(path: string, fromFolder: string): Promise<boolean> {
  if (!GENERATED.test(fromFolder)) return false;
  const head = Buffer.from(generatedHead(protoOf(fromFolder)));
  // Another run may be faster.
  const file = await open(path).catch(() => undefined);
  if (file === undefined) return false;
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(head.length));
    return head.equals(buffer.subarray(0, bytesRead));
  } finally {
    await file.close();
  }
}

/** The import path of the .proto that a generated file in the output folder comes from. */
function protoOf(fromFolder: string): string {
  return fromFolder.replace(GENERATED, ".proto");
}

/** What a run has left that was killed in the middle of writing a file. */
function isLeftDraft(name: string): boolean {
  const writer = DRAFT.exec(name)?.[1];
  return writer !== undefined && !isRunning(Number(writer));
}

function isRunning(processId: number): boolean {
  try {
    return process.kill(processId, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
