import { mkdirSync } from "node:fs";
// Not by its name: an old Node, which is to be told so, has none.
import * as nodeModule from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Lets Node keep the compiled form of all that is imported from now on. Where no folder can be made for it, nothing is kept: Node itself
 * would try for ever in a place that can't have one, such as /proc.
 */
export function keepCompiledCode(): void {
  const folder = join(tmpdir(), "node-compile-cache");
  try {
    mkdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") return;
  }
  nodeModule.enableCompileCache(folder);
}
