import { readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { moduleImports } from "../source/imports.ts";

/**
 * Removes the declarations to which none of `entries` (absolute paths of .d.ts files) leads: users can't import what they declare, and
 * together they are as large as all others. Returns how many are left.
 */
export function removeUnreachedDeclarations(folder: string, entries: readonly string[]): number {
  const reached = new Set(entries);
  for (const file of reached) {
    for (const { specifier } of moduleImports(readFileSync(file, "utf8"))) {
      if (specifier?.startsWith(".") === true) reached.add(declarationOf(join(dirname(file), specifier)));
    }
  }
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const file = join(folder, name);
    if (name.endsWith(".d.ts") && !reached.has(file)) rmSync(file);
  }
  return reached.size;
}

/** The declarations of a module, which is named by what it will be or by its source. */
function declarationOf(module: string): string {
  return module.replace(/(?:\.d)?\.[jt]s$/, ".d.ts");
}
