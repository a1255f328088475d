import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../repository.ts";
import type { Installed } from "./check.ts";
import { importedSubpaths } from "./manifest.ts";
import { nodeTypesVersion } from "./pins.ts";
import { Project } from "./project.ts";
import { packAll } from "./tarball.ts";
import { installTools } from "./tools.ts";

/** Where the programs of the checks lie, and the contract that they use. */
const PROGRAMS = "test/packages";
const CONTRACT = "test/proto/packages";
/** Imports every subpath that is published, so that every declaration is looked at. */
const ALL_SUBPATHS = "programs/all-subpaths.ts";

/** Packs everything, installs it in empty projects below `work` and writes the programs of test/packages there. */
export async function installAll(work: string): Promise<Installed> {
  const packed = await packAll(join(work, "packed"));
  const tools = await installTools();
  const core = new Project(join(work, "core"));
  await core.install(packed[0].tarball);
  const consumer = new Project(join(work, "consumer"), { devDependencies: { "@types/node": nodeTypesVersion } });
  await consumer.install(...packed.map(({ tarball }) => tarball));
  const subpaths = importedSubpaths(packed[0].manifest);
  const [tsStyle, jsStyle] = ["ts-style", "js-style"].map((name) => new Project(consumer.path(name)));
  for (const project of [tsStyle, jsStyle]) writePrograms(project, subpaths);
  tsStyle.write("tsconfig.json", JSON.stringify({ compilerOptions: { rewriteRelativeImportExtensions: true } }));
  jsStyle.write("tsconfig.json", JSON.stringify({ compilerOptions: {} }));
  useCompiledNames(jsStyle);
  for (const project of [tsStyle, jsStyle])
    await project.succeed(consumer.path("node_modules/.bin/bowline"), ["generate"]);
  return { packed, tools, work, core, consumer, tsStyle, jsStyle };
}

function writePrograms(project: Project, subpaths: readonly string[]): void {
  project.copy(join(root, PROGRAMS), "programs");
  project.copy(join(root, CONTRACT), `proto/${CONTRACT.split("/").at(-1)}`);
  const specifiers = subpaths.map((subpath) => JSON.stringify(`bowline${subpath.slice(1)}`));
  const imports = specifiers.map((specifier, at) => `import * as subpath${at} from ${specifier};`);
  const list = specifiers.map((_, at) => `subpath${at}`).join(", ");
  project.write(ALL_SUBPATHS, `${imports.join("\n")}\n\nexport const subpaths: readonly object[] = [${list}];\n`);
}

/** `./x.ts` → `./x.js` in the programs' imports. */
function useCompiledNames(project: Project): void {
  for (const name of readdirSync(project.path("programs"))) {
    const file = project.path("programs", name);
    writeFileSync(file, readFileSync(file, "utf8").replace(/( from "\.[^"]*)\.ts";/g, '$1.js";'));
  }
}
