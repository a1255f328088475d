import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const FOLDER = fileURLToPath(new URL("../corpus/", import.meta.url));

/** A file of the corpus. */
export interface CorpusFile {
  readonly name: string;
  readonly bytes: Buffer;
}

/** Inputs that the repository keeps for a target, by name. */
export function readCorpus(target: string): CorpusFile[] {
  const folder = join(FOLDER, target);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .sort()
    .map((name) => ({ name, bytes: readFileSync(join(folder, name)) }));
}

/** Replaces what the repository keeps for a target. Faults that were mended have names of their own (`fault-…`) and stay. */
export function writeCorpus(target: string, inputs: readonly Uint8Array[]): void {
  const folder = join(FOLDER, target);
  mkdirSync(folder, { recursive: true });
  for (const { name } of readCorpus(target)) if (!name.startsWith("fault-")) rmSync(join(folder, name));
  for (const input of inputs) writeFileSync(join(folder, nameOf(input)), input);
}

/** A name that follows from the content, so that the same input is the same file. */
export function nameOf(input: Uint8Array): string {
  return createHash("sha256").update(input).digest("hex").slice(0, 12);
}
