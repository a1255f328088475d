import { describe, expect, it } from "vitest";
import { moduleImports } from "./imports.ts";

/** Specifiers in order; those of types only in brackets. */
function seen(source: string): string[] {
  return moduleImports(source).map(({ specifier = "?", isRuntime }) => (isRuntime ? specifier : `(${specifier})`));
}

describe("moduleImports", () => {
  it("reads every form of import and re-export", () => {
    const source = `
      import "a";
      import b from "b";
      import c, { d as e } from 'c';
      import * as f from "f";
      import {
        g,
        h, // from "nowhere"
      } from "g";
      export * from "i";
      export * as j from "j";
      export { k, l as m } from "k";
    `;
    expect(seen(source)).toEqual(["a", "b", "c", "f", "g", "i", "j", "k"]);
  });

  it("knows what is left of type imports at run time", () => {
    const source = `
      import type { A } from "a";
      import type B from "b";
      import type * as C from "c";
      import { type D } from "d";
      import type, { E } from "e";
      import type from "f";
      export type { G } from "g";
      export type * from "h";
      let i: typeof import("i");
    `;
    expect(seen(source)).toEqual(["(a)", "(b)", "(c)", "d", "e", "f", "(g)", "(h)", "(i)"]);
  });

  it("reads dynamic imports and require, wherever they stand", () => {
    const source = `
      async function load(name: string) {
        await import("a");
        await import(\`b\`);
        await import(name);
        await import(\`./\${name}.ts\`);
        require("c");
        await import("d", { with: { type: "json" } });
      }
    `;
    expect(seen(source)).toEqual(["a", "b", "?", "?", "c", "d"]);
  });

  it("is not misled by comments, strings, templates, regular expressions and properties", () => {
    const source = `
      // import "a";
      /* export * from "b"; */
      const c = 'import "c"';
      const d = \`import "d" \${(() => { return \`import "e"\`; })()} import "f"\`;
      const g = /import "g"['"]/.test(c) || 4 / 2 / 1;
      const i = c.length / 2, text = "/";
      thing.import("h"); const { require } = thing; import.meta.url;
      class Loader { import(path: string) {} }
      export const from = { import: 1 }; export type Name = "j";
    `;
    expect(seen(source)).toEqual([]);
  });

  it("counts lines from 1", () => {
    const source = 'import "a";\n/* two\nlines */ import {\n b } from "b";\nconst t = `\n\n`; import("c");';
    expect(moduleImports(source).map((each) => each.line)).toEqual([1, 3, 7]);
  });
});
