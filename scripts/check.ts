import { describeCounts, pageSteps, quickSteps, runSteps, sizesStep, styleStep } from "./steps.ts";

/** All checks that are not tests; `--fix` mends format and what the linter can mend. */
const fix = process.argv.includes("--fix");
const counts = await runSteps([styleStep(fix), ...quickSteps, sizesStep(true), ...pageSteps]);

console.log(describeCounts(counts));
if (counts.failed > 0) process.exitCode = 1;
