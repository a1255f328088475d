import { mkdir, mkdtemp, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { DescFile, DescMessage, Message } from "@bufbuild/protobuf";
import type { Codec } from "bowline";
import { protobufCodec } from "bowline/codegen";
import { generate } from "../../../packages/cli/src/generate/run.ts";
import { printProto } from "../schema/print-proto.ts";
import { randomSchema } from "../schema/random-schema.ts";

/** Which codec is judged: the one that was generated, or the fallback for descriptors known at run time only. */
export type Judged = "generated" | "dynamic";

/** A message type of a random schema and its codec. */
export interface CompiledType {
  readonly desc: DescMessage;
  readonly codec: Codec<Message>;
  readonly judged: Judged;
  /** What the generated module of its file exports. */
  readonly exported: readonly string[];
  /** Seed of its schema. */
  readonly seed: number;
}

/** Schemas that were compiled together. */
export interface CompiledSchemas {
  /** Where `proto/` and `gen/` are; inside the workspace, so that imports resolve. */
  readonly folder: string;
  readonly types: readonly CompiledType[];
  readonly files: readonly DescFile[];
}

const root = fileURLToPath(new URL("../../../", import.meta.url));

/** A new folder inside the workspace; the caller removes it. */
export async function codecFolder(): Promise<string> {
  await mkdir(join(root, ".cache"), { recursive: true });
  return mkdtemp(join(root, ".cache", "codec-"));
}

/** Makes the random schemas of these seeds in `folder`, generates their code by `bowline generate`'s own functions, and loads it. */
export async function compileSchemas(
  folder: string,
  seeds: readonly number[],
  judged: Judged = "generated",
): Promise<CompiledSchemas> {
  const sources = new Map<string, string>();
  for (const seed of seeds) {
    for (const file of randomSchema(seed, schemaName(seed)).files) sources.set(file.path, printProto(file));
  }
  return compileProtos(folder, sources, judged);
}

/** The same for files given as text, by import path. */
export async function compileProtos(
  folder: string,
  sources: ReadonlyMap<string, string>,
  judged: Judged = "generated",
): Promise<CompiledSchemas> {
  for (const [path, text] of sources) {
    const file = join(folder, "proto", path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
  await generateInto(folder);
  return loadGenerated(folder, judged);
}

/** Loads what was generated into `folder` before, by this process or another. */
export async function loadGenerated(folder: string, judged: Judged = "generated"): Promise<CompiledSchemas> {
  const paths = await generatedFiles(folder);
  const modules = await Promise.all(paths.map((path) => load(join(folder, "gen", path))));
  const byPath = new Map(paths.map((path, index) => [path, modules[index]]));
  const codecs = modules.flatMap((module) => Object.values(module).filter(isCodec));
  const files = modules.flatMap((module) => Object.values(module).filter(isFile));
  const byType = new Map(codecs.map((codec) => [typeNameOf(codec), codec]));
  const types = files
    .flatMap((file) => file.messages.flatMap(withNested))
    .map((desc) => {
      const codec = judged === "dynamic" ? protobufCodec(desc) : byType.get(desc.typeName);
      if (codec === undefined) throw new Error(`no codec was generated for ${desc.typeName}`);
      const exported = Object.keys(byPath.get(`${desc.file.name}_rpc.ts`) ?? {});
      return { desc, codec, judged, exported, seed: Number(/^s(\d+)/.exec(desc.typeName)?.[1]) };
    });
  return { folder, types, files };
}

/** Runs the generator for what lies in `folder`. */
export async function generateInto(folder: string, out = "gen"): Promise<void> {
  await generate({ cwd: folder, paths: ["proto"], out, importExtension: "ts" });
}

/** Generated files, from the folder `out`, in order. */
async function generatedFiles(folder: string, out = "gen"): Promise<string[]> {
  const all = await readdir(join(folder, out), { recursive: true });
  return all.filter((path) => path.endsWith(".ts")).sort();
}

/** All generated text, by path. */
export async function generatedTexts(folder: string, out = "gen"): Promise<Map<string, string>> {
  const paths = await generatedFiles(folder, out);
  return new Map(
    await Promise.all(paths.map(async (path) => [path, await readFile(join(folder, out, path), "utf8")] as const)),
  );
}

/** The first part of every package and path of a schema. */
function schemaName(seed: number): string {
  return `s${seed}`;
}

async function load(path: string): Promise<Record<string, unknown>> {
  return import(/* @vite-ignore */ pathToFileURL(path).href);
}

function isFile(value: unknown): value is DescFile {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "file";
}

function isCodec(value: unknown): value is Codec<Message> {
  return typeof value === "object" && value !== null && "measure" in value && "read" in value && "write" in value;
}

/** Of no bytes every codec makes a message. */
function typeNameOf(codec: Codec<Message>): string {
  return codec.read(Buffer.alloc(0), 0, 0).$typeName;
}

function withNested(desc: DescMessage): DescMessage[] {
  return [desc, ...desc.nestedMessages.flatMap(withNested)];
}
