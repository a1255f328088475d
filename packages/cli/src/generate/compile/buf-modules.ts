import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import { CommandError } from "../../command-error.ts";

/** A folder that import paths begin below. */
export interface ProtoRoot {
  /** Absolute, as are the others. */
  readonly folder: string;
  /** Only what lies in these is generated from; empty: everything. */
  readonly includes: readonly string[];
  /** What lies in these is not. */
  readonly excludes: readonly string[];
}

/** The modules that buf's configuration in a folder names. */
export interface BufModules {
  readonly roots: readonly ProtoRoot[];
  /** There are `deps`, which would have to be downloaded: they are left alone. */
  readonly hasDependencies: boolean;
}

/** Names of buf's configuration files that say where modules are. */
export const BUF_CONFIG_FILES: readonly string[] = ["buf.yaml", "buf.work.yaml"];

/** A folder of .proto files without any configuration. */
export function plainRoot(folder: string): ProtoRoot {
  return { folder, includes: [], excludes: [] };
}

/** What a buf.yaml (v1beta1, v1, v2) or buf.work.yaml in `folder` says; undefined without one. */
export async function bufModules(folder: string): Promise<BufModules | undefined> {
  if (existsSync(join(folder, "buf.work.yaml"))) return ofWorkspace(folder);
  if (existsSync(join(folder, "buf.yaml"))) return ofModuleFile(folder);
  return undefined;
}

async function ofWorkspace(folder: string): Promise<BufModules> {
  const file = join(folder, "buf.work.yaml");
  const directories = list((await readMapping(file)).directories, "directories", file);
  const found = await Promise.all(
    directories.map(async (name) => {
      const module = join(folder, name);
      return (await existingModule(module)) ?? { roots: [plainRoot(module)], hasDependencies: false };
    }),
  );
  return merged(found);
}

async function existingModule(folder: string): Promise<BufModules | undefined> {
  return existsSync(join(folder, "buf.yaml")) ? ofModuleFile(folder) : undefined;
}

/** Paths of a v2 file are relative to it; excludes of a v1 file to its module, which is the folder it lies in. */
async function ofModuleFile(folder: string): Promise<BufModules> {
  const file = join(folder, "buf.yaml");
  const content = await readMapping(file);
  const hasDependencies = list(content.deps, "deps", file).length > 0;
  if (content.version !== "v2") {
    const build = mapping(content.build ?? {}, "build", file);
    const roots = list(build.roots, "build.roots", file);
    const excludes = list(build.excludes, "build.excludes", file).map((path) => join(folder, path));
    const folders = roots.length === 0 ? [folder] : roots.map((root) => join(folder, root));
    return { roots: folders.map((root) => ({ folder: root, includes: [], excludes })), hasDependencies };
  }
  const modules = content.modules === undefined ? [{ path: "." }] : content.modules;
  if (!Array.isArray(modules)) throw malformed(file, "modules is no list");
  const roots = modules.map((each, i) => {
    const module = mapping(each, `modules[${i}]`, file);
    if (module.path !== undefined && typeof module.path !== "string")
      throw malformed(file, `modules[${i}].path is no text`);
    const paths = (name: "includes" | "excludes"): string[] =>
      list(module[name], `modules[${i}].${name}`, file).map((path) => join(folder, path));
    return { folder: join(folder, module.path ?? "."), includes: paths("includes"), excludes: paths("excludes") };
  });
  return { roots, hasDependencies };
}

function merged(modules: readonly BufModules[]): BufModules {
  return {
    roots: modules.flatMap((each) => each.roots),
    hasDependencies: modules.some((each) => each.hasDependencies),
  };
}

async function readMapping(file: string): Promise<Readonly<Record<string, unknown>>> {
  const text = await readFile(file, "utf8");
  let content: unknown;
  try {
    content = parse(text, { prettyErrors: true });
  } catch (error) {
    throw malformed(file, error instanceof Error ? error.message : `${error}`);
  }
  // An empty buf.yaml is a module of buf's first version.
  return mapping(content ?? {}, "it", file);
}

function mapping(value: unknown, name: string, file: string): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw malformed(file, `${name} is no mapping`);
}

function list(value: unknown, name: string, file: string): readonly string[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value) && value.every((each) => typeof each === "string")) return value;
  throw malformed(file, `${name} is no list of text`);
}

function malformed(file: string, problem: string): CommandError {
  return new CommandError(
    `${file} can't be read as buf's configuration: ${problem}`,
    "Correct it: buf config ls-modules shows what buf reads.",
  );
}
