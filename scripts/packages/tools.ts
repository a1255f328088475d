import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../repository.ts";
import { nodePinsHere, typescriptVersions } from "./pins.ts";
import { Project } from "./project.ts";

/** A program of a certain version. */
export interface Tool {
  readonly version: string;
  /** Absolute: of a binary, or of a script for Node. */
  readonly path: string;
}

/** The versions of Node and TypeScript that pins.ts names. */
export interface Tools {
  /** Empty where npm has none for this platform. */
  readonly nodes: readonly Tool[];
  readonly typescripts: readonly Tool[];
}

/** Installs what pins.ts names, side by side, into .cache/packages-tools; at once done when that has happened before. */
export async function installTools(): Promise<Tools> {
  const node = nodePinsHere();
  const wanted = [
    ...(node?.versions ?? []).map((version) => [`node-${version}`, `npm:${node?.packageName}@${version}`]),
    ...typescriptVersions.map((version) => [`typescript-${version}`, `npm:typescript@${version}`]),
  ];
  const folder = join(root, ".cache/packages-tools");
  const stamp = join(folder, "installed");
  const record = JSON.stringify([process.platform, process.arch, wanted]);
  if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== record) {
    await new Project(folder, { dependencies: Object.fromEntries(wanted) }).install();
    writeFileSync(stamp, record);
  }
  const inModules = (name: string, file: string): string => join(folder, "node_modules", name, file);
  return {
    nodes: (node?.versions ?? []).map((version) => ({ version, path: inModules(`node-${version}`, "bin/node") })),
    typescripts: typescriptVersions.map((version) => ({
      version,
      path: inModules(`typescript-${version}`, "bin/tsc"),
    })),
  };
}
