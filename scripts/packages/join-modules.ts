import { globSync } from "node:fs";
import { join, relative } from "node:path";
import { rolldown } from "rolldown";

/**
 * Modules that get a file of their own beside the exported ones: whoever only calls has a bundler leave the server out, and the other
 * way round.
 */
const HALVES = ["./src/client/create-client.ts", "./src/server/create-server.ts"];

/**
 * Compiles the modules below `source` that `patterns` (`./src/….ts`, relative to the package's folder) lead to, for ES2023, and joins
 * those that are always loaded together into one file of `target`/chunks: Node takes longer to find and link a hundred small files than to
 * read them. What is imported on demand stays apart. Packages stay imports.
 *
 * @throws Error when a module asks where its file lies: it would be told where the joined one lies
 */
export async function joinModules(packageFolder: string, target: string, patterns: readonly string[]): Promise<void> {
  const source = join(packageFolder, "src");
  const files = [...patterns, ...HALVES].flatMap((pattern) => globSync(join(packageFolder, pattern)));
  const bundle = await rolldown({
    cwd: packageFolder,
    input: Object.fromEntries(files.map((file) => [relative(source, file).replace(/\.ts$/, ""), file])),
    platform: "node",
    // Names of packages and of Node's own modules; the rest are files.
    external: /^[^./]/,
    transform: { target: "es2023" },
  });
  const { output } = await bundle.write({
    dir: target,
    format: "esm",
    chunkFileNames: "chunks/[name]-[hash].js",
    comments: { annotation: true, jsdoc: false, legal: true },
    banner: ({ moduleIds }) => bannerOf(moduleIds.map((id) => relative(source, id))),
  });
  await bundle.close();
  for (const file of output) {
    if (file.type !== "chunk") throw new Error(`${file.fileName} came out beside the JavaScript`);
    if (file.code.includes("import.meta"))
      throw new Error(`${file.fileName} uses import.meta, which differs in joined files`);
  }
}

const SOURCES = "// Sources: ";

/** The first line of a joined file. */
function bannerOf(sources: readonly string[]): string {
  return sources.length > 0 ? `${SOURCES}${sources.join(", ")}` : "";
}

/** The sources of a joined file, relative to the package's `src`: read from its text. */
export function sourcesOf(text: string): readonly string[] {
  return text.startsWith(SOURCES) ? text.slice(SOURCES.length, text.indexOf("\n")).split(", ") : [];
}
