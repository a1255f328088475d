import { Command, Option } from "commander";
import type { Terminal } from "../terminal.ts";

const EXAMPLES = `
Examples:
  bowline generate                       proto/ (or what buf.yaml names) to src/gen, or gen without a src/
  bowline generate api --out lib/gen     all of api/, whose files import each other by their path below api/
  bowline generate api/user/v1/user.proto --include api --include third_party
  bowline generate --check               for CI: fail when the generated files are not those of the .proto files

Per .proto file: messages in *_pb.ts (protobuf-es), services in *_rpc.ts. Nothing is fetched from a network:
google/protobuf, google/rpc and google/api/{annotations,field_behavior,http,httpbody}.proto come with Bowline, other imports
are searched in the folders given and in those of --include.`;

/** `bowline generate`: its options; the work is loaded when it is called. */
export function generateCommand(terminal: Terminal): Command {
  return new Command("generate")
    .description("Generate TypeScript from .proto files")
    .argument("[paths...]", ".proto files, or folders of them; default: proto/ or the modules of buf.yaml")
    .option("-o, --out <dir>", "folder for the generated code; default: src/gen, or gen without a src/")
    .option("-I, --include <dir...>", "folders to search for imports; they also say where an import path begins")
    .addOption(
      new Option(
        "--import-extension <extension>",
        "of imports between generated files; default: js if there is a tsconfig.json above that does not allow ts, else ts",
      ).choices(["ts", "js", "none"]),
    )
    .option("--check", "write nothing, fail when a generated file is missing or not up to date")
    .option("--clean", "remove generated files whose .proto is gone")
    .option("--json", "print the result as JSON")
    .addHelpText("after", EXAMPLES)
    .action(async (paths: string[], flags: GenerateFlags) => {
      const { runGenerate } = await import("../generate/run.ts");
      await runGenerate({ ...flags, paths, cwd: process.cwd() }, terminal);
    });
}

/** The flags as commander hands them over. */
export interface GenerateFlags {
  readonly out?: string;
  readonly include?: readonly string[];
  readonly importExtension?: "ts" | "js" | "none";
  readonly check?: boolean;
  readonly clean?: boolean;
  readonly json?: boolean;
}
