import { describe, expect, it } from "vitest";
import { checkLockFile } from "./lock-file.ts";

function problems(packages: Record<string, object>, manifests: Record<string, Record<string, unknown>>): string[] {
  const text = JSON.stringify({ packages }, undefined, 2);
  return checkLockFile(text, new Map(Object.entries(manifests))).map((each) => each.problem);
}

describe("lock file", () => {
  it("follows every manifest, whatever the order of its entries", () => {
    const packages = { "": { devDependencies: { a: "1", b: "2" } }, "packages/x": { dependencies: { c: "^1" } } };
    expect(problems(packages, { "": { name: "root", devDependencies: { b: "2", a: "1" } } })).toEqual([]);
    expect(problems(packages, { "packages/x": { dependencies: { c: "^2" } }, "packages/y": {} })).toEqual([
      "does not follow packages/x/package.json (dependencies)",
      "does not follow packages/y/package.json (absent)",
    ]);
  });

  it("names no registry", () => {
    const packages = {
      "": {},
      "node_modules/a": { resolved: "https://registry.example/a.tgz" },
      "node_modules/b": { resolved: "packages/b" },
    };
    expect(problems(packages, { "": {} })).toEqual(["holds a download address, which ties it to one registry"]);
  });
});
