import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { compileWithBuf, findBuf } from "../packages/cli/src/generate/compile/buf.ts";
import {
  type GeneratedText,
  generateFiles,
  WELL_KNOWN_FILES,
} from "../packages/cli/src/generate/emit/generate-files.ts";
import { loadPluginRuntime } from "../packages/cli/src/generate/emit/plugin-runtime.ts";
import { exists, root } from "./repository.ts";

/** Where the codecs of google/protobuf are: users' generated code imports them as `bowline/google/protobuf/…`. */
export const WELL_KNOWN_TYPES = "packages/bowline/src/gen";

/** Writes the codecs of the well-known types, whose messages protobuf-es has; returns the paths of those that had to be changed. */
export async function generateWellKnownTypes(isCheck: boolean): Promise<string[]> {
  const changed: string[] = [];
  for (const { path, text } of await wellKnownTexts()) {
    const file = join(root, WELL_KNOWN_TYPES, path);
    if (exists(join(WELL_KNOWN_TYPES, path)) && (await readFile(file, "utf8")) === text) continue;
    changed.push(path);
    if (isCheck) continue;
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
  return changed;
}

/** buf brings the .proto files; it needs one that imports them. */
async function wellKnownTexts(): Promise<GeneratedText[]> {
  const folder = await mkdtemp(join(tmpdir(), "bowline-well-known-"));
  try {
    const imports = WELL_KNOWN_FILES.map((file) => `import "${file}";`);
    await writeFile(join(folder, "all.proto"), ['syntax = "proto3";', ...imports, ""].join("\n"));
    const buf = findBuf();
    if (buf === undefined) throw new Error("buf is not installed; it comes with @bufbuild/buf");
    const compiled = await compileWithBuf(buf, { folder, sources: [], signal: undefined });
    if (!("descriptorSet" in compiled))
      throw new Error(`buf could not compile the well-known types: ${compiled.stderr}`);
    const { descriptorSet } = compiled;
    const targets = new Map(WELL_KNOWN_FILES.map((file) => [file, { shown: file, text: "" }]));
    const request = { descriptorSet, targets, importExtension: "ts", messages: false } as const;
    return generateFiles(request, loadPluginRuntime());
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
