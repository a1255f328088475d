import { randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { isAbsolute, join } from "node:path";

/** The places of one run of the demo; no other run uses any of them. */
export interface RunFolders {
  /** Instances of this run find each other, and nobody else. */
  readonly namespace: string;
  /** What the instances of a service share, a folder each. */
  readonly data: string;
  /** A file for each instance. */
  readonly logs: string;
  /** All that must be gone in the end. */
  readonly all: readonly string[];
}

/** Makes the folders of a run. */
export function makeRunFolders(): RunFolders {
  const namespace = `shop-${randomUUID().slice(0, 6)}`;
  const run = join(tmpdir(), `bowline-${namespace}`);
  const data = join(run, "data");
  const logs = join(run, "logs");
  for (const folder of [data, logs]) mkdirSync(folder, { recursive: true });
  return { namespace, data, logs, all: [run, registryFolder(namespace)] };
}

/** Lease files that are still in the registry. */
export function leftInRegistry({ namespace }: RunFolders): string[] {
  try {
    const entries = readdirSync(registryFolder(namespace), { recursive: true, withFileTypes: true });
    return entries.filter((entry) => !entry.isDirectory()).map((entry) => entry.name);
  } catch {
    return [];
  }
}

/** Removes all of a run, but for its logs if they are wanted. */
export function removeRunFolders({ all, data, logs }: RunFolders, keepLogs: boolean): void {
  for (const path of keepLogs ? [...all.filter((each) => !logs.startsWith(each)), data] : all) {
    rmSync(path, { recursive: true, force: true });
  }
}

/** Where `local()` keeps a namespace when it is given no directory. */
function registryFolder(namespace: string): string {
  const runtime = process.env.XDG_RUNTIME_DIR;
  const isUsable = runtime !== undefined && isAbsolute(runtime);
  return join(isUsable ? join(runtime, "bowline") : join(tmpdir(), `bowline-${process.getuid?.()}`), namespace);
}
