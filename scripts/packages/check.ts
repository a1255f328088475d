import type { Counts } from "../steps.ts";
import type { Project } from "./project.ts";
import type { PackedPackage } from "./tarball.ts";
import type { Tools } from "./tools.ts";

/** What the checks work on. */
export interface Installed {
  /** The repository's runtime first. */
  readonly packed: readonly PackedPackage[];
  readonly tools: Tools;
  /** Folder for whatever a check makes; removed at the end. */
  readonly work: string;
  /** A project that has installed the runtime only. */
  readonly core: Project;
  /** A project that has installed all packages and Node's types, in which `tsStyle` and `jsStyle` lie. */
  readonly consumer: Project;
  /** Programs whose imports end in `.ts`, with generated code like them. */
  readonly tsStyle: Project;
  /** The same programs as they are written where TypeScript compiles them: imports end in `.js`. */
  readonly jsStyle: Project;
}

/** Why something was not checked. */
export class Skipped {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

/** One promise about what is published. */
export interface Check {
  readonly name: string;
  /** Resolves with what was seen, in a line; rejects with what is wrong. */
  run(installed: Installed): Promise<string | Skipped>;
}

/** Runs checks one after the other: a line each, with its time; what is wrong below it. */
export async function runChecks(checks: readonly Check[], installed: Installed): Promise<Counts> {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const { name, run } of checks) {
    const begun = performance.now();
    const seen = await run(installed).catch((error: unknown) =>
      error instanceof Error ? error : new Error(`${error}`),
    );
    const time = `${((performance.now() - begun) / 1000).toFixed(1)} s`.padStart(7);
    if (seen instanceof Error) {
      counts.failed += 1;
      console.log(`FAILED  ${time}  ${name}\n${(seen.message || String(seen)).replace(/^/gm, "  ")}`);
    } else if (seen instanceof Skipped) {
      counts.skipped += 1;
      console.log(`SKIPPED ${time}  ${name}: ${seen.reason}`);
    } else {
      counts.passed += 1;
      console.log(`ok      ${time}  ${name}: ${seen}`);
    }
  }
  return counts;
}
