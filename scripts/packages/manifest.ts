/** package.json, as far as publishing is concerned. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  /** In the repository always true: its exports name TypeScript, so only what `scripts/pack.ts` makes may be published. */
  readonly private?: boolean;
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly bin?: Readonly<Record<string, string>>;
  /** Files and folders beside package.json that are published; `dist` is made. */
  readonly files?: readonly string[];
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

/** Fields that only make sense where the sources lie. */
const DEVELOPMENT_FIELDS = new Set(["private", "devDependencies", "scripts"]);

/**
 * The package.json that is published, made from the one in the repository: `src/….ts` becomes `dist/….js`, with its types. Nothing
 * else is added but how to publish.
 *
 * @throws Error when a package of the repository could be published as it is, or an export is not below `src`
 */
export function publishedManifest(own: Manifest): Manifest {
  if (own.private !== true) {
    throw new Error(`${own.name}: package.json must say "private": true, so that its sources can't be published`);
  }
  const kept = Object.fromEntries(Object.entries(own).filter(([field]) => !DEVELOPMENT_FIELDS.has(field))) as Manifest;
  return {
    ...kept,
    ...(own.exports === undefined ? {} : { exports: mapValues(own.exports, (file) => exportOf(own.name, file)) }),
    ...(own.bin === undefined ? {} : { bin: mapValues(own.bin, (file) => binOf(own.name, file)) }),
    publishConfig: { access: "public" },
  };
}

/** The subpaths that programs import, `.` and `./testing`: not package.json. Of a pattern one of those it stands for. */
export function importedSubpaths(manifest: Manifest): string[] {
  const subpaths = Object.keys(manifest.exports ?? {}).filter((subpath) => subpath !== "./package.json");
  return subpaths.map((subpath) => subpath.replace("*", ONE_OF_MANY));
}

/** The only pattern is that of the well-known types. */
const ONE_OF_MANY = "timestamp";

/** The sources that the exports of a manifest of the repository name, relative to it; a `*` stands for any name. */
export function sourcePatterns(own: Manifest): string[] {
  return Object.values(own.exports ?? {}).filter(
    (file) => typeof file === "string" && file.endsWith(".ts"),
  ) as string[];
}

/** The declarations that users' imports lead to first, in a published manifest; one of each pattern. */
export function entryTypes(published: Manifest): string[] {
  return typePatterns(published).map((types) => types.replace("*", ONE_OF_MANY));
}

/** The same with their `*`. */
export function typePatterns(published: Manifest): string[] {
  return Object.values(published.exports ?? {}).flatMap((file) =>
    typeof file === "object" && file !== null && "types" in file ? [String(file.types)] : [],
  );
}

function exportOf(name: string, file: unknown): unknown {
  if (typeof file !== "string") throw new Error(`${name}: exports name one file each, not ${JSON.stringify(file)}`);
  return file.endsWith(".ts") ? compiled(name, file) : file;
}

/** npm would take the `./` away, with a warning. */
function binOf(name: string, file: string): string {
  return compiled(name, file).default.slice("./".length);
}

/** `types` first: whoever reads conditions takes the first that fits. */
function compiled(name: string, file: string): { types: string; default: string } {
  const stem = /^\.\/src\/(.+)\.ts$/.exec(file)?.[1];
  if (stem === undefined) throw new Error(`${name}: ${file} is not of the form ./src/….ts`);
  return { types: `./dist/${stem}.d.ts`, default: `./dist/${stem}.js` };
}

function mapValues<T, R>(record: Readonly<Record<string, T>>, change: (value: T) => R): Record<string, R> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}
