import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { workspaceFolder } from "../../test/workspace-folder.ts";
import { importExtensionFor } from "./import-extension.ts";

async function extension(files: Record<string, string>, at = "src/gen"): Promise<string> {
  return importExtensionFor(join(await workspaceFolder(files), at));
}

describe("importExtensionFor", () => {
  it("is ts when the nearest tsconfig.json allows it, comments and last commas included", async () => {
    const config = `{
      // "allowImportingTsExtensions": false,
      "compilerOptions": { /* yes */ "rewriteRelativeImportExtensions": true, "paths": { "a//*": ["x, ]"] }, },
    }`;
    expect(await extension({ "tsconfig.json": config })).toBe("ts");
    expect(await extension({ "tsconfig.json": '{ "compilerOptions": { "allowImportingTsExtensions": true } }' })).toBe(
      "ts",
    );
  });

  it("is ts when one allows it that begins with a byte order mark", async () => {
    const config = '\uFEFF{ "compilerOptions": { "allowImportingTsExtensions": true } }';
    expect(await extension({ "tsconfig.json": config })).toBe("ts");
  });

  it("is js for one that says nothing that makes sense", async () => {
    for (const config of ["null", "5", "[]", '{ "extends": 5 }', '{ "extends": [null, 5], "compilerOptions": null }']) {
      expect(await extension({ "tsconfig.json": config }), config).toBe("js");
    }
  });

  it("is js when the nearest one does not, whatever those above say", async () => {
    const outer = '{ "compilerOptions": { "allowImportingTsExtensions": true } }';
    expect(await extension({ "tsconfig.json": outer, "src/tsconfig.json": "{}" })).toBe("js");
    expect(await extension({ "tsconfig.json": outer, "src/tsconfig.json": "{ broken" })).toBe("js");
  });

  it("is ts without a tsconfig.json: what runs the files then knows them by their real names", async () => {
    const folder = await mkdtemp(join(tmpdir(), "bowline-extension-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    expect(importExtensionFor(join(folder, "gen"))).toBe("ts");
  });

  it("follows extends: the last base wins, the file itself before all", async () => {
    const on = '{ "compilerOptions": { "allowImportingTsExtensions": true } }';
    const off = '{ "compilerOptions": { "allowImportingTsExtensions": false } }';
    const files = { "on.json": on, "off.json": off, "node_modules/base/tsconfig.json": on };
    expect(await extension({ ...files, "tsconfig.json": '{ "extends": "./on" }' })).toBe("ts");
    expect(await extension({ ...files, "tsconfig.json": '{ "extends": "base/tsconfig.json" }' })).toBe("ts");
    expect(await extension({ ...files, "tsconfig.json": '{ "extends": "base" }' })).toBe("ts");
    expect(await extension({ ...files, "tsconfig.json": '{ "extends": ["./on.json", "./off.json"] }' })).toBe("js");
    expect(await extension({ ...files, "tsconfig.json": `{ "extends": "./on.json", ${off.slice(1)}` })).toBe("js");
    expect(await extension({ ...files, "tsconfig.json": '{ "extends": "./tsconfig.json" }' })).toBe("js");
    expect(await extension({ ...files, "tsconfig.json": '{ "extends": "nowhere" }' })).toBe("js");
  });
});
