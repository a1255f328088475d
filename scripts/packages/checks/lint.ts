import { run } from "../../process.ts";
import type { Check } from "../check.ts";
import { importedSubpaths } from "../manifest.ts";

/**
 * Of package.json: nothing is ignored but the suggestion of a `repository`, which this repository can't name: it may be cloned
 * from anywhere.
 */
const publint: Check = {
  name: "lint: publint",
  run: async ({ packed }) => {
    for (const { name, tarball } of packed) {
      const { code, output } = await run("publint", ["run", tarball, "--strict"]);
      if (code !== 0) throw new Error(`${name}\n${output.trimEnd()}`);
    }
    return `nothing against ${packed.map(({ name }) => name).join(" and ")}`;
  },
};

/**
 * Are the types those of the modules? The profile `esm-only` leaves out two ways of resolving: `node10`, which knows no `exports`,
 * and `node16` from CommonJS, where `import()` works and `require` does from Node 22.12 on. All that is published is ESM.
 */
const attw: Check = {
  name: "lint: are the types wrong?",
  run: async ({ packed }) => {
    const checked = packed.filter(({ manifest }) => importedSubpaths(manifest).length > 0);
    for (const { name, tarball } of checked) {
      const flags = ["--profile", "esm-only", "--format", "ascii", "--no-emoji", "--no-color", "--no-definitely-typed"];
      const { code, output } = await run("attw", [tarball, ...flags]);
      if (code !== 0) throw new Error(`${name}\n${output.trimEnd()}`);
    }
    return `no, of ${checked.map(({ name }) => name).join(" and ")}, for ES modules (node16, bundler)`;
  },
};

/** What linters say of the tarballs. */
export const lintChecks: readonly Check[] = [publint, attw];
