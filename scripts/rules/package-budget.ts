import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Finding } from "../findings.ts";
import type { Manifest } from "../packages/manifest.ts";
import { type StagedPackage, stagePackage } from "../packages/staging.ts";
import { run } from "../process.ts";
import { bytesOf, exists, root } from "../repository.ts";

/** Bytes of the package and all it depends on, as installed. */
export const maxInstalledBytes: number = 4 * 1024 * 1024;
/** Packages that `npm install bowline` brings: itself and @bufbuild/protobuf. */
export const maxPackages = 2;
/** What `import "bowline"` may add to the start of an empty process. */
const MAX_IMPORT_MS = 70;
/** What @bufbuild/protobuf 2.17 alone added on the machine on which {@link MAX_IMPORT_MS} was set. */
const REFERENCE_IMPORT_MS = 45;
/**
 * Rounds of the import measurement, each with a process for each import. The quickest of each counts, so that a busy machine does not
 * decide; as long as that is over the budget it may still become quicker.
 */
export const importRounds: { readonly least: number; readonly most: number } = { least: 9, most: 40 };

const PACKAGE = "packages/bowline";

/** What was measured, in words, and what is over budget. */
export interface Budget {
  readonly summary: string;
  readonly findings: readonly Finding[];
}

/**
 * Makes the package as it would be published and measures it: bytes and packages installed and, with `timing`, how long a cold import takes beside an empty process.
 */
export async function measurePackage(options: { readonly timing: boolean }): Promise<Budget> {
  if (!exists(`${PACKAGE}/src/index.ts`)) {
    const fix = "write it: it exports what a first-day user needs";
    return {
      summary: "nothing to measure",
      findings: [{ file: `${PACKAGE}/src/index.ts`, problem: "is missing", fix }],
    };
  }
  // In the repository, so that it finds @bufbuild/protobuf above itself; a folder a run, so that two can run at once.
  mkdirSync(join(root, ".cache"), { recursive: true });
  const build = mkdtempSync(join(root, ".cache", "package-"));
  try {
    return await measure(build, options.timing);
  } finally {
    rmSync(build, { recursive: true, force: true });
  }
}

async function measure(build: string, timing: boolean): Promise<Budget> {
  let staged: StagedPackage;
  try {
    staged = await stagePackage(PACKAGE, build);
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return { summary: "nothing to measure", findings: [{ file: PACKAGE, problem, fix: "make it compile" }] };
  }
  const dependencies = installed(Object.keys(staged.manifest.dependencies ?? {}), PACKAGE, new Map());
  const size = sizeBudget(staged.folder, dependencies);
  const time = timing ? await importBudget(staged.folder) : { summary: "import not timed", findings: [] };
  return { summary: `${size.summary}, ${time.summary}`, findings: [...size.findings, ...time.findings] };
}

/** Folders of the packages that would be installed, by name, found as Node finds them. */
function installed(names: readonly string[], from: string, found: Map<string, string>): Map<string, string> {
  for (const name of names) {
    if (found.has(name)) continue;
    const folder = findPackage(name, join(root, from));
    if (folder === undefined) throw new Error(`${name} is not installed; remove node_modules and run this again`);
    found.set(name, folder);
    const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Partial<Manifest>;
    installed(Object.keys(manifest.dependencies ?? {}), folder, found);
  }
  return found;
}

function findPackage(name: string, from: string): string | undefined {
  const folder = join(from, "node_modules", name);
  if (existsSync(join(folder, "package.json"))) return folder;
  return dirname(from) === from ? undefined : findPackage(name, dirname(from));
}

function sizeBudget(build: string, dependencies: ReadonlyMap<string, string>): Budget {
  const own = bytesOf(build);
  const all = [...dependencies.values()].reduce((sum, folder) => sum + bytesOf(folder), own);
  const count = dependencies.size + 1;
  const findings: Finding[] = [];
  if (all > maxInstalledBytes) {
    const problem = `${all} bytes installed (${own} of them its own), ${maxInstalledBytes} are allowed`;
    findings.push({ file: PACKAGE, problem, fix: "find out what grew, and remove it or move it into another package" });
  }
  if (count !== maxPackages) {
    const problem = `installs ${count} packages (${[...dependencies.keys()].join(", ")}), ${maxPackages} are meant`;
    findings.push({ file: `${PACKAGE}/package.json`, problem, fix: "the core depends on @bufbuild/protobuf only" });
  }
  return { summary: `${count} packages, ${kilobytes(all)} installed, ${kilobytes(own)} of them ours`, findings };
}

function kilobytes(bytes: number): string {
  return `${Math.round(bytes / 1024)} KiB`;
}

/**
 * Starts an empty process, one that imports @bufbuild/protobuf and one that imports the package by turns, and compares the
 * quickest of each. Where @bufbuild/protobuf takes longer than on the reference machine, more is allowed in proportion.
 */
async function importBudget(build: string): Promise<Budget> {
  const sources = {
    empty: "",
    protobuf: 'import "@bufbuild/protobuf";',
    bowline: `import ${JSON.stringify(pathToFileURL(join(build, "dist", "index.js")).href)};`,
  };
  const best = {
    empty: Number.POSITIVE_INFINITY,
    protobuf: Number.POSITIVE_INFINITY,
    bowline: Number.POSITIVE_INFINITY,
  };
  const names = Object.keys(sources) as (keyof typeof sources)[];
  for (const name of names) writeFileSync(join(build, `${name}.mjs`), `${sources[name]}\n`);
  let [addedMs, protobufMs, allowedMs] = [Number.POSITIVE_INFINITY, 0, 0];
  for (let round = 1; round <= importRounds.least || (addedMs > allowedMs && round <= importRounds.most); round += 1) {
    for (const name of names) {
      const begun = performance.now();
      const { code, output } = await run(process.execPath, [join(build, `${name}.mjs`)], { timeoutMs: 20_000 });
      if (code !== 0) return importFailed(output);
      best[name] = Math.min(best[name], performance.now() - begun);
    }
    protobufMs = best.protobuf - best.empty;
    allowedMs = allowedImportMs(protobufMs);
    addedMs = best.bowline - best.empty;
  }
  const rounded = [addedMs, protobufMs, best.empty].map((each) => each.toFixed(0));
  const summary = `import adds ${rounded[0]} ms (@bufbuild/protobuf alone ${rounded[1]} ms) to the ${rounded[2]} ms of an empty process`;
  if (addedMs <= allowedMs) return { summary, findings: [] };
  const problem = `${summary}; ${allowedMs.toFixed(0)} ms are allowed on this machine`;
  return {
    summary,
    findings: [{ file: `${PACKAGE}/src/index.ts`, problem, fix: "import lazily what not every process needs" }],
  };
}

/** What the import may add on a machine where that of @bufbuild/protobuf adds `protobufMs`: a slower machine is allowed more. */
export function allowedImportMs(protobufMs: number): number {
  return MAX_IMPORT_MS * Math.max(1, protobufMs / REFERENCE_IMPORT_MS);
}

function importFailed(output: string): Budget {
  const problem = `the compiled package can't be imported\n${output.trimEnd()}`;
  const fix = "make `node --input-type=module -e 'import \"bowline\"'` work";
  return { summary: "import not timed", findings: [{ file: `${PACKAGE}/src/index.ts`, problem, fix }] };
}
