import { describe, expect, it } from "vitest";
import { readText } from "../repository.ts";
import { snippetsOf } from "../rules/snippets.ts";
import { importedSubpaths, type Manifest } from "./manifest.ts";
import { publishedFolders } from "./staging.ts";

/** The files that a page shows, by name. */
function filesOf(page: string): Record<string, string> {
  const files = snippetsOf(page, readText(page)).filter(({ use }) => use !== "fragment");
  return Object.fromEntries(files.map(({ file, text }) => [file, text]));
}

describe("README.md of a package", () => {
  it.each(publishedFolders)("shows the example of the repository's, word for word: %s", (folder) => {
    expect(filesOf(`${folder}/README.md`)).toEqual(filesOf("README.md"));
  });

  it("names every subpath of bowline", () => {
    const manifest = JSON.parse(readText("packages/bowline/package.json")) as Manifest;
    for (const subpath of importedSubpaths(manifest)) {
      expect(readText("packages/bowline/README.md")).toContain(`| \`bowline${subpath.slice(1)}\` `);
    }
  });
});
