import { describe, it } from "vitest";
import { installTool, type ToolName } from "./tools.ts";

/**
 * A suite against the real product: `await realRegistry("etcd 3.6", ["etcd-3.6"], ([etcd]) => { … registryContract(…) })`. Where a program
 * can't be had the suite is one skipped test whose name says why; `npm run registries` prints it.
 *
 * `define` gets the programs' paths, in the order of their names.
 */
export async function realRegistry(
  name: string,
  tools: readonly ToolName[],
  define: (paths: readonly string[]) => void,
): Promise<void> {
  const paths: string[] = [];
  for (const tool of tools) {
    const installed = await installTool(tool);
    if ("missing" in installed) {
      describe(name, () => it.skipIf(true)(`needs ${tool}: ${installed.missing}`, () => {}));
      return;
    }
    paths.push(installed.path);
  }
  describe(name, () => define(paths));
}
