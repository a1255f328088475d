import { existsSync, statSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, relative, resolve, sep } from "node:path";
import { CommandError } from "../../command-error.ts";
import { bufModuleFolders } from "./buf.ts";
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
}

/** All files that a compilation needs. */
export interface ProtoSources {
  /** In order of their import path. */
  readonly sources: readonly ProtoSource[];
  /** Where imports were searched, first to last, absolute. */
  readonly searched: readonly string[];
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
  const project = await projectRoots(selection.cwd);
  const targets =
    selection.paths.length === 0 ? await below(project) : await named(selection, [...include, ...project]);
  if (targets.length === 0) throw nothingFound(selection, project);
  const searched = [...new Set([...targets.map((target) => target.root), ...include, ...project, bundledProtos()])];
  return { sources: await withImports(targets, searched), searched };
}

async function projectRoots(cwd: string): Promise<string[]> {
  if (hasBufConfig(cwd)) return bufModuleFolders(cwd);
  const proto = join(cwd, "proto");
  return existsSync(proto) ? rootsIn(proto) : [];
}

async function rootsIn(path: string): Promise<string[]> {
  return hasBufConfig(path) ? bufModuleFolders(path) : [path];
}

function hasBufConfig(path: string): boolean {
  return existsSync(join(path, "buf.yaml")) || existsSync(join(path, "buf.work.yaml"));
}

/** The protos that come with the package `bowline`: google/rpc, google/api, grpc. */
function bundledProtos(): string {
  return join(dirname(createRequire(import.meta.url).resolve("bowline/package.json")), "proto");
}

async function named(selection: ProtoSelection, roots: readonly string[]): Promise<RootedFile[]> {
  const targets: RootedFile[] = [];
  for (const path of selection.paths) {
    const absolute = resolve(selection.cwd, path);
    const root = roots.find((each) => isWithin(each, absolute));
    if (!existsSync(absolute))
      throw new CommandError(`${path} does not exist`, "Name .proto files, or folders of them.");
    if (statSync(absolute).isDirectory()) {
      if (root === undefined) targets.push(...(await below(await rootsIn(absolute))));
      else targets.push(...(await protoFiles(absolute)).map((file) => ({ root, file })));
    } else if (path.endsWith(".proto")) {
      targets.push({ root: root ?? (await rootByPackage(absolute)), file: absolute });
    } else {
      throw new CommandError(`${path} is no .proto file`, "Name .proto files, or folders of them.");
    }
  }
  return targets;
}

async function below(roots: readonly string[]): Promise<RootedFile[]> {
  const found: RootedFile[] = [];
  for (const root of roots) {
    for (const file of await protoFiles(root)) found.push({ root, file });
  }
  return found;
}

/** Package `user.v1` in `…/api/user/v1/user.proto` says that import paths begin below `…/api`. */
async function rootByPackage(file: string): Promise<string> {
  const folderOfFile = dirname(file);
  const packagePath = readProtoHead(await readFile(file, "utf8")).package.replaceAll(".", sep);
  if (packagePath === "" || !folderOfFile.endsWith(sep + packagePath)) return folderOfFile;
  return folderOfFile.slice(0, -packagePath.length - 1) || sep;
}

async function protoFiles(path: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(path, { withFileTypes: true })) {
    if (entry.name.startsWith(".") || entry.name === "node_modules") continue;
    const child = join(path, entry.name);
    if (entry.name.endsWith(".proto") && !entry.isDirectory()) found.push(child);
    else if (entry.isDirectory()) found.push(...(await protoFiles(child)));
  }
  return found;
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
      text: await readFile(target.file, "utf8"),
      isTarget: true,
    });
  }
  // A Map's iteration meets what is added while it runs.
  for (const source of sources.values()) {
    for (const importPath of readProtoHead(source.text).imports) {
      if (sources.has(importPath) || !isPlain(importPath)) continue;
      const file = searched.map((root) => join(root, importPath)).find((each) => existsSync(each));
      if (file === undefined) continue;
      sources.set(importPath, { importPath, file, text: await readFile(file, "utf8"), isTarget: false });
    }
  }
  return Array.from(sources.values()).sort((a, b) => (a.importPath < b.importPath ? -1 : 1));
}

/** False for paths that would leave the folder they are searched in. */
function isPlain(importPath: string): boolean {
  return importPath.split("/").every((part) => part !== "" && part !== "." && part !== ".." && !part.includes("\\"));
}

function isWithin(root: string, path: string): boolean {
  return path === root || path.startsWith(root.endsWith(sep) ? root : root + sep);
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

function nothingFound(selection: ProtoSelection, project: readonly string[]): CommandError {
  const where =
    selection.paths.length > 0 ? selection.paths : project.map((root) => relative(selection.cwd, root) || ".");
  if (where.length === 0) {
    return new CommandError(
      `nothing to generate from: ${selection.cwd} has neither a folder proto nor a buf.yaml`,
      "Put .proto files into proto/, or name them: bowline generate path/to/protos",
    );
  }
  return new CommandError(
    `no .proto file in ${where.join(", ")}`,
    "Name another folder: bowline generate path/to/protos",
  );
}
