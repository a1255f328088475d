import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { publishedFolders } from "./packages/staging.ts";
import { packAll } from "./packages/tarball.ts";
import { run } from "./process.ts";
import { releasedChangelog, versionedLockFile, versionedManifest, versionedSource } from "./release/edits.ts";
import { gitState, objections } from "./release/preconditions.ts";
import { readText, root } from "./repository.ts";

/**
 * Makes a release ready: `sh scripts/run.sh scripts/release.ts 0.2.0 --checks-passed`. It publishes, commits and tags nothing.
 * docs/releasing.md says what it does, and what is left to do.
 */
const USAGE =
  "usage: sh scripts/run.sh scripts/release.ts VERSION (--checks-passed | --run-checks) [--date YYYY-MM-DD] [--dry-run]";
const VERSION_FILE = "packages/bowline/src/version.ts";

interface Release {
  readonly version: string;
  readonly date: string;
  readonly checksPassed: boolean;
  readonly runChecks: boolean;
  /** Say what would be changed, and change nothing. */
  readonly dryRun: boolean;
}

try {
  await prepare(readArguments());
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

function readArguments(): Release {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      "checks-passed": { type: "boolean", default: false },
      "run-checks": { type: "boolean", default: false },
      "dry-run": { type: "boolean", default: false },
      date: { type: "string", default: new Date().toISOString().slice(0, "2000-01-01".length) },
    },
  });
  if (positionals.length !== 1) throw new Error(USAGE);
  if (!/^\d{4}-\d\d-\d\d$/.test(values.date)) throw new Error(`--date is ${values.date}; write it as 2000-12-31`);
  return {
    version: positionals[0],
    date: values.date,
    checksPassed: values["checks-passed"],
    runChecks: values["run-checks"],
    dryRun: values["dry-run"],
  };
}

async function prepare({ version, date, checksPassed, runChecks, dryRun }: Release): Promise<void> {
  const state = { ...(await gitState(root)), versions: currentVersions(), checksPassed: checksPassed || runChecks };
  const found = objections(version, state);
  if (found.length > 0) throw new Error(found.map((each) => `- ${each}`).join("\n"));
  const changed = changedFiles(version, date);
  if (runChecks) await passChecks();
  for (const [path, text] of changed) {
    if (!dryRun) writeFileSync(join(root, path), text);
    console.log(`${dryRun ? "would change" : "changed"} ${path}`);
  }
  if (dryRun) return;
  const folders = await rehearse();
  console.log(whatIsLeft(version, [...changed.keys()], folders));
}

function currentVersions(): Map<string, string> {
  const versions = publishedFolders.map((folder): [string, string] => {
    const { name, version } = JSON.parse(readText(`${folder}/package.json`)) as { name: string; version: string };
    return [name, version];
  });
  return new Map([...versions, ["version.ts", /version: string = "([^"]*)"/.exec(readText(VERSION_FILE))?.[1] ?? ""]]);
}

/** Everything that holds the version, by path. Nothing is written before all of it could be made. */
function changedFiles(version: string, date: string): Map<string, string> {
  const manifests = publishedFolders.map((folder) => `${folder}/package.json`);
  const own = new Set(manifests.map((path) => (JSON.parse(readText(path)) as { name: string }).name));
  return new Map([
    ["CHANGELOG.md", releasedChangelog(readText("CHANGELOG.md"), version, date)],
    ...manifests.map((path): [string, string] => [path, versionedManifest(readText(path), version, own)]),
    ["package-lock.json", versionedLockFile(readText("package-lock.json"), version, own, publishedFolders)],
    [VERSION_FILE, versionedSource(readText(VERSION_FILE), version)],
  ]);
}

async function passChecks(): Promise<void> {
  console.log("running .ci/run …");
  const { code, output } = await run("bash", [".ci/run"], { timeoutMs: 3_600_000 });
  if (code !== 0) throw new Error(`.ci/run ended with ${code}\n${output.trimEnd()}`);
}

/** Packs what will be published and lets npm go through all of publishing but the upload. */
async function rehearse(): Promise<string[]> {
  const packed = await packAll(join(root, ".cache/packages"));
  for (const { name, folder, version, digest } of packed) {
    const flags = [...publishFlags(version), "--ignore-scripts", "--loglevel=error"];
    const args = ["publish", "--dry-run", ...flags];
    const { code, output } = await run("npm", args, { cwd: folder });
    if (code !== 0) throw new Error(`npm publish --dry-run of ${name} ended with ${code}\n${output.trimEnd()}`);
    console.log(`${name}: npm would publish it; sha256 ${digest}`);
  }
  return packed.map(({ folder }) => folder.slice(root.length + 1));
}

/** npm gives `latest` to every version that is published without a tag, and refuses that for a pre-release. */
function publishFlags(version: string): string[] {
  return ["--access", "public", ...(version.includes("-") ? ["--tag", "next"] : [])];
}

function whatIsLeft(version: string, changed: readonly string[], folders: readonly string[]): string {
  return [
    "",
    "Nothing is committed, tagged or published. Look at `git diff`, then:",
    "",
    `  git commit -m "release: ${version}" ${changed.join(" ")}`,
    `  git tag -a v${version} -m "Bowline ${version}"`,
    `  git push origin main v${version}`,
    ...folders.map((folder) => `  (cd ${folder} && npm publish --provenance ${publishFlags(version).join(" ")})`),
  ].join("\n");
}
