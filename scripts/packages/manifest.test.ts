import { describe, expect, it } from "vitest";
import { entryTypes, importedSubpaths, type Manifest, publishedManifest } from "./manifest.ts";

const own: Manifest = {
  name: "bowline",
  version: "0.1.0",
  private: true,
  license: "Apache-2.0",
  scripts: { build: "x" },
  devDependencies: { vitest: "1" },
  dependencies: { "@bufbuild/protobuf": "^2" },
  exports: { ".": "./src/index.ts", "./testing": "./src/testing/index.ts", "./package.json": "./package.json" },
  bin: { bowline: "./src/bin.ts" },
  files: ["dist"],
};

describe("publishedManifest", () => {
  it("leads to what is compiled, types first, and leaves out what only the repository needs", () => {
    expect(publishedManifest(own)).toEqual({
      name: "bowline",
      version: "0.1.0",
      license: "Apache-2.0",
      dependencies: { "@bufbuild/protobuf": "^2" },
      exports: {
        ".": { types: "./dist/index.d.ts", default: "./dist/index.js" },
        "./testing": { types: "./dist/testing/index.d.ts", default: "./dist/testing/index.js" },
        "./package.json": "./package.json",
      },
      bin: { bowline: "dist/bin.js" },
      files: ["dist"],
      publishConfig: { access: "public" },
    });
  });

  it("lists what is imported, and where its types are", () => {
    expect(importedSubpaths(own)).toEqual([".", "./testing"]);
    expect(entryTypes(publishedManifest(own))).toEqual(["./dist/index.d.ts", "./dist/testing/index.d.ts"]);
  });

  it("refuses a package whose sources npm would publish, and exports from elsewhere", () => {
    expect(() => publishedManifest({ ...own, private: undefined })).toThrow('must say "private": true');
    expect(() => publishedManifest({ ...own, exports: { ".": "./lib/index.ts" } })).toThrow("./src/….ts");
    expect(() => publishedManifest({ ...own, exports: { ".": { default: "./src/index.ts" } } })).toThrow(
      "one file each",
    );
  });
});
