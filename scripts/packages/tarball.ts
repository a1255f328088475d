import { createHash } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { run } from "../process.ts";
import { publishedFolders, type StagedPackage, stagePackage } from "./staging.ts";

/** A package as npm serves it. */
export interface PackedPackage extends StagedPackage {
  /** Absolute path of the .tgz. */
  readonly tarball: string;
  /** Of the .tgz. */
  readonly bytes: number;
  readonly unpackedBytes: number;
  readonly fileCount: number;
  /** SHA-256 of the .tgz, in hex. */
  readonly digest: string;
}

/** Stages and packs all published packages into a folder: `into/<name>/` and `into/<name>-<version>.tgz`. */
export async function packAll(into: string): Promise<PackedPackage[]> {
  mkdirSync(into, { recursive: true });
  const packed: PackedPackage[] = [];
  for (const folder of publishedFolders) packed.push(await packStaged(await stagePackage(folder, into), into));
  return packed;
}

/** `npm pack` of a staged package. @throws Error with what npm said */
async function packStaged(staged: StagedPackage, into: string): Promise<PackedPackage> {
  const flags = ["--pack-destination", into, "--ignore-scripts", "--json", "--loglevel=error"];
  const { code, stdout, output } = await run("npm", ["pack", staged.folder, ...flags], { cwd: into });
  if (code !== 0) throw new Error(`npm pack ${staged.name} ended with ${code}\n${output.trimEnd()}`);
  const { filename, unpackedSize, entryCount } = reportOf(stdout);
  const tarball = join(into, basename(filename));
  const content = readFileSync(tarball);
  return {
    ...staged,
    tarball,
    bytes: content.length,
    unpackedBytes: unpackedSize,
    fileCount: entryCount,
    digest: createHash("sha256").update(content).digest("hex"),
  };
}

interface PackReport {
  readonly filename: string;
  readonly unpackedSize: number;
  readonly entryCount: number;
}

/** A list up to npm 11, by name from npm 12 on. */
function reportOf(stdout: string): PackReport {
  const reports = Object.values(JSON.parse(stdout) as Record<string, PackReport>);
  if (reports.length !== 1) throw new Error(`npm pack reported ${reports.length} packages instead of one`);
  return reports[0];
}
