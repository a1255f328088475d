import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { isTest } from "../../repository.ts";
import type { Check } from "../check.ts";
import { kilobytes } from "../kilobytes.ts";
import { packAll } from "../tarball.ts";

/** Bytes of a tarball, by package. */
const MAX_TARBALL_BYTES: Readonly<Record<string, number>> = { bowline: 512 * 1024, "bowline-cli": 72 * 1024 };
const REQUIRED = ["package.json", "README.md", "LICENSE", "NOTICE", "CHANGELOG.md"];

/** The same sources give the same bytes, so that anybody can see that a published package was made from them. */
const reproducible: Check = {
  name: "contents: the same bytes again",
  run: async ({ packed, work }) => {
    const again = await packAll(join(work, "packed-again"));
    for (const [at, { name, digest }] of packed.entries()) {
      if (digest === again[at].digest) continue;
      throw new Error(`${name} has SHA-256 ${digest}, then ${again[at].digest}: did a source change in between?`);
    }
    return packed.map(({ name, digest }) => `${name} ${digest.slice(0, 12)}`).join(", ");
  },
};

/** What is in the tarballs, what must be, and what must not. */
const files: Check = {
  name: "contents: files and sizes",
  run: async ({ packed }) =>
    packed
      .map(({ name, folder, manifest, bytes, fileCount }) => {
        const problems = problemsOf(folder, JSON.stringify(manifest));
        const maxBytes = MAX_TARBALL_BYTES[name];
        if (!(bytes <= maxBytes))
          problems.push(`the tarball has ${kilobytes(bytes)}, ${kilobytes(maxBytes)} are allowed`);
        if (problems.length > 0) throw new Error(`${name}\n${problems.join("\n")}`);
        return `${name} ${kilobytes(bytes)} (at most ${kilobytes(maxBytes)}), ${fileCount} files`;
      })
      .join("; "),
};

/** Of package contents: nothing is missing, nothing is too much. */
export const contentChecks: readonly Check[] = [reproducible, files];

function problemsOf(folder: string, manifest: string): string[] {
  const paths = readdirSync(folder, { recursive: true, encoding: "utf8" }).map((path) => path.replaceAll("\\", "/"));
  const missing = REQUIRED.filter((file) => !paths.includes(file)).map((file) => `${file} is missing`);
  const surplus = paths.filter((path) => isTest(path) || /\.test\.|(?:^|\/)(?:test|src)\/|\.map$|[^d]\.ts$/.test(path));
  const scripts = /"(?:pre|post)?(?:install|prepare|pack|publish)":/.test(manifest) ? ["has install scripts"] : [];
  return [
    ...missing,
    ...surplus.map((path) => `${path} is not for users`),
    ...scripts,
    ...deadLinks(folder, "README.md"),
  ];
}

/** Links of a page to files that the package does not have. */
function deadLinks(folder: string, page: string): string[] {
  const text = readFileSync(join(folder, page), "utf8");
  return Array.from(text.matchAll(/\]\((?!\w+:|#)([^)#\s]+)/g), (match) => match[1])
    .filter((link) => !existsSync(join(folder, dirname(page), link)))
    .map((link) => `${page} links to ${link}, which is not in the package`);
}
