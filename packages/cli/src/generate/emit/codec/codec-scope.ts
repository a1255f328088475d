import type { DescEnum, DescFile, DescMessage } from "@bufbuild/protobuf";
import type { CodeNames } from "../code-names.ts";
import type { ImportedName, SourceText } from "../source-text.ts";

/** What of the messages' code each message exports. */
export interface CodecNames {
  readonly bound: string;
  readonly encode: string;
  readonly decode: string;
  readonly codec: string;
}

/** What other generators named the things that generated code refers to. */
export interface ForeignNames {
  /** The type of a message or an enum. */
  shape(desc: DescMessage | DescEnum): ImportedName;
  /** The descriptor of a message. */
  schema(message: DescMessage): ImportedName;
}

/** Where names come from while a file's codecs are printed. */
export interface CodecScope {
  readonly source: SourceText;
  readonly foreign: ForeignNames;
  /** Names of the file at hand. */
  readonly own: ReadonlyMap<DescMessage, CodecNames>;
  /** The module and the names of a message of another file. */
  other(message: DescMessage): { readonly from: string; readonly names: CodecNames };
}

/** The module that holds what generated code needs at run time. */
export const RUNTIME = "bowline/codegen";

/** The runtime's function of this name. */
export function runtime(scope: CodecScope, name: string): string {
  return scope.source.value({ name, from: RUNTIME });
}

/** The local name of a function that belongs to a message, of this file or another. */
export function functionOf(scope: CodecScope, message: DescMessage, kind: "bound" | "encode" | "decode"): string {
  const own = scope.own.get(message);
  if (own !== undefined) return own[kind];
  const { from, names } = scope.other(message);
  return scope.source.value({ name: names[kind], from });
}

/** The local name of a message's descriptor. */
export function schemaOf(scope: CodecScope, message: DescMessage): string {
  return scope.source.value(scope.foreign.schema(message));
}

/** All messages of a file, nested ones behind the one that holds them; entries of maps are none. */
export function messagesOf(file: DescFile): DescMessage[] {
  const nested = (message: DescMessage): DescMessage[] => [message, ...message.nestedMessages.flatMap(nested)];
  return file.messages.flatMap(nested).filter((message) => message.proto.options?.mapEntry !== true);
}

/** Gives the messages' functions and codecs their names, in the order of the file. `shape` is the name of the message's type. */
export function nameCodecs(
  file: DescFile,
  names: CodeNames,
  shape: (message: DescMessage) => string,
): Map<DescMessage, CodecNames> {
  const named = new Map<DescMessage, CodecNames>();
  for (const message of messagesOf(file)) {
    const name = shape(message);
    named.set(message, {
      codec: names.take(`${name}Codec`),
      bound: names.take(`bound${name}`),
      encode: names.take(`encode${name}`),
      decode: names.take(`decode${name}`),
    });
  }
  return named;
}
