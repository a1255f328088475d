import type { Check } from "../check.ts";
import type { Project } from "../project.ts";

/** Licences that a user of Apache-2.0 software can live with without asking anybody. */
const ALLOWED: readonly string[] = ["Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "ISC", "0BSD"];

/** Packages whose install script may be there because nothing needs it, by name. */
const IDLE_SCRIPTS: Readonly<Record<string, string>> = {
  "@bufbuild/buf":
    "puts the binary in the place of its starter, to start it sooner; everything here was installed without it and runs",
};

interface LockedPackage {
  readonly name: string;
  readonly version: string;
  readonly licence: string;
  readonly hasInstallScript: boolean;
}

/** What an installation brings with it. */
export const licenceChecks: readonly Check[] = [
  {
    name: "dependencies: of bowline",
    run: async ({ core }) => {
      const found = lockedPackages(core);
      const scripted = found.filter(({ hasInstallScript }) => hasInstallScript).map(({ name }) => name);
      if (scripted.length > 0) throw new Error(`install scripts: ${scripted.join(", ")}`);
      return `${licencesOf(found)}; no install script`;
    },
  },
  {
    name: "dependencies: of all packages",
    run: async ({ consumer }) => {
      const found = lockedPackages(consumer);
      const scripted = found.filter(({ hasInstallScript }) => hasInstallScript).map(({ name }) => name);
      const unknown = scripted.filter((name) => IDLE_SCRIPTS[name] === undefined);
      if (unknown.length > 0) throw new Error(`install scripts: ${unknown.join(", ")}`);
      const idle = scripted.map((name) => `${name} (${IDLE_SCRIPTS[name]})`).join(", ") || "none";
      return `${licencesOf(found)}; install scripts: ${idle}`;
    },
  },
];

/** What was installed, without what only development needs; binaries for other platforms are listed, too. */
function lockedPackages(project: Project): LockedPackage[] {
  interface Entry {
    readonly version: string;
    readonly license?: string;
    readonly hasInstallScript?: boolean;
    readonly dev?: boolean;
  }
  const { packages } = JSON.parse(project.read("package-lock.json")) as { packages: Readonly<Record<string, Entry>> };
  return Object.entries(packages).flatMap(([path, { version, license, hasInstallScript = false, dev }]) => {
    if (path === "" || dev === true) return [];
    const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
    return [{ name, version, licence: license ?? licenceOf(project, path), hasInstallScript }];
  });
}

/** The lock file leaves the licence out for packages that were not unpacked. */
function licenceOf(project: Project, path: string): string {
  if (!project.has(`${path}/package.json`)) return "not said";
  return (JSON.parse(project.read(`${path}/package.json`)) as { license?: string }).license ?? "not said";
}

/** `Apache-2.0: a 1.0.0, b 2.0.0; MIT: c 3.0.0` @throws Error naming packages with other licences than those allowed */
function licencesOf(found: readonly LockedPackage[]): string {
  const byLicence = Map.groupBy(found, ({ licence }) => licence);
  const refused = found.filter(({ licence }) => !isAllowed(licence));
  if (refused.length > 0) {
    throw new Error(refused.map(({ name, version, licence }) => `${name} ${version}: licence ${licence}`).join("\n"));
  }
  const named = ({ name, version }: LockedPackage): string => `${name} ${version}`;
  return Array.from(byLicence, ([licence, all]) => `${licence}: ${all.map(named).join(", ")}`).join("; ");
}

/** An SPDX expression: every part of an AND must be allowed, one part of an OR. */
function isAllowed(licence: string): boolean {
  const plain = licence.replace(/^\((.*)\)$/, "$1");
  if (plain.includes(" OR ")) return plain.split(" OR ").some(isAllowed);
  return plain.split(" AND ").every((each) => ALLOWED.includes(each));
}
