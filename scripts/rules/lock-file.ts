import type { Finding } from "../findings.ts";

/** The fields of a manifest that a lock file repeats. */
export type Manifest = Readonly<Record<string, unknown>>;

const FIELDS = ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"];

/**
 * Finds what `npm install --no-save` would not: a manifest that the lock file does not follow, and download addresses in it.
 *
 * `manifests` are those of the repository's root (under `""`) and of each workspace folder.
 */
export function checkLockFile(text: string, manifests: ReadonlyMap<string, Manifest>): Finding[] {
  const file = "package-lock.json";
  const fix = "run `npm install` and commit the lock file";
  const locked = (JSON.parse(text) as { packages: Record<string, Manifest | undefined> }).packages;
  const findings: Finding[] = [];
  for (const [folder, manifest] of manifests) {
    const differing = FIELDS.filter((field) => inOrder(manifest[field]) !== inOrder(locked[folder]?.[field]));
    if (locked[folder] !== undefined && differing.length === 0) continue;
    const problem = `does not follow ${folder === "" ? "" : `${folder}/`}package.json (${differing.join(", ") || "absent"})`;
    findings.push({ file, problem, fix });
  }
  text.split("\n").forEach((line, index) => {
    if (!/"resolved": *"http/.test(line)) return;
    const problem = "holds a download address, which ties it to one registry";
    const fix = "keep omit-lockfile-registry-resolved in .npmrc, then run `npm install` again";
    findings.push({ file, line: index + 1, problem, fix });
  });
  return findings;
}

/** The entries of a field as one text that does not depend on their order; absent and empty are the same. */
function inOrder(field: unknown): string {
  return JSON.stringify(Object.entries(field ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)));
}
