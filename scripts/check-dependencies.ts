import { report } from "./findings.ts";
import { filesBelow, readText } from "./repository.ts";
import { checkDependencies } from "./rules/dependencies.ts";
import { consumers } from "./rules/dependency-table.ts";

/** Checks the direction of dependencies: rules/dependency-table.ts. */
const paths = filesBelow("packages", ...consumers.filter((folder) => !folder.startsWith("packages/"))).filter((path) =>
  path.endsWith(".ts"),
);
const manifest = JSON.parse(readText("packages/bowline/package.json")) as { exports: Record<string, string> };
const files = paths.map((path) => ({ path, text: readText(path) }));

report(checkDependencies({ files, exports: manifest.exports }), `${files.length} files import in the lawful direction`);
