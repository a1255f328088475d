import { posix } from "node:path";
import type { DescFile, DescMethod, DescService } from "@bufbuild/protobuf";
import type { CodeGeneratorRequest, CodeGeneratorResponse } from "@bufbuild/protobuf/wkt";
import type { GeneratedFile, Plugin } from "@bufbuild/protoplugin";
import { CommandError } from "../../command-error.ts";
import { generatedHead } from "./generated-head.ts";
import type { PluginRuntime } from "./plugin-runtime.ts";
import { refuseNames } from "./refuse-names.ts";
import { type MessageNames, rpcFile, rpcFilePath } from "./rpc-file.ts";
import type { ImportExtension, ImportedName } from "./source-text.ts";

/** A generated file; the same input gives the same text on every machine. */
export interface GeneratedText {
  /** From the output folder, with `/`. */
  readonly path: string;
  readonly text: string;
}

/** How messages show a .proto file. */
export interface ShownFile {
  /** Its name. */
  readonly shown: string;
  /** Empty where it is not known. */
  readonly text: string;
}

/** What to generate. */
export interface GenerationRequest {
  /** An encoded google.protobuf.FileDescriptorSet with comments, imports first. */
  readonly descriptorSet: Uint8Array;
  /** By import path the files whose services are wanted; messages and their codecs are generated for what they import as well. */
  readonly targets: ReadonlyMap<string, ShownFile>;
  /** The same for what they import, as far as it is known. */
  readonly imports?: ReadonlyMap<string, ShownFile> | undefined;
  readonly importExtension: ImportExtension;
  /** False leaves `*_pb.ts` to a protoc-gen-es of the user's own. Default: true. */
  readonly messages?: boolean | undefined;
  /** Where that writes: path from the output folder, with `/`. Default: the output folder. */
  readonly messagesFrom?: string | undefined;
}

/**
 * Messages by protoc-gen-es, services and codecs by our own generator. Messages of google/protobuf are imported from
 * @bufbuild/protobuf and their codecs from bowline, unless they are targets: whoever brings files of these names may have changed them.
 */
export function generateFiles(request: GenerationRequest, runtime: PluginRuntime): GeneratedText[] {
  const { fromBinary, create } = runtime.protobuf;
  const { FileDescriptorSetSchema, CodeGeneratorRequestSchema } = runtime.wellKnownTypes;
  const files = fromBinary(FileDescriptorSetSchema, request.descriptorSet).file;
  const wanted = files.map((file) => file.name).filter((name) => request.targets.has(name) || !isWellKnown(name));
  const input = create(CodeGeneratorRequestSchema, {
    fileToGenerate: wanted,
    protoFile: files,
    sourceFileDescriptors: files,
  });
  const messages = request.messages === false ? [] : messageFiles(input, request, runtime);
  return [...messages, ...rpcFiles(input, request, runtime)];
}

function messageFiles(
  input: CodeGeneratorRequest,
  request: GenerationRequest,
  runtime: PluginRuntime,
): GeneratedText[] {
  const parameter = `target=ts,import_extension=${request.importExtension},erasable_syntax=true`;
  const response = runMessagePlugin({ ...input, parameter }, runtime.messagePlugin);
  return response.file.map(({ name, content }) => {
    const proto = name.replace(/_pb\.ts$/, ".proto");
    return { path: name, text: `${generatedHead(proto)}\n\n${content}` };
  });
}

/** It refuses editions that it does not know yet. */
function runMessagePlugin(input: CodeGeneratorRequest, plugin: Plugin): CodeGeneratorResponse {
  try {
    return plugin.run(input);
  } catch (error) {
    throw new CommandError(`no code for these files: ${error instanceof Error ? error.message : error}`);
  }
}

function rpcFiles(input: CodeGeneratorRequest, request: GenerationRequest, runtime: PluginRuntime): GeneratedText[] {
  const texts: GeneratedText[] = [];
  const plugin = runtime.protoplugin.createEcmaScriptPlugin({
    name: "bowline",
    version: "",
    generateTs(schema) {
      const generated = new Set(schema.files);
      for (const file of schema.files) {
        const target = request.targets.get(file.proto.name);
        const withServices = target !== undefined && file.services.length > 0;
        refuseNames(file, shownFile(file.proto.name, request), withServices);
        if (!withServices && file.messages.length === 0) continue;
        const path = rpcFilePath(file);
        const names = messageNames(schema.generateFile(path), runtime, request);
        const moduleOf = (other: DescFile): string => modulePath(other, generated);
        const text = rpcFile({ file, names, extension: request.importExtension, withServices, moduleOf });
        texts.push({ path, text });
      }
    },
  });
  plugin.run({ ...input, parameter: "target=ts" });
  return texts;
}

/** How to show the file of this import path: by that path if nothing else is known. */
export function shownFile(
  importPath: string,
  { targets, imports }: Pick<GenerationRequest, "targets" | "imports">,
): ShownFile {
  return targets.get(importPath) ?? imports?.get(importPath) ?? { shown: importPath, text: "" };
}

/** Codecs of the well-known types come with bowline. */
function modulePath(file: DescFile, generated: ReadonlySet<DescFile>): string {
  return generated.has(file) || !isWellKnown(file.proto.name) ? `./${file.name}_rpc.js` : `bowline/${file.name}`;
}

/** The names that protoc-gen-es gave, as protoplugin's printer for one file knows them. */
function messageNames(
  printer: GeneratedFile,
  runtime: PluginRuntime,
  { messages, messagesFrom }: GenerationRequest,
): MessageNames {
  const place = ({ name, from }: ImportedName, file: DescFile): ImportedName => {
    if (!from.startsWith("./")) return { name, from };
    // Where only codecs are generated, messages of the well-known types are those of protobuf-es.
    if (messages === false && isWellKnown(file.proto.name)) return { name, from: "@bufbuild/protobuf/wkt" };
    return { name, from: messagesFrom === undefined ? from : `./${posix.join(messagesFrom, from)}` };
  };
  return {
    shape: remembered((desc) => place(printer.importShape(desc), desc.file)),
    schema: remembered((desc) => place(printer.importSchema(desc), desc.kind === "file" ? desc : desc.file)),
    comment: (desc: DescService | DescMethod) => {
      const { leading, trailing } = runtime.protoplugin.getComments(desc);
      return leading ?? trailing ?? "";
    },
  };
}

/** protoplugin walks the whole file for each name. */
function remembered<T extends object>(find: (desc: T) => ImportedName): (desc: T) => ImportedName {
  const known = new Map<T, ImportedName>();
  return (desc) => {
    let name = known.get(desc);
    if (name === undefined) {
      name = find(desc);
      known.set(desc, name);
    }
    return name;
  };
}

/** Others may put files of their own into google/protobuf. */
export const WELL_KNOWN_FILES: readonly string[] = (
  "any api compiler/plugin cpp_features descriptor duration empty field_mask go_features java_features source_context struct " +
  "timestamp type wrappers"
)
  .split(" ")
  .map((name) => `google/protobuf/${name}.proto`);

function isWellKnown(importPath: string): boolean {
  return WELL_KNOWN_FILES.includes(importPath);
}
