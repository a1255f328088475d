import { run } from "../process.ts";
import { compareVersions } from "./edits.ts";

/** What has to be known before a version may be released. */
export interface ReleaseState {
  readonly branch: string;
  /** Changed and unknown files, as `git status --porcelain` lists them. */
  readonly changes: readonly string[];
  readonly tags: readonly string[];
  /** Of each published package, and of version.ts. */
  readonly versions: ReadonlyMap<string, string>;
  /** Somebody says that all of CI passes on this commit. */
  readonly checksPassed: boolean;
}

/** Reads what git knows of the repository in this folder. */
export async function gitState(folder: string): Promise<Pick<ReleaseState, "branch" | "changes" | "tags">> {
  const [branch, changes, tags] = await Promise.all([
    linesOf(folder, ["branch", "--show-current"]),
    linesOf(folder, ["status", "--porcelain"]),
    linesOf(folder, ["tag", "--list", "v[0-9]*"]),
  ]);
  return { branch: branch[0] ?? "", changes, tags };
}

async function linesOf(folder: string, args: readonly string[]): Promise<string[]> {
  const { code, stdout, output } = await run("git", args, { cwd: folder });
  if (code !== 0) throw new Error(`git ${args.join(" ")} ended with ${code}\n${output.trimEnd()}`);
  return stdout.split("\n").filter((line) => line !== "");
}

/** Why this version can't be released now, a sentence each with what to do; empty when it can. */
export function objections(version: string, state: ReleaseState): string[] {
  const found: string[] = [];
  if (state.branch !== "main") found.push(`the branch is ${state.branch || "none"}: releases are made on main`);
  if (state.changes.length > 0) {
    found.push(`the tree is not clean: commit or remove\n${state.changes.map((line) => `    ${line}`).join("\n")}`);
  }
  const known = new Set(state.versions.values());
  if (known.size > 1) {
    const list = Array.from(state.versions, ([name, each]) => `${name} ${each}`).join(", ");
    found.push(`the versions are not in step: ${list}`);
  }
  if (state.tags.includes(`v${version}`)) found.push(`the tag v${version} exists: take the next version`);
  for (const released of [...state.tags.map((tag) => tag.slice(1)), ...known]) {
    // The first release may have the version that the packages have had from the beginning.
    const isNext =
      compareVersions(version, released) > 0 || (version === released && !state.tags.includes(`v${released}`));
    if (!isNext) found.push(`${version} does not come after ${released}`);
  }
  if (!state.checksPassed) {
    found.push(
      "nobody says that CI passes: run .ci/run on this commit, then add --checks-passed; or --run-checks does it",
    );
  }
  return [...new Set(found)];
}
