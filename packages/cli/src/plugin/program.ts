import { readFileSync } from "node:fs";
import { buffer } from "node:stream/consumers";
import { loadPluginRuntime } from "../generate/emit/plugin-runtime.ts";
import { importExtensionFor } from "../generate/import-extension.ts";
import { runPlugin } from "./run-plugin.ts";

const USAGE = `protoc-gen-bowline is a plugin for protoc and buf: it reads a CodeGeneratorRequest on standard input.
  buf.gen.yaml:  plugins: [{ local: protoc-gen-bowline, out: src/gen }]
  protoc:        protoc --bowline_out=src/gen --bowline_opt=import_extension=js -I proto proto/user.proto
Without either: bowline generate
`;

/** Runs `protoc-gen-bowline` and returns the exit code. Faults in files are in the response, as the protocol wants it. */
export async function main(args: readonly string[]): Promise<number> {
  if (args.length === 1 && (args[0] === "--version" || args[0] === "-v")) {
    const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
    process.stdout.write(`protoc-gen-bowline ${version}\n`);
    return 0;
  }
  // At a terminal nobody writes a request.
  if (args.length > 0 || process.stdin.isTTY) {
    process.stderr.write(USAGE);
    return 1;
  }
  const request = await buffer(process.stdin);
  const response = runPlugin(request, {
    runtime: loadPluginRuntime(),
    importExtension: importExtensionFor(process.cwd()),
  });
  await new Promise((resolve) => process.stdout.write(response, resolve));
  return 0;
}
