import { existsSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { BUF_CONFIG_FILES } from "../compile/buf-modules.ts";
import { projectModules, rootByPackage } from "../compile/proto-sources.ts";
import { CONFIG_FILE } from "../config/gen-config.ts";
import type { GenerateRequest, GenerateSettings } from "../settings.ts";

/** What a change of matters. All paths are absolute; none has to exist. */
export interface WatchedPlaces {
  /** Each .proto file and configuration of buf below these. */
  readonly trees: readonly string[];
  readonly files: readonly string[];
}

/** The places of a configuration: `settings` is empty while it can't be read. */
export async function watchedPlaces(
  request: GenerateRequest,
  settings: readonly GenerateSettings[],
): Promise<WatchedPlaces> {
  const trees = new Set<string>();
  const files = new Set([resolve(request.cwd, request.config ?? CONFIG_FILE)]);
  for (const each of settings) {
    const at = (path: string): string => resolve(each.cwd, path);
    if (each.descriptorSet !== undefined) {
      files.add(at(each.descriptorSet));
      continue;
    }
    const project = at(each.project ?? ".");
    for (const name of BUF_CONFIG_FILES) files.add(join(project, name));
    for (const tree of await projectTrees(project)) trees.add(tree);
    for (const path of each.include ?? []) trees.add(at(path));
    for (const path of each.paths) trees.add(await treeOf(at(path)));
  }
  return { trees: [...trees], files: [...files] };
}

/** A configuration of buf that can't be read says so when it is generated from. */
async function projectTrees(project: string): Promise<string[]> {
  const modules = await projectModules(project).catch(() => undefined);
  const roots = modules?.roots.map((root) => root.folder) ?? [];
  return roots.length > 0 ? roots : [join(project, "proto")];
}

async function treeOf(path: string): Promise<string> {
  if (!path.endsWith(".proto") || (existsSync(path) && statSync(path).isDirectory())) return path;
  return rootByPackage(path).catch(() => resolve(path, ".."));
}
