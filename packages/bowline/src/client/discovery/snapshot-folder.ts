import { homedir } from "node:os";

/** True for a path that does not depend on the working directory. */
export function isAbsolutePath(path: string): boolean {
  return /^(\/|\\\\|[A-Za-z]:[/\\])/.test(path);
}

/**
 * Where snapshots are kept unless a client says otherwise: `bowline/snapshots` in `$XDG_CACHE_HOME` if that is set, else in `.cache` of
 * the user's home (XDG base directory specification). It outlives a restart of the machine, which is when a registry may be the last to
 * come back.
 */
export function defaultSnapshotFolder(environment: Readonly<Record<string, string | undefined>>): string {
  const cache = environment.XDG_CACHE_HOME;
  // The specification: a path that is not absolute is ignored.
  const isUsable = cache !== undefined && isAbsolutePath(cache);
  return `${isUsable ? cache : `${environment.HOME ?? homedir()}/.cache`}/bowline/snapshots`;
}
