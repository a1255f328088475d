#!/usr/bin/env node
import { keepCompiledCode } from "./compile-cache.ts";
import { tooOldNode } from "./node-version.ts";

const problem = tooOldNode(process.versions.node);
if (problem !== undefined) {
  console.error(problem);
  process.exit(1);
}
// Halves the time that the TypeScript behind the generators takes to load; before the first import so that all of them gain.
keepCompiledCode();
const { main } = await import("./program.ts");
process.exitCode = await main(process.argv.slice(2));
