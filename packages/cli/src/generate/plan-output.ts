import { existsSync } from "node:fs";
import { join, relative, resolve, sep } from "node:path";
import { CommandError } from "../command-error.ts";
import { compileProtos } from "./compile/compile-protos.ts";
import { readDescriptorSet } from "./compile/descriptor-set.ts";
import { findProtoSources, type ProtoSources } from "./compile/proto-sources.ts";
import { type GeneratedText, generateFiles, type ShownFile } from "./emit/generate-files.ts";
import { loadPluginRuntime, type PluginRuntime } from "./emit/plugin-runtime.ts";
import { importExtensionFor } from "./import-extension.ts";
import { refuseUnknownEditions } from "./refuse-editions.ts";
import type { GenerateSettings } from "./settings.ts";

/** What a folder is to hold. */
export interface OutputPlan {
  /** Absolute. */
  readonly folder: string;
  readonly texts: readonly GeneratedText[];
  /** Whether another generated file in the folder is to go, by the import path of its .proto; undefined: none is. */
  readonly isGone?: ((importPath: string) => boolean) | undefined;
}

/** Compiles and generates; writes nothing. A signal ends the compiler, and the promise rejects. */
export async function planOutput(settings: GenerateSettings, signal?: AbortSignal): Promise<OutputPlan> {
  const folder = outputFolder(settings);
  const input = await (settings.descriptorSet === undefined ? compiled(settings, signal) : precompiled(settings));
  const { runtime, isThere, ...files } = input;
  refuseUnknownEditions(files, runtime);
  const importExtension = settings.importExtension ?? importExtensionFor(folder);
  const { messages } = settings;
  const messagesFrom = fromFolder(folder, settings);
  const texts = generateFiles({ ...files, importExtension, messages, messagesFrom }, runtime);
  return { folder, texts, isGone: settings.clean === true ? goneIn(settings, isThere) : undefined };
}

/** A run for a part of the files must leave what others of them have been made into. */
function goneIn({ partOf }: GenerateSettings, isThere: GeneratorInput["isThere"]): OutputPlan["isGone"] {
  return (importPath) => partOf === undefined || !isThere(importPath);
}

function fromFolder(folder: string, { cwd, messagesFrom }: GenerateSettings): string | undefined {
  if (messagesFrom === undefined) return undefined;
  return relative(folder, resolve(cwd, messagesFrom)).replaceAll(sep, "/") || ".";
}

/** The folder for the generated code, absolute. */
export function outputFolder({ cwd, out, project = "." }: GenerateSettings): string {
  if (out !== undefined) return resolve(cwd, out);
  const folder = resolve(cwd, project);
  return existsSync(join(folder, "src")) ? join(folder, "src", "gen") : join(folder, "gen");
}

/** What the generator needs, and itself. */
interface GeneratorInput {
  readonly descriptorSet: Uint8Array;
  readonly targets: ReadonlyMap<string, ShownFile>;
  readonly imports?: ReadonlyMap<string, ShownFile>;
  readonly runtime: PluginRuntime;
  /** Whether there is a .proto file of this import path, be it generated from or not. */
  isThere(importPath: string): boolean;
}

async function compiled(settings: GenerateSettings, signal: AbortSignal | undefined): Promise<GeneratorInput> {
  const { cwd, paths, include = [], project, compiler = "auto" } = settings;
  const protos = await findProtoSources({ cwd, paths, include, project });
  // Loading takes as long as compiling and blocks this process, not the compiler's.
  const [descriptorSet, runtime] = await compileProtos(protos, { cwd, compiler, signal }, loadPluginRuntime);
  const roots = await allRoots(settings, protos);
  const isThere = (path: string): boolean => roots.some((root) => existsSync(join(root, path)));
  return { descriptorSet, targets: shown(protos, cwd, true), imports: shown(protos, cwd, false), runtime, isThere };
}

/** The folders below which there may be .proto files of the output folder. */
async function allRoots(settings: GenerateSettings, { searched }: ProtoSources): Promise<readonly string[]> {
  const { cwd, include = [], project, partOf } = settings;
  if (partOf === undefined || settings.clean !== true) return searched;
  const whole = await findProtoSources({ cwd, paths: partOf, include, project }).catch((error) => {
    // There may be no other .proto files than those that were named.
    if (error instanceof CommandError) return undefined;
    throw error;
  });
  return whole === undefined ? searched : [...searched, ...whole.searched];
}

async function precompiled({ cwd, descriptorSet = "", paths }: GenerateSettings): Promise<GeneratorInput> {
  const runtime = loadPluginRuntime();
  const { bytes, targets, files } = await readDescriptorSet(cwd, descriptorSet, paths, runtime);
  // Messages name files by their import path: where they lie, the set does not tell.
  const shownTargets = new Map(targets.map((name) => [name, { shown: name, text: "" }]));
  return { descriptorSet: bytes, targets: shownTargets, runtime, isThere: (path) => files.includes(path) };
}

function shown({ sources }: ProtoSources, cwd: string, areTargets: boolean): Map<string, ShownFile> {
  const wanted = sources.filter((source) => source.isTarget === areTargets);
  return new Map(wanted.map(({ importPath, file, text }) => [importPath, { shown: relative(cwd, file), text }]));
}
