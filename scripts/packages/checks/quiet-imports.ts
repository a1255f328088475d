import { join } from "node:path";
import { root } from "../../repository.ts";
import type { Check, Installed } from "../check.ts";
import { importedSubpaths } from "../manifest.ts";

/** Importing does nothing: what a process looks like afterwards is what it looked like before. */
export const quietImports: Check = {
  name: "import: no side effects",
  run: async (installed) => {
    const { core, packed } = installed;
    core.copy(join(root, "test/packages/quiet-import.ts"), "quiet-import.ts");
    const specifiers = importedSubpaths(packed[0].manifest).map((subpath) => `bowline${subpath.slice(1)}`);
    for (const specifier of [...specifiers, "all"]) await importQuietly(installed, specifier, specifiers);
    await noticesLoudImports(installed);
    return `${specifiers.length} subpaths, each alone and all together: no output, handle, listener, global, hook or variable`;
  },
};

async function importQuietly({ core }: Installed, specifier: string, all: readonly string[]): Promise<void> {
  const wanted = specifier === "all" ? all : [specifier];
  // Its report is its exit code and stderr; whatever is printed before that is a side effect.
  const { code, output } = await core.run(process.execPath, ["quiet-import.ts", ...wanted], 20_000);
  if (code !== 0 || output !== "") throw new Error(`import of ${wanted.join(", ")}\n${output.trimEnd()}`);
}

/** A check that sees nothing would be of no use. */
async function noticesLoudImports({ core }: Installed): Promise<void> {
  const loud =
    'globalThis.loud = 1; process.on("SIGTERM", () => {}); setTimeout(() => {}, 1).unref(); process.env.LOUD = "1";';
  core.write("loud.js", loud);
  const { code, output } = await core.run(process.execPath, ["quiet-import.ts", "./loud.js"], 20_000);
  const missed = ["+ loud", "+ SIGTERM 1", "Timeout", "+ LOUD=1"].filter((each) => !output.includes(each));
  if (code !== 1 || missed.length > 0)
    throw new Error(`an import with side effects went unnoticed: ${missed}\n${output}`);
}
