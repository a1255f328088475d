import { join } from "node:path";
import { exists, readText } from "../../repository.ts";
import { type Snippet, snippetsOf } from "../../rules/snippets.ts";
import { type Check, type Installed, Skipped } from "../check.ts";
import { nodeTypesVersion, typescriptVersions } from "../pins.ts";
import { Project } from "../project.ts";

/** How somebody's first quarter of an hour goes: a page's files, typed in an empty folder, answer. */
export const newcomerChecks: readonly Check[] = ["README.md", "docs/guide/getting-started.md"].map((page) => ({
  name: `newcomer: ${page}`,
  run: async (installed: Installed) => (exists(page) ? follow(page, installed) : new Skipped("there is no such page")),
}));

/** Compiler options for pages that show none. */
const CONFIG = {
  compilerOptions: {
    module: "nodenext",
    target: "es2024",
    strict: true,
    noEmit: true,
    allowImportingTsExtensions: true,
  },
};

async function follow(page: string, { work, packed }: Installed): Promise<string> {
  const begun = performance.now();
  const markdown = readText(page);
  const files = snippetsOf(page, markdown).filter(({ use }) => use !== "fragment");
  const project = new Project(join(work, "newcomer", page.replaceAll("/", "-")));
  await project.succeed("npm", ["init", "--yes"]);
  await project.succeed("npm", ["pkg", "set", "type=module"]);
  const tools = [`typescript@${typescriptVersions.at(-1)}`, `@types/node@${nodeTypesVersion}`];
  await project.install(...packed.map(({ tarball }) => tarball), ...tools);
  const installedAt = performance.now();

  const config = configOf(markdown);
  if (config !== undefined) project.write("tsconfig.json", config);
  for (const { file, text } of files) project.write(file, text);
  const protos = files.filter(({ file }) => file.endsWith(".proto")).map(({ file }) => file);
  // Without arguments the command looks into proto/.
  await project.succeed("npx", ["--no", "bowline", "generate", ...protos.filter((file) => !file.startsWith("proto/"))]);
  const said = await runAll(project, files);
  const answered = performance.now();

  project.write("tsconfig.json", config ?? JSON.stringify(CONFIG));
  await project.succeed("npx", ["--no", "tsc"]);
  const [installSeconds, seconds] = [installedAt - begun, answered - begun].map((ms) => (ms / 1000).toFixed(1));
  return `from an empty folder to the first answer${said} in ${seconds} s, ${installSeconds} s of them npm's`;
}

/** The tsconfig.json that a page tells to write. */
function configOf(markdown: string): string | undefined {
  return Array.from(markdown.matchAll(/^```json\n([\s\S]*?)^```$/gm), (match) => match[1]).find((json) =>
    json.includes('"compilerOptions"'),
  );
}

/** Runs the page's programs. What the last of them said, in quotes, if it said anything. */
async function runAll(project: Project, files: readonly Snippet[]): Promise<string> {
  let said = "";
  for (const { file } of files.filter(({ use }) => use === "run")) {
    said = (await project.succeed(process.execPath, [file], 30_000)).trimEnd();
  }
  return said === "" ? "" : ` "${said.split("\n").at(-1)}"`;
}
