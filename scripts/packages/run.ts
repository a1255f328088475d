import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeCounts } from "../steps.ts";
import { runChecks } from "./check.ts";
import { bundleChecks } from "./checks/bundles.ts";
import { contentChecks } from "./checks/contents.ts";
import { costChecks } from "./checks/costs.ts";
import { licenceChecks } from "./checks/licences.ts";
import { lintChecks } from "./checks/lint.ts";
import { newcomerChecks } from "./checks/newcomer.ts";
import { quietImports } from "./checks/quiet-imports.ts";
import { runChecksOf } from "./checks/runs.ts";
import { typeChecks } from "./checks/types.ts";
import { installAll } from "./install.ts";

/**
 * `npm run packages`: packs what is published, installs the tarballs in empty projects outside the repository and checks what their
 * users rely on. Arguments leave only the checks whose names contain one of them: `npm run packages -- types bundle`.
 */
const wanted = process.argv.slice(2);
forgetNpm();
const work = mkdtempSync(join(tmpdir(), "bowline-packages-"));
try {
  const begun = performance.now();
  const installed = await installAll(work);
  console.log(`packed and installed in ${((performance.now() - begun) / 1000).toFixed(1)} s`);
  const checks = [
    ...contentChecks,
    ...lintChecks,
    ...licenceChecks,
    ...typeChecks(installed),
    ...runChecksOf(installed),
    ...bundleChecks,
    quietImports,
    ...costChecks,
    ...newcomerChecks,
  ].filter(({ name }) => wanted.length === 0 || wanted.some((each) => name.includes(each)));
  const counts = await runChecks(checks, installed);
  console.log(describeCounts(counts));
  if (counts.failed > 0) process.exitCode = 1;
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** `npm run` tells its scripts which project they belong to; the projects made here are others. */
function forgetNpm(): void {
  const own = /^npm_(?:package_|lifecycle_|command$|config_(?:local_prefix|prefix|global_prefix|noproxy)$)|^INIT_CWD$/;
  for (const name of Object.keys(process.env)) {
    if (own.test(name)) delete process.env[name];
  }
}
