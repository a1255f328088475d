import { existsSync, statSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, relative, resolve, sep } from "node:path";
import { CommandError } from "../../command-error.ts";
import { fileError } from "../../file-error.ts";
import { type BufModules, bufModules, type ProtoRoot, plainRoot } from "./buf-modules.ts";
import { isWithin, protoFolders } from "./proto-folders.ts";
import { readProtoHead } from "./proto-text.ts";

/** A .proto file under the name that others import it by. */
export interface ProtoSource {
  /** `user/v1/user.proto`, always with `/`. */
  readonly importPath: string;
  /** Absolute. */
  readonly file: string;
  readonly text: string;
  /** True for what the user asked for, false for what that imports. */
  readonly isTarget: boolean;
}

/** What to generate from, as the user said it. */
export interface ProtoSelection {
  /** The user's folder, absolute; the other paths are relative to it. */
  readonly cwd: string;
  readonly paths: readonly string[];
  readonly include: readonly string[];
  /** The folder whose proto/ or buf.yaml is taken where nothing is named; default: `cwd`. */
  readonly project?: string | undefined;
}

/** All files that a compilation needs. */
export interface ProtoSources {
  /** In order of their import path. */
  readonly sources: readonly ProtoSource[];
  /** Where imports were searched, first to last, absolute. */
  readonly searched: readonly string[];
  /** A buf.yaml names dependencies, which nobody has fetched. */
  readonly hasBufDependencies: boolean;
}

/** A target and the folder that its import path begins below. */
interface RootedFile {
  readonly root: string;
  readonly file: string;
}

/**
 * Finds the .proto files to generate from, and all they import.
 *
 * An import path begins below the first folder that holds the file: those of `include`, the modules of buf.yaml or ./proto,
 * a folder that was named itself, or, for a single file, the folder above its package's path. Imports are searched in the
 * same folders and then among the protos that come with Bowline; what is in none of them is left to the compiler's judgement.
 */
export async function findProtoSources(selection: ProtoSelection): Promise<ProtoSources> {
  const include = selection.include.map((path) => folder(selection.cwd, path, "--include"));
  const project = await projectModules(resolve(selection.cwd, selection.project ?? "."));
  const roots = [...include.map(plainRoot), ...innermostFirst(project.roots)];
  const targets = selection.paths.length === 0 ? await below(project.roots) : await named(selection, roots);
  if (targets.length === 0) throw nothingFound(selection, project.roots);
  const folders = [...targets.map((target) => target.root), ...include, ...project.roots.map((root) => root.folder)];
  const searched = [...new Set([...folders, bundledProtos()])];
  return { sources: await withImports(targets, searched), searched, hasBufDependencies: project.hasDependencies };
}

/** Where the files of a project lie when nobody names any: the modules that buf's configuration lists, else proto/. */
export async function projectModules(project: string): Promise<BufModules> {
  const proto = join(project, "proto");
  const configured = await bufModules(project);
  if (configured !== undefined) return configured;
  return existsSync(proto) ? modulesIn(proto) : { roots: [], hasDependencies: false };
}

async function modulesIn(path: string): Promise<BufModules> {
  return (await bufModules(path)) ?? { roots: [plainRoot(path)], hasDependencies: false };
}

/** A module may lie within another one; a file belongs to the inner one then. */
function innermostFirst(roots: readonly ProtoRoot[]): ProtoRoot[] {
  return roots.toSorted((a, b) => b.folder.length - a.folder.length);
}

/** The protos that come with the package `bowline`: google/rpc, google/api, grpc. */
function bundledProtos(): string {
  return join(dirname(createRequire(import.meta.url).resolve("bowline/package.json")), "proto");
}

async function named(selection: ProtoSelection, roots: readonly ProtoRoot[]): Promise<RootedFile[]> {
  const targets: RootedFile[] = [];
  for (const path of selection.paths) {
    const absolute = resolve(selection.cwd, path);
    const root = roots.find((each) => isWithin(each.folder, absolute));
    if (!existsSync(absolute))
      throw new CommandError(`${path} does not exist`, "Name .proto files, or folders of them.");
    if (statSync(absolute).isDirectory()) {
      const found = root === undefined ? await below((await modulesIn(absolute)).roots) : await filesOf(root, absolute);
      targets.push(...found);
    } else if (path.endsWith(".proto")) {
      targets.push({ root: root?.folder ?? (await rootByPackage(absolute)), file: absolute });
    } else {
      throw new CommandError(`${path} is no .proto file`, "Name .proto files, or folders of them.");
    }
  }
  return targets;
}

async function below(roots: readonly ProtoRoot[]): Promise<RootedFile[]> {
  const found: RootedFile[] = [];
  for (const root of roots) {
    const inner = roots.filter((each) => each.folder !== root.folder && isWithin(root.folder, each.folder));
    const excludes = [...root.excludes, ...inner.map((each) => each.folder)];
    found.push(...(await filesOf({ ...root, excludes }, root.folder)));
  }
  return found;
}

/** The files in a folder of a module, without those that the module leaves out; naming what is left out takes it in. */
async function filesOf(root: ProtoRoot, path: string): Promise<RootedFile[]> {
  if (!existsSync(path)) {
    throw new CommandError(`buf's configuration names the folder ${path}, which does not exist`, "Correct buf.yaml.");
  }
  const files = await protoFiles(path);
  const taken = isLeftOut(root, path) ? files : files.filter((file) => !isLeftOut(root, file));
  return taken.map((file) => ({ root: root.folder, file }));
}

function isLeftOut({ includes, excludes }: ProtoRoot, path: string): boolean {
  if (excludes.some((each) => isWithin(each, path))) return true;
  return includes.length > 0 && !includes.some((each) => isWithin(each, path) || isWithin(path, each));
}

/** Package `user.v1` in `…/api/user/v1/user.proto` says that import paths begin below `…/api`. */
export async function rootByPackage(file: string): Promise<string> {
  const folderOfFile = dirname(file);
  const packagePath = readProtoHead(await readText(file)).package.replaceAll(".", sep);
  if (packagePath === "" || !folderOfFile.endsWith(sep + packagePath)) return folderOfFile;
  return folderOfFile.slice(0, -packagePath.length - 1) || sep;
}

async function protoFiles(path: string): Promise<string[]> {
  const folders = await protoFolders(path, (folder) =>
    readdir(folder, { withFileTypes: true }).catch((error) => {
      throw fileError("read", folder, error);
    }),
  );
  return folders.flatMap(({ files }) => files.filter((file) => file.endsWith(".proto")));
}

async function withImports(targets: readonly RootedFile[], searched: readonly string[]): Promise<ProtoSource[]> {
  const sources = new Map<string, ProtoSource>();
  for (const target of targets) {
    const importPath = relative(target.root, target.file).replaceAll(sep, "/");
    const before = sources.get(importPath);
    if (before?.file === target.file) continue;
    if (before !== undefined) throw samePath(importPath, before.file, target.file);
    sources.set(importPath, {
      importPath,
      file: target.file,
      text: await readText(target.file),
      isTarget: true,
    });
  }
  // A Map's iteration meets what is added while it runs.
  for (const source of sources.values()) {
    for (const importPath of readProtoHead(source.text).imports) {
      if (sources.has(importPath) || !isPlainImportPath(importPath)) continue;
      const file = searched.map((root) => join(root, importPath)).find((each) => existsSync(each));
      if (file === undefined) continue;
      sources.set(importPath, { importPath, file, text: await readText(file), isTarget: false });
    }
  }
  return Array.from(sources.values()).sort((a, b) => (a.importPath < b.importPath ? -1 : 1));
}

function readText(file: string): Promise<string> {
  return readFile(file, "utf8").catch((error) => {
    throw fileError("read", file, error);
  });
}

/** False for paths that would leave the folder they are searched in. */
export function isPlainImportPath(importPath: string): boolean {
  return importPath.split("/").every((part) => part !== "" && part !== "." && part !== ".." && !part.includes("\\"));
}

function folder(cwd: string, path: string, option: string): string {
  const absolute = resolve(cwd, path);
  if (existsSync(absolute) && statSync(absolute).isDirectory()) return absolute;
  throw new CommandError(
    `${option} ${path} is no folder`,
    `Name a folder that holds .proto files, relative to ${cwd}.`,
  );
}

function samePath(importPath: string, first: string, second: string): CommandError {
  return new CommandError(
    `${first} and ${second} would both be imported as ${importPath}`,
    "Give the folder above both as --include, or generate them in two runs with a different --out.",
  );
}

function nothingFound(selection: ProtoSelection, project: readonly ProtoRoot[]): CommandError {
  const where =
    selection.paths.length > 0 ? selection.paths : project.map((root) => relative(selection.cwd, root.folder) || ".");
  if (where.length === 0) {
    return new CommandError(
      `nothing to generate from: ${resolve(selection.cwd, selection.project ?? ".")} has neither a folder proto nor a buf.yaml`,
      "Put .proto files into proto/, or name them: bowline generate path/to/protos",
    );
  }
  return new CommandError(
    `no .proto file in ${where.join(", ")}`,
    "Name another folder: bowline generate path/to/protos",
  );
}
