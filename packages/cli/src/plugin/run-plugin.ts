import type { CodeGeneratorRequest, CodeGeneratorResponse } from "@bufbuild/protobuf/wkt";
import { CommandError } from "../command-error.ts";
import { DiagnosticError } from "../generate/compile/diagnostic.ts";
import { type GeneratedText, generateFiles } from "../generate/emit/generate-files.ts";
import type { PluginRuntime } from "../generate/emit/plugin-runtime.ts";
import type { ImportExtension } from "../generate/emit/source-text.ts";
import { refuseUnknownEditions } from "../generate/refuse-editions.ts";
import { parsePluginOptions } from "./plugin-options.ts";

/** What the plugin needs of its surroundings. */
export interface PluginContext {
  readonly runtime: PluginRuntime;
  /** For requests that name none. */
  readonly importExtension: ImportExtension;
}

/**
 * Answers an encoded google.protobuf.compiler.CodeGeneratorRequest with an encoded CodeGeneratorResponse, whose texts are those of
 * `bowline generate`. What the user can mend stands in its `error`. Protocol: google/protobuf/compiler/plugin.proto.
 */
export function runPlugin(requestBytes: Uint8Array, context: PluginContext): Uint8Array {
  const { protobuf, wellKnownTypes } = context.runtime;
  const request = protobuf.fromBinary(wellKnownTypes.CodeGeneratorRequestSchema, requestBytes);
  const { PROTO3_OPTIONAL, SUPPORTS_EDITIONS } = wellKnownTypes.CodeGeneratorResponse_Feature;
  const response = protobuf.create(wellKnownTypes.CodeGeneratorResponseSchema, {
    supportedFeatures: BigInt(PROTO3_OPTIONAL | SUPPORTS_EDITIONS),
    minimumEdition: protobuf.minimumEdition,
    maximumEdition: protobuf.maximumEdition,
  });
  fill(response, request, context);
  return protobuf.toBinary(wellKnownTypes.CodeGeneratorResponseSchema, response);
}

function fill(response: CodeGeneratorResponse, request: CodeGeneratorRequest, context: PluginContext): void {
  const { protobuf, wellKnownTypes } = context.runtime;
  try {
    for (const { path, text } of textsFor(request, context)) {
      response.file.push(
        protobuf.create(wellKnownTypes.CodeGeneratorResponse_FileSchema, { name: path, content: text }),
      );
    }
  } catch (error) {
    if (!(error instanceof CommandError || error instanceof DiagnosticError)) throw error;
    response.error = error instanceof CommandError ? withHint(error.message, error.hint) : faultsOf(error);
  }
}

function textsFor(request: CodeGeneratorRequest, { runtime, importExtension }: PluginContext): GeneratedText[] {
  const { protobuf, wellKnownTypes } = runtime;
  const options = parsePluginOptions(request.parameter, { importExtension, messages: true });
  // Those of the files to generate have options that are only for generators; protoc sends them since version 24.
  const sources = new Map(request.sourceFileDescriptors.map((file) => [file.name, file]));
  const file = request.protoFile.map((each) => sources.get(each.name) ?? each);
  const set = protobuf.create(wellKnownTypes.FileDescriptorSetSchema, { file });
  const descriptorSet = protobuf.toBinary(wellKnownTypes.FileDescriptorSetSchema, set);
  const targets = new Map(request.fileToGenerate.map((name) => [name, { shown: name, text: "" }]));
  refuseUnknownEditions({ descriptorSet, targets }, runtime);
  const texts = generateFiles({ descriptorSet, targets, ...options }, runtime);
  // Imports are not asked for: another call of the plugin, or nobody, generates them.
  return texts.filter(({ path }) => targets.has(path.replace(/_(?:pb|rpc)\.ts$/, ".proto")));
}

function faultsOf({ diagnostics }: DiagnosticError): string {
  return diagnostics
    .map(({ file, line, column, message, hint }) => withHint(`${file}:${line}:${column}: ${message}`, hint))
    .join("\n");
}

function withHint(message: string, hint: string | undefined): string {
  return hint === undefined ? message : `${message}\n  ${hint}`;
}
