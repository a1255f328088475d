import { tmpdir, userInfo } from "node:os";
import { isAbsolute, join } from "node:path";
import { checkOptions, type OptionSpecs } from "../../rpc/options.ts";
import { fileName } from "./lease-file.ts";

/** Where the processes of one machine meet. All that shall find each other need the same two values. */
export interface LocalOptions {
  /**
   * Absolute path of the directory that belongs to this user alone. It is made if it is missing.
   * Default: `bowline` in `$XDG_RUNTIME_DIR` if that is set, else `bowline-<user id>` in the system's directory for
   * temporary files.
   */
  readonly directory?: string;
  /** Keeps apart what runs side by side, `staging` and `test-17`. Default `default`. */
  readonly namespace?: string;
}

/** The namespace of those who name none. */
export const DEFAULT_NAMESPACE = "default";

const SPECS: OptionSpecs = { directory: { kind: "any" }, namespace: { kind: "any" } };

/** Checks options. @throws TypeError that names the field */
export function checkLocalOptions(options: LocalOptions): void {
  checkOptions("local registry", options, SPECS);
  const { directory, namespace } = options;
  if (
    directory !== undefined &&
    (typeof directory !== "string" || !isAbsolute(directory) || directory.includes("\0"))
  ) {
    throw new TypeError(
      `local registry: directory: ${JSON.stringify(directory)} is no absolute path; write it as "/var/tmp/my-fleet"`,
    );
  }
  if (namespace !== undefined && (typeof namespace !== "string" || namespace === "")) {
    throw new TypeError(`local registry: namespace: ${JSON.stringify(namespace)} is no name; write it as "staging"`);
  }
}

/** The user's directory, which holds one directory for each namespace. */
export function rootDirectory(
  options: LocalOptions,
  environment: Readonly<Record<string, string | undefined>>,
): string {
  if (options.directory !== undefined) return options.directory;
  const runtime = environment.XDG_RUNTIME_DIR;
  // The XDG base directory specification: a path that is not absolute is ignored.
  if (runtime !== undefined && isAbsolute(runtime)) return join(runtime, "bowline");
  return join(tmpdir(), `bowline-${userLabel()}`);
}

function userLabel(): string {
  const userId = process.getuid?.();
  return userId === undefined ? fileName(userInfo().username) : String(userId);
}
