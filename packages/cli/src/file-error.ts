import { CommandError } from "./command-error.ts";

/** What the errors of the file system mean, by their code. */
const MEANINGS: Readonly<Record<string, readonly [meaning: string, hint: string]>> = {
  EACCES: ["permission denied", "Change who may use it, or name another place."],
  EPERM: ["permission denied", "Change who may use it, or name another place."],
  EROFS: ["its file system is read-only", "Name another place."],
  ENOENT: ["it does not exist", "Name another place."],
  ENOTDIR: ["a part of the path is a file, not a folder", "Move that file away, or name another place."],
  EEXIST: ["a part of the path is a file, not a folder", "Move that file away, or name another place."],
  EISDIR: ["it is a folder, not a file", "Move the folder away, or name another place."],
  ENOSPC: ["there is no space left", "Make space, then try again."],
  EMFILE: ["too many files are open", "Raise the limit (ulimit -n), or name fewer folders."],
};

/** An error of the file system as the user should read it: `can't write src/gen/a_pb.ts: permission denied`. */
export function fileError(verb: "read" | "write" | "remove" | "watch", path: string, error: unknown): CommandError {
  const { code = "", message = String(error) } = (error ?? {}) as { code?: string; message?: string };
  const [meaning, hint] = MEANINGS[code] ?? [message, undefined];
  return new CommandError(`can't ${verb} ${path}: ${meaning}`, verb === "read" && hint ? "Check the path." : hint);
}
