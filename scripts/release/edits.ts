/** A release in the words of semantic versioning: three numbers and perhaps a pre-release behind a hyphen. */
const VERSION = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z.-]+))?$/;
const UNRELEASED = "## [Unreleased]";

/**
 * Below 0 when `a` comes before `b`, 0 when they are the same, above 0 after it: by Semantic Versioning 2.0.0, section 11.
 *
 * @throws Error when one of them is no version
 */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [partsOf(a), partsOf(b)];
  for (let at = 0; at < 3; at += 1) {
    if (left.numbers[at] !== right.numbers[at]) return left.numbers[at] - right.numbers[at];
  }
  return comparePreReleases(left.preRelease, right.preRelease);
}

function partsOf(version: string): { numbers: number[]; preRelease: string } {
  const found = VERSION.exec(version);
  if (found === null) throw new Error(`${JSON.stringify(version)} is no version; write it as 0.2.0 or 0.2.0-rc.1`);
  return { numbers: found.slice(1, 4).map(Number), preRelease: found[4] ?? "" };
}

function comparePreReleases(a: string, b: string): number {
  if (a === b) return 0;
  // A version without one comes after all that have one.
  if (a === "" || b === "") return a === "" ? 1 : -1;
  const [left, right] = [a.split("."), b.split(".")];
  for (let at = 0; at < Math.min(left.length, right.length); at += 1) {
    const order = compareIdentifiers(left[at], right[at]);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

function compareIdentifiers(a: string, b: string): number {
  const [isNumber, isOtherNumber] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (isNumber && isOtherNumber) return Number(a) - Number(b);
  if (isNumber !== isOtherNumber) return isNumber ? -1 : 1;
  return a < b ? -1 : Number(a > b);
}

/**
 * CHANGELOG.md with what is unreleased under a heading of its own, and an empty "Unreleased" above it.
 *
 * @throws Error when nothing is unreleased, when there is no such heading, or when the version has a section already
 */
export function releasedChangelog(text: string, version: string, date: string): string {
  const start = text.indexOf(`${UNRELEASED}\n`);
  if (start < 0) throw new Error(`CHANGELOG.md has no heading "${UNRELEASED}"`);
  if (text.includes(`\n## [${version}]`)) throw new Error(`CHANGELOG.md has a section for ${version} already`);
  const body = start + UNRELEASED.length;
  const next = text.indexOf("\n## [", body);
  const notes = text.slice(body, next < 0 ? text.length : next);
  if (!/^\s*[-*] \S/m.test(notes)) {
    throw new Error(`CHANGELOG.md lists nothing under "${UNRELEASED}": write what users will see, or release nothing`);
  }
  return `${text.slice(0, body)}\n\n## [${version}] - ${date}${text.slice(body)}`;
}

/** The section of a version, without its heading; what a release page shows. Empty when there is none. */
export function releaseNotes(changelog: string, version: string): string {
  const start = changelog.indexOf(`\n## [${version}]`);
  if (start < 0) return "";
  const body = changelog.indexOf("\n", start + 1);
  const next = changelog.indexOf("\n## [", body);
  return changelog.slice(body, next < 0 ? changelog.length : next).trim();
}

/** A package.json with its version set, and that of the packages of this repository where it names one exactly. */
export function versionedManifest(text: string, version: string, own: ReadonlySet<string>): string {
  return edited(text, (manifest) => setVersion(manifest, version, own));
}

/** package-lock.json with the same changes for the packages in `folders`, `packages/bowline`, … */
export function versionedLockFile(
  text: string,
  version: string,
  own: ReadonlySet<string>,
  folders: readonly string[],
): string {
  return edited(text, ({ packages }) => {
    for (const folder of folders) setVersion((packages as Record<string, Fields>)[folder], version, own);
  });
}

/** packages/bowline/src/version.ts with its version set. @throws Error when it is not of the form that is known */
export function versionedSource(text: string, version: string): string {
  const changed = text.replace(/(export const version: string = ")[^"]*(";)/, `$1${version}$2`);
  if (!changed.includes(`"${version}"`)) throw new Error("version.ts has no line `export const version: string = …`");
  return changed;
}

type Fields = Record<string, unknown>;

function edited(text: string, change: (fields: Fields) => void): string {
  const fields = JSON.parse(text) as Fields;
  change(fields);
  return `${JSON.stringify(fields, undefined, 2)}\n`;
}

function setVersion(fields: Fields, version: string, own: ReadonlySet<string>): void {
  fields.version = version;
  const dependencies = (fields.dependencies ?? {}) as Record<string, string>;
  for (const name of Object.keys(dependencies)) {
    if (own.has(name) && VERSION.test(dependencies[name])) dependencies[name] = version;
  }
}
