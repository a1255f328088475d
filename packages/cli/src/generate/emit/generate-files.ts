import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { CodeGeneratorRequest, CodeGeneratorResponse } from "@bufbuild/protobuf/wkt";
import type { GeneratedFile, Plugin } from "@bufbuild/protoplugin";
import { CommandError } from "../../command-error.ts";
import { generatedHead } from "./generated-head.ts";
import { refuseNameClashes } from "./name-clash.ts";
import type { PluginRuntime } from "./plugin-runtime.ts";
import { type MessageNames, serviceFile, serviceFilePath } from "./service-file.ts";
import type { ImportExtension } from "./source-text.ts";

/** A generated file; the same input gives the same text on every machine. */
export interface GeneratedText {
  /** From the output folder, with `/`. */
  readonly path: string;
  readonly text: string;
}

/** A .proto file that code is wanted for. */
export interface TargetFile {
  /** Its name in messages. */
  readonly shown: string;
  readonly text: string;
}

/** What to generate. */
export interface GenerationRequest {
  /** An encoded google.protobuf.FileDescriptorSet with comments, imports first. */
  readonly descriptorSet: Uint8Array;
  /** By import path the files whose services are wanted; messages are generated for what they import as well. */
  readonly targets: ReadonlyMap<string, TargetFile>;
  readonly importExtension: ImportExtension;
}

/** Messages by protoc-gen-es, services by our own generator. Well-known types are imported from @bufbuild/protobuf instead. */
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
  return [...messageFiles(input, request, runtime), ...serviceFiles(input, request, runtime)];
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

function serviceFiles(
  input: CodeGeneratorRequest,
  request: GenerationRequest,
  runtime: PluginRuntime,
): GeneratedText[] {
  const texts: GeneratedText[] = [];
  const plugin = runtime.protoplugin.createEcmaScriptPlugin({
    name: "bowline",
    version: "",
    generateTs(schema) {
      for (const file of schema.files) {
        const target = request.targets.get(file.proto.name);
        if (file.services.length === 0 || target === undefined) continue;
        refuseNameClashes(file, target);
        const path = serviceFilePath(file);
        const names = messageNames(schema.generateFile(path), runtime);
        texts.push({ path, text: serviceFile(file, names, request.importExtension) });
      }
    },
  });
  plugin.run({ ...input, parameter: "target=ts" });
  return texts;
}

/** The names that protoc-gen-es gave, as protoplugin's printer for one file knows them. */
function messageNames(printer: GeneratedFile, runtime: PluginRuntime): MessageNames {
  return {
    shape: (message) => printer.importShape(message),
    schema: (desc) => printer.importSchema(desc),
    comment: (desc: DescService | DescMethod) => {
      const { leading, trailing } = runtime.protoplugin.getComments(desc);
      return leading ?? trailing ?? "";
    },
  };
}

function isWellKnown(importPath: string): boolean {
  return importPath.startsWith("google/protobuf/");
}
