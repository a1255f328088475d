import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { removeUnreachedDeclarations } from "./declarations.ts";

it("keeps what an entry leads to, by whatever kind of import, and all that is no declaration", () => {
  const folder = mkdtempSync(join(tmpdir(), "bowline-declarations-"));
  const files: Record<string, string> = {
    "index.d.ts": 'export { a } from "./a.js";\nimport type { B } from "./deep/b.ts";\nexport declare const b: B;\n',
    "a.d.ts": 'export declare const a: import("./c.js").C;\nimport "node:fs";\nimport "other/x.js";\n',
    "deep/b.d.ts": 'export type B = import("../a.js").A;\n',
    "c.d.ts": "export interface C {}\n",
    "alone.d.ts": 'import "./alone-too.js";\n',
    "alone-too.d.ts": "export {};\n",
    "alone.js": "export {};\n",
  };
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  expect(removeUnreachedDeclarations(folder, [join(folder, "index.d.ts")])).toBe(4);
  const left = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.includes("."))
    .sort();
  expect(left).toEqual(["a.d.ts", "alone.js", "c.d.ts", "deep/b.d.ts", "index.d.ts"]);
  rmSync(folder, { recursive: true });
});
