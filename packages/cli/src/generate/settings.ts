import { dirname, relative, resolve } from "node:path";
import { CommandError } from "../command-error.ts";
import type { GenerateFlags } from "../commands/generate.ts";
import type { CompilerName } from "./compile/compile-protos.ts";
import type { GenConfig, OutputConfig } from "./config/gen-config.ts";
import type { ImportExtension } from "./emit/source-text.ts";

/** What to generate, from what, and where to. Paths are absolute or relative to `cwd`. */
export interface GenerateSettings {
  /** The user's folder, absolute; paths in messages are relative to it. */
  readonly cwd: string;
  /** .proto files and folders; empty: those of the project. With a descriptor set: import paths in it; empty: all. */
  readonly paths: readonly string[];
  /** What the output folder is for, in the form of `paths`, where these are only a part of it. */
  readonly partOf?: readonly string[] | undefined;
  /** The folder whose proto/ or buf.yaml is taken where nothing is named, and whose src/ decides on `out`; default: `cwd`. */
  readonly project?: string | undefined;
  /** A compiled file, instead of .proto files. */
  readonly descriptorSet?: string | undefined;
  /** Folders to search for imports. */
  readonly include?: readonly string[] | undefined;
  /** Default: src/gen, or gen without a src/. */
  readonly out?: string | undefined;
  /** Default: by the nearest tsconfig.json. */
  readonly importExtension?: ImportExtension | undefined;
  /** False: *_rpc.ts only, for messages that a protoc-gen-es of the user's own has generated. Default: true. */
  readonly messages?: boolean | undefined;
  /** The folder of those messages; default: `out`. Only with `messages: false`. */
  readonly messagesFrom?: string | undefined;
  /** Default: auto. */
  readonly compiler?: CompilerName | undefined;
  /**
   * Remove other generated files: all that this run does not make, or those whose .proto is gone if it is for a part. Default: false.
   */
  readonly clean?: boolean | undefined;
}

/** The flags, and what they are relative to. */
export interface GenerateRequest extends GenerateFlags {
  readonly cwd: string;
  readonly paths: readonly string[];
}

/** One setting for each output: the configuration's, and what flags say instead. Throws a CommandError where they contradict. */
export function settingsOf(request: GenerateRequest, config: GenConfig | undefined): GenerateSettings[] {
  const outputs = config?.outputs ?? [{}];
  if (config !== undefined && outputs.length > 1)
    refuseSingular(request, relative(request.cwd, config.file), outputs.length);
  return outputs.map((output) => {
    const settings = merged(request, fromHere(output, request.cwd, config));
    if (settings.messagesFrom === undefined || settings.messages === false) return settings;
    throw new CommandError(
      "messages_from goes with messages that are generated elsewhere",
      "Add messages: false (--no-messages), or leave messages_from out.",
    );
  });
}

function merged(request: GenerateRequest, output: OutputConfig & { project?: string }): GenerateSettings {
  const { cwd, paths } = request;
  // A descriptor set named by a flag is another input than the files that the configuration names.
  const inputs = request.descriptorSet === undefined ? (output.inputs ?? []) : [];
  return {
    cwd,
    paths: paths.length > 0 ? paths : inputs,
    partOf: paths.length > 0 ? inputs : undefined,
    project: output.project,
    descriptorSet: request.descriptorSet ?? output.descriptorSet,
    include: request.include ?? output.include,
    out: request.out ?? output.out,
    importExtension: request.importExtension ?? output.importExtension,
    messages: request.messages ?? output.messages,
    messagesFrom: request.messagesFrom ?? output.messagesFrom,
    compiler: request.compiler ?? output.compiler,
    clean: request.clean ?? output.clean,
  };
}

/** The configuration's paths are relative to its folder; those of the result to `cwd`. */
function fromHere(
  output: OutputConfig,
  cwd: string,
  config: GenConfig | undefined,
): OutputConfig & { project?: string } {
  if (config === undefined) return output;
  const project = dirname(config.file);
  const here = (path: string): string => relative(cwd, resolve(project, path)) || ".";
  const { inputs, descriptorSet, include, out, messagesFrom } = output;
  return {
    ...output,
    project,
    ...(inputs !== undefined && { inputs: descriptorSet === undefined ? inputs.map(here) : inputs }),
    ...(descriptorSet !== undefined && { descriptorSet: here(descriptorSet) }),
    ...(include !== undefined && { include: include.map(here) }),
    ...(out !== undefined && { out: here(out) }),
    ...(messagesFrom !== undefined && { messagesFrom: here(messagesFrom) }),
  };
}

function refuseSingular(request: GenerateRequest, file: string, count: number): void {
  const given: readonly (readonly [string, unknown])[] = [
    ["--out", request.out],
    ["--descriptor-set", request.descriptorSet],
    ["--messages-from", request.messagesFrom],
    ["naming paths", request.paths.length > 0 ? request.paths : undefined],
  ];
  const singular = given.find(([, value]) => value !== undefined)?.[0];
  if (singular === undefined) return;
  throw new CommandError(
    `${singular} goes with one output, ${file} has ${count}`,
    "Say it in the file, or run with another one: --config <file>.",
  );
}
