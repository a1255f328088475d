import { CommandError } from "../command-error.ts";
import type { ImportExtension } from "../generate/emit/source-text.ts";

/** What `opt:` of a buf.gen.yaml or `--bowline_opt` of protoc says. */
export interface PluginOptions {
  readonly importExtension: ImportExtension;
  /** False: *_rpc.ts only. */
  readonly messages: boolean;
  /** The folder of messages that are generated elsewhere, as a path from the output folder. */
  readonly messagesFrom?: string;
}

const EXTENSIONS: readonly string[] = ["ts", "js", "none"] satisfies ImportExtension[];

/**
 * Reads `import_extension=js,messages=false`. Throws a CommandError at a parameter or value that means nothing.
 */
export function parsePluginOptions(parameter: string, defaults: PluginOptions): PluginOptions {
  let options = defaults;
  for (const each of parameter.split(",").filter((part) => part !== "")) {
    const [name, ...rest] = each.split("=");
    options = { ...options, ...parameterOf(name.trim(), rest.join("=").trim()) };
  }
  if (options.messages && options.messagesFrom !== undefined) {
    throw new CommandError("messages_from goes with messages that are generated elsewhere", "Add messages=false.");
  }
  return options;
}

function parameterOf(name: string, value: string): Partial<PluginOptions> {
  switch (name) {
    case "import_extension":
      if (!EXTENSIONS.includes(value)) throw malformed(name, value, EXTENSIONS.join(", "));
      return { importExtension: value as ImportExtension };
    case "messages":
      if (value !== "true" && value !== "false") throw malformed(name, value, "true, false");
      return { messages: value === "true" };
    case "messages_from":
      if (value === "") throw malformed(name, value, "../pb, or another path from the output folder");
      return { messagesFrom: value };
    default:
      throw new CommandError(
        `there is no parameter ${name}`,
        "Known are import_extension=ts|js|none, messages=true|false and messages_from=../folder.",
      );
  }
}

function malformed(name: string, value: string, allowed: string): CommandError {
  return new CommandError(`${name} is ${JSON.stringify(value)}`, `Give one of ${allowed}.`);
}
