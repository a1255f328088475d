import {
  chmodSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { run } from "../process.ts";
import { exists, readText, root } from "../repository.ts";
import { removeUnreachedDeclarations } from "./declarations.ts";
import { joinModules } from "./join-modules.ts";
import { entryTypes, type Manifest, publishedManifest, sourcePatterns, typePatterns } from "./manifest.ts";

/** The folders of what is published; a package stands behind those that it depends on. */
export const publishedFolders: readonly string[] = ["packages/bowline", "packages/cli"];

/** npm publishes these without being told. */
const ALWAYS = ["README.md", "LICENSE"];

/** A package as its users will have it, ready for `npm pack` and `npm publish`. */
export interface StagedPackage {
  readonly name: string;
  readonly version: string;
  /** Absolute. Holds what is published and nothing else. */
  readonly folder: string;
  readonly manifest: Manifest;
}

/**
 * Makes the folder `into/<name>` anew: JavaScript and declarations from the sources without tests, the published package.json, and
 * the files that it lists, from the package's folder or else from the repository's root. The same sources give the same bytes.
 *
 * @throws Error when the sources do not compile or a listed file is missing
 */
export async function stagePackage(packageFolder: string, into: string): Promise<StagedPackage> {
  const own = JSON.parse(readText(`${packageFolder}/package.json`)) as Manifest;
  const manifest = publishedManifest(own);
  const folder = join(into, manifest.name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await compile(join(root, packageFolder), join(folder, "dist"), sourcePatterns(own));
  const entries = typePatterns(manifest).flatMap((types) => globSync(join(folder, types)));
  if (entries.length > 0) removeUnreachedDeclarations(join(folder, "dist"), entries);
  for (const types of entryTypes(manifest)) sayNodeTypes(join(folder, types));
  for (const file of [...ALWAYS, ...(manifest.files ?? [])]) {
    if (file !== "dist") copyListed(packageFolder, file, folder);
  }
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, undefined, 2)}\n`);
  setModes(folder, new Set(Object.values(manifest.bin ?? {}).map((file) => join(folder, file))));
  return { name: manifest.name, version: manifest.version, folder, manifest };
}

/**
 * A package that is imported is joined, and has declarations with the comments; one that only has commands is TypeScript's own emit. No
 * source maps (docs/decisions/0012-what-is-published.md): the output has the sources' names and statements.
 */
async function compile(packageFolder: string, target: string, imported: readonly string[]): Promise<void> {
  const source = join(packageFolder, "src");
  if (imported.length === 0) return emit(source, target, { removeComments: true });
  await emit(source, target, { declaration: true, isolatedDeclarations: true, emitDeclarationOnly: true });
  await joinModules(packageFolder, target, imported);
}

async function emit(source: string, target: string, options: Readonly<Record<string, boolean>>): Promise<void> {
  const config = {
    extends: join(root, "tsconfig.json"),
    compilerOptions: {
      noEmit: false,
      noEmitOnError: true,
      newLine: "lf",
      declaration: false,
      isolatedDeclarations: false,
      ...options,
      rootDir: source,
      outDir: target,
      typeRoots: [join(root, "node_modules/@types")],
    },
    include: [source],
    exclude: [join(source, "**/*.test.ts")],
  };
  const folder = mkdtempSync(join(tmpdir(), "bowline-tsc-"));
  try {
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
    const { code, output } = await run("tsc", ["-p", folder]);
    if (code !== 0) throw new Error(`${source} does not compile\n${output.trimEnd()}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * From version 6 on TypeScript takes no types of Node's by itself, and the declarations need them. Where @types/node is missing this
 * line is the only error, instead of hundreds.
 */
function sayNodeTypes(file: string): void {
  writeFileSync(file, `/// <reference types="node" />\n${readFileSync(file, "utf8")}`);
}

function copyListed(packageFolder: string, file: string, folder: string): void {
  const source = [`${packageFolder}/${file}`, file].find(exists);
  if (source === undefined) {
    throw new Error(`${packageFolder}/package.json lists ${file}, which neither it nor the repository's root has`);
  }
  const target = join(folder, file);
  mkdirSync(dirname(target), { recursive: true });
  cpSync(join(root, source), target, { recursive: true });
}

/** npm keeps the modes of files, which are not the same in every clone. */
function setModes(folder: string, executables: ReadonlySet<string>): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    chmodSync(path, entry.isDirectory() || executables.has(path) ? 0o755 : 0o644);
    if (entry.isDirectory()) setModes(path, executables);
  }
  for (const path of executables) {
    if (!existsSync(path)) throw new Error(`bin names ${path}, which was not made`);
  }
}
