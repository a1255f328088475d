import type { CompilerName } from "../compile/compile-protos.ts";
import type { ImportExtension } from "../emit/source-text.ts";

/** What a bowline.gen.yaml says of one output; what it leaves out is for the command's defaults. */
export interface OutputConfig {
  readonly inputs?: readonly string[];
  readonly descriptorSet?: string;
  readonly include?: readonly string[];
  readonly out?: string;
  readonly importExtension?: ImportExtension;
  readonly messages?: boolean;
  readonly messagesFrom?: string;
  readonly compiler?: CompilerName;
  readonly clean?: boolean;
}

/** A bowline.gen.yaml that was read. */
export interface GenConfig {
  /** Absolute. */
  readonly file: string;
  /** At least one. What stands above `outputs` in the file holds for each of them. */
  readonly outputs: readonly OutputConfig[];
}

/** The name that is looked for in the current folder. */
export const CONFIG_FILE = "bowline.gen.yaml";

/** What the value of a key may be. */
export type ValueKind = "text" | "texts" | "flag" | readonly string[];

/** A key of the file. */
export interface ConfigKey {
  readonly field: keyof OutputConfig;
  readonly kind: ValueKind;
}

/** All keys but `outputs`, as they are written. */
export const CONFIG_KEYS: Readonly<Record<string, ConfigKey>> = {
  inputs: { field: "inputs", kind: "texts" },
  descriptor_set: { field: "descriptorSet", kind: "text" },
  include: { field: "include", kind: "texts" },
  out: { field: "out", kind: "text" },
  import_extension: { field: "importExtension", kind: ["ts", "js", "none"] },
  messages: { field: "messages", kind: "flag" },
  messages_from: { field: "messagesFrom", kind: "text" },
  compiler: { field: "compiler", kind: ["auto", "buf", "protoc"] },
  clean: { field: "clean", kind: "flag" },
};
