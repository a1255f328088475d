#!/usr/bin/env node
import { keepCompiledCode } from "../compile-cache.ts";
import { tooOldNode } from "../node-version.ts";

const problem = tooOldNode(process.versions.node);
if (problem !== undefined) {
  console.error(problem);
  process.exit(1);
}
// Before the first import, so that all of them gain: buf starts the plugin once for each folder.
keepCompiledCode();
const { main } = await import("./program.ts");
process.exitCode = await main(process.argv.slice(2));
