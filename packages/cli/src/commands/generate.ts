import { Command, Option } from "commander";
import type { Terminal } from "../terminal.ts";

const EXAMPLES = `
Examples:
  bowline generate                       proto/ (or what buf.yaml names) to src/gen, or gen without a src/
  bowline generate api --out lib/gen     all of api/, whose files import each other by their path below api/
  bowline generate api/user/v1/user.proto -I api -I third_party
  bowline generate --watch               again at each change of a .proto file, until Ctrl-C
  bowline generate --check               for CI: fail when the generated files are not those of the .proto files
  bowline generate --descriptor-set api.binpb

Per .proto file: messages in *_pb.ts (protobuf-es), services in *_rpc.ts. Nothing is fetched from a network:
google/protobuf, google/rpc and google/api/{annotations,field_behavior,http,httpbody}.proto come with Bowline, other imports
are searched in the folders given and in those of --include.

A bowline.gen.yaml in the current folder says the same as the options, which win over it:
  inputs: [proto]            # or descriptor_set: api.binpb
  include: [third_party]
  out: src/gen
  import_extension: js       # also: messages, messages_from, compiler, clean; outputs: a list of such mappings`;

/** `bowline generate`: its options; the work is loaded when it is called. */
export function generateCommand(terminal: Terminal): Command {
  return new Command("generate")
    .description("Generate TypeScript from .proto files")
    .argument("[paths...]", ".proto files, or folders of them; default: proto/ or the modules of buf.yaml")
    .option("-o, --out <dir>", "folder for the generated code; default: src/gen, or gen without a src/")
    .addOption(
      new Option(
        "-I, --include <dir>",
        "folder to search for imports; it also says where an import path begins; may be given again",
      ).argParser(collect),
    )
    .option("-c, --config <file>", "configuration; default: bowline.gen.yaml if there is one")
    .option("--descriptor-set <file>", "generate from a compiled file instead; paths are import paths in it")
    .addOption(
      new Option(
        "--compiler <name>",
        "what compiles; default: auto, which is buf, or protoc where there is no buf",
      ).choices(["auto", "buf", "protoc"]),
    )
    .addOption(
      new Option(
        "--import-extension <extension>",
        "of imports between generated files; default: js if there is a tsconfig.json above that does not allow ts, else ts",
      ).choices(["ts", "js", "none"]),
    )
    .option("--no-messages", "leave *_pb.ts to a protoc-gen-es of your own")
    .addOption(new Option("--messages").hideHelp())
    .option("--messages-from <dir>", "folder of those *_pb.ts; default: that of --out")
    .option("-w, --watch", "stay, and generate again when a file changes")
    .addOption(
      new Option("--check", "write nothing, fail when a generated file is missing or not up to date").conflicts(
        "watch",
      ),
    )
    .option("--clean", "remove generated files whose .proto is gone")
    .addOption(new Option("--no-clean").hideHelp())
    .addOption(new Option("--json", "print the result as JSON").conflicts("watch"))
    .addHelpText("after", EXAMPLES)
    .action(async (paths: string[], flags: GenerateFlags) => {
      const request = { ...flags, paths, cwd: process.cwd() };
      const { untilInterrupted } = await import("../generate/interrupt.ts");
      await untilInterrupted(async (signal) => {
        if (flags.watch === true) {
          const { watchGenerate } = await import("../generate/watch/watch-generate.ts");
          return watchGenerate(request, terminal, signal);
        }
        const { runGenerate } = await import("../generate/run.ts");
        return runGenerate(request, terminal, signal);
      });
    });
}

/** protoc's users write `-I=dir` as well. */
function collect(folder: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), folder.replace(/^=/, "")];
}

/** The flags as commander hands them over. */
export interface GenerateFlags {
  readonly out?: string;
  readonly include?: readonly string[];
  readonly config?: string;
  readonly descriptorSet?: string;
  readonly compiler?: "auto" | "buf" | "protoc";
  readonly importExtension?: "ts" | "js" | "none";
  readonly messages?: boolean;
  readonly messagesFrom?: string;
  readonly watch?: boolean;
  readonly check?: boolean;
  readonly clean?: boolean;
  readonly json?: boolean;
}
