import { existsSync } from "node:fs";
import { join, relative, resolve, sep } from "node:path";
import { compileProtos } from "./compile/compile-protos.ts";
import { readDescriptorSet } from "./compile/descriptor-set.ts";
import { findProtoSources, type ProtoSources } from "./compile/proto-sources.ts";
import { type GeneratedText, generateFiles, type TargetFile } from "./emit/generate-files.ts";
import { loadPluginRuntime, type PluginRuntime } from "./emit/plugin-runtime.ts";
import { importExtensionFor } from "./import-extension.ts";
import { refuseUnknownEditions } from "./refuse-editions.ts";
import type { GenerateSettings } from "./settings.ts";

/** What a folder is to hold. */
export interface OutputPlan {
  /** Absolute. */
  readonly folder: string;
  readonly texts: readonly GeneratedText[];
  /** Other generated files in the folder are to go. */
  readonly clean: boolean;
}

/** Compiles and generates; writes nothing. A signal ends the compiler, and the promise rejects. */
export async function planOutput(settings: GenerateSettings, signal?: AbortSignal): Promise<OutputPlan> {
  const folder = outputFolder(settings);
  const input = await (settings.descriptorSet === undefined ? compiled(settings, signal) : precompiled(settings));
  const { descriptorSet, targets, runtime } = input;
  refuseUnknownEditions(descriptorSet, targets, runtime);
  const importExtension = settings.importExtension ?? importExtensionFor(folder);
  const { messages } = settings;
  const messagesFrom = fromFolder(folder, settings);
  const texts = generateFiles({ descriptorSet, targets, importExtension, messages, messagesFrom }, runtime);
  return { folder, texts, clean: settings.clean === true };
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
  readonly targets: Map<string, TargetFile>;
  readonly runtime: PluginRuntime;
}

async function compiled(settings: GenerateSettings, signal: AbortSignal | undefined): Promise<GeneratorInput> {
  const { cwd, paths, include = [], project, compiler = "auto" } = settings;
  const protos = await findProtoSources({ cwd, paths, include, project });
  // Loading takes as long as compiling and blocks this process, not the compiler's.
  const [descriptorSet, runtime] = await compileProtos(protos, { cwd, compiler, signal }, loadPluginRuntime);
  return { descriptorSet, targets: targetsOf(protos, cwd), runtime };
}

async function precompiled({ cwd, descriptorSet = "", paths }: GenerateSettings): Promise<GeneratorInput> {
  const runtime = loadPluginRuntime();
  const { bytes, targets } = await readDescriptorSet(cwd, descriptorSet, paths, runtime);
  // Messages name files by their import path: where they lie, the set does not tell.
  return { descriptorSet: bytes, targets: new Map(targets.map((name) => [name, { shown: name, text: "" }])), runtime };
}

function targetsOf(protos: ProtoSources, cwd: string): Map<string, TargetFile> {
  const targets = protos.sources.filter((source) => source.isTarget);
  return new Map(targets.map(({ importPath, file, text }) => [importPath, { shown: relative(cwd, file), text }]));
}
